"""Convert FASTA once to bases that can be mapped into memory; half a cache is never seen, whoever is killed when."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import CacheError, DuplicateContigsError, FastaError
from r2mae_bio.io._contigs import Contig
from r2mae_bio.io._fasta import Header, stream_fasta
from r2mae_bio.io._genome_index import BASES, FORMAT, INDEX, GenomeIndex, read_index, write_index
from r2mae_bio.io._sources import file_state, hash_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.io._sources import Source

__all__ = ["default_cache_dir", "open_cache"]

_ACGT: Final = list(b"ACGTacgt")
_N: Final = list(b"Nn")
_LOWER: Final = list(range(ord("a"), ord("z") + 1))


def default_cache_dir() -> Path:
    """Where genomes are kept unless the user says otherwise: in the folder of downloaded data of this package."""
    import pooch

    return Path(pooch.os_cache("r2mae_bio")) / "genomes"


def open_cache(sources: Sequence[Source], cache_dir: str | os.PathLike[str] | None) -> tuple[Path, GenomeIndex]:
    """Find the cache of some files, or make it.

    A cache lies in a folder named by the SHA-256 of the contents (and species) of its files, so files that moved are found again and
    files that changed are not. A damaged cache is made anew.

    Parameters
    ----------
    sources
        The files.
    cache_dir
        Folder of all genomes; :func:`default_cache_dir` if None.

    Returns
    -------
    The folder of the cache, and its index.

    Raises
    ------
    FastaError
        A file cannot be used as DNA.
    CacheError
        The folder cannot be written.
    """
    root = default_cache_dir() if cache_dir is None else Path(cache_dir).expanduser().resolve()
    try:
        root.mkdir(parents=True, exist_ok=True)
        return _find_or_make(sources, root)
    except CacheError:
        raise
    except OSError as error:
        message = (
            f"The genome cache cannot be written to {root} ({error.strerror or error}). Needed is a folder with room for one byte per "
            "base; pass cache_dir=, such a folder."
        )
        raise CacheError(message) from error


def _find_or_make(sources: Sequence[Source], root: Path) -> tuple[Path, GenomeIndex]:
    states = [file_state(source.path) for source in sources]
    key = _key(sources, root)
    folder = root / key
    with contextlib.suppress(CacheError):
        return folder, read_index(folder)
    with _one_at_a_time(root, key):
        with contextlib.suppress(CacheError):  # made by another process while this one waited
            return folder, read_index(folder)
        with _temporary_folder(root, key) as temporary:
            index = _convert(sources, temporary)
            _check_unchanged(sources, states)
            _publish(temporary, folder)
    return folder, index


def _key(sources: Sequence[Source], root: Path) -> str:
    content = [FORMAT, [[source.species, hash_of(source.path, root)] for source in sources]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@contextlib.contextmanager
def _one_at_a_time(root: Path, key: str) -> Iterator[None]:
    """Make other processes wait that want the same cache.

    Only to save work: where the system knows no such locks, both make the cache, and either may publish it. The system itself drops
    the lock of a process that dies, which also shows that temporary folders of the same cache are left over.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    with (root / f".{key}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a network file system without locks
            yield
            return
        for left_over in root.glob(f".{key}-*"):
            shutil.rmtree(left_over, ignore_errors=True)
        yield


@contextlib.contextmanager
def _temporary_folder(root: Path, key: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f".{key}-", dir=root))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _publish(temporary: Path, folder: Path) -> None:
    """Move the files to their place, the index last: a cache without a valid index is no cache.

    The name of the folder fixes the content of the files, so replacing one that another process reads changes nothing for it.
    """
    folder.mkdir(exist_ok=True)
    for name in (BASES, INDEX):
        (temporary / name).replace(folder / name)


def _check_unchanged(sources: Sequence[Source], states: Sequence[list[int]]) -> None:
    for source, state in zip(sources, states, strict=True):
        if file_state(source.path) != state:
            message = f"{source.path} was changed while it was read; needed is a file that stays as it is. Open the genome again."
            raise FastaError(message)


def _convert(sources: Sequence[Source], folder: Path) -> GenomeIndex:
    """Write the bases and the index of all files."""
    table = _ContigTable()
    with (folder / BASES).open("wb") as out:
        for number, source in enumerate(sources):
            for piece in stream_fasta(source.path):
                if isinstance(piece, Header):
                    table.begin(piece, source, number)
                else:
                    table.add(piece)
                    out.write(piece)
        out.flush()
        os.fsync(out.fileno())
    index = table.finish()
    write_index(folder, index)
    return index


class _ContigTable:
    """Counts letters contig by contig."""

    def __init__(self) -> None:
        self._contigs: list[Contig] = []
        self._seen: dict[tuple[str, str], tuple[Path, int]] = {}
        self._current: dict[str, Any] | None = None
        self._counts: NDArray[np.int64] = np.zeros(256, np.int64)
        self._offset = 0
        self._crc32 = 0

    def begin(self, header: Header, source: Source, number: int) -> None:
        self._close()
        self._refuse_duplicate(header, source)
        self._current = {"name": header.name, "species": source.species, "source": number, "description": header.description}

    def add(self, bases: bytes) -> None:
        self._counts += np.bincount(np.frombuffer(bases, np.uint8), minlength=256)
        self._crc32 = zlib.crc32(bases, self._crc32)

    def finish(self) -> GenomeIndex:
        self._close()
        return GenomeIndex(tuple(self._contigs), self._crc32)

    def _close(self) -> None:
        if self._current is None:
            return
        length, n_acgt, n_unknown = (int(n) for n in (self._counts.sum(), self._counts[_ACGT].sum(), self._counts[_N].sum()))
        contig = Contig(
            **self._current,
            offset=self._offset,
            length=length,
            n_acgt=n_acgt,
            n_unknown=n_unknown,
            n_iupac=length - n_acgt - n_unknown,
            n_soft_masked=int(self._counts[_LOWER].sum()),
        )
        self._contigs.append(contig)
        self._offset += length
        self._counts[:] = 0

    def _refuse_duplicate(self, header: Header, source: Source) -> None:
        place = (source.path, header.line)
        path, line = self._seen.setdefault((source.species, header.name), place)
        if (path, line) != place:
            message = (
                f"{source.path}, line {header.line}: the name {header.name!r} was given before, in {path}, line {line}. Needed is one record of "
                "each name; rename or remove one. Files of several species may share names if passed as {species: path}."
            )
            raise DuplicateContigsError(message)
