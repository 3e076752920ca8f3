"""Find the converted files of a genome or make them; half a cache is never seen, whoever is killed
when.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from r2mae_bio._errors import CacheError, FastaError
from r2mae_bio._files import publish, temporary_folder
from r2mae_bio.dna.genome._convert import convert
from r2mae_bio.dna.genome._index import BASES, FORMAT, INDEX, read_index
from r2mae_bio.dna.genome._sources import file_state, hash_of

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Sequence

    from r2mae_bio.dna.genome._index import GenomeIndex
    from r2mae_bio.dna.genome._sources import Source

__all__ = ["default_cache_dir", "open_cache"]


def default_cache_dir() -> Path:
    """Where genomes are kept unless the user says otherwise: in the folder of downloaded data of
    this package.
    """
    import pooch

    return Path(pooch.os_cache("r2mae_bio")) / "genomes"


def open_cache(sources: Sequence[Source], cache_dir: str | os.PathLike[str] | None) -> tuple[Path, GenomeIndex]:
    """Find the cache of some files, or make it.

    A cache lies in a folder named by the SHA-256 of the contents (and species) of its files, so
    files that moved are found again and files that changed are not. A damaged cache is made anew.

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
        with temporary_folder(folder) as temporary:
            index = convert(sources, temporary)
            _check_unchanged(sources, states)
            _publish_files(temporary, folder)
    return folder, index


def _key(sources: Sequence[Source], root: Path) -> str:
    content = [FORMAT, [[source.species, hash_of(source.path, root)] for source in sources]]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


@contextlib.contextmanager
def _one_at_a_time(root: Path, key: str) -> Iterator[None]:
    """Make other processes wait that want the same cache.

    Only to save work: where the system knows no such locks, both make the cache, and either may
    publish it. The system itself drops the lock of a process that dies, which also shows that
    temporary folders of the same cache are left over.
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
        for left_over in root.glob(f".{key}-*"):  # named by temporary_folder
            shutil.rmtree(left_over, ignore_errors=True)
        yield


def _publish_files(temporary: Path, folder: Path) -> None:
    """Move the files to their place, the index last: a cache without a valid index is no cache.

    The name of the folder fixes the content of the files, so replacing one that another process
    reads changes nothing for it.
    """
    folder.mkdir(exist_ok=True)
    for name in (BASES, INDEX):
        publish(temporary / name, folder / name)


def _check_unchanged(sources: Sequence[Source], states: Sequence[list[int]]) -> None:
    for source, state in zip(sources, states, strict=True):
        if file_state(source.path) != state:
            message = f"{source.path} was changed while it was read; needed is a file that stays as it is. Open the genome again."
            raise FastaError(message)
