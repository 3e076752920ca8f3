"""Find the converted files of a genome or an alignment or make them; half a cache is never seen,
whoever is killed when.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from r2mae_bio._errors import CacheError
from r2mae_bio._files import publish, temporary_folder
from r2mae_bio.dna.genome._convert import convert
from r2mae_bio.dna.genome._index import BASES, FORMAT, INDEX, read_index
from r2mae_bio.dna.genome._sources import hash_of, watch

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    from r2mae_bio.dna.genome._index import GenomeIndex
    from r2mae_bio.dna.genome._sources import Source

__all__ = ["cache_key", "default_cache_dir", "find_or_make", "open_cache", "writable_root"]

T = TypeVar("T")


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
    with writable_root(default_cache_dir() if cache_dir is None else cache_dir, "genome", "one byte per base") as root:
        check_unchanged = watch([source.path for source in sources])
        key = cache_key(FORMAT, [[source.species, hash_of(source.path, root)] for source in sources])

        def make(temporary: Path) -> GenomeIndex:
            index = convert(sources, temporary)
            check_unchanged()
            return index

        return find_or_make(root / key, read_index, make, files=(BASES, INDEX))


@contextlib.contextmanager
def writable_root(root: str | os.PathLike[str], what: str, needs: str) -> Iterator[Path]:
    """A folder of caches, made if need be; that it cannot be written is a :class:`CacheError`.

    Parameters
    ----------
    root
        The folder.
    what
        What is kept there, for the message.
    needs
        The room that one takes, for the message.

    Yields
    ------
    The folder, its path absolute.
    """
    folder = Path(root).expanduser().resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
    except CacheError:
        raise
    except OSError as error:
        message = (
            f"The {what} cache cannot be written to {folder} ({error.strerror or error}). Needed is a folder with room for {needs}; "
            "pass cache_dir=, such a folder."
        )
        raise CacheError(message) from error


def cache_key(*content: object) -> str:
    """SHA-256 of what decides on the content of a cache, 64 hexadecimal digits.

    Parameters
    ----------
    content
        What goes to JSON.
    """
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def find_or_make(folder: Path, read: Callable[[Path], T], make: Callable[[Path], T], *, files: Sequence[str]) -> tuple[Path, T]:
    """Read the index of a cache, or make the cache if there is none that can be used.

    Parameters
    ----------
    folder
        The cache, named by a hash of what decides on its content.
    read
        Reads the index in a folder; raises :class:`CacheError` if the cache cannot be used.
    make
        Writes all files into a folder and returns the index.
    files
        Names of the files, the index last.

    Returns
    -------
    The folder, and the index.
    """
    with contextlib.suppress(CacheError):
        return folder, read(folder)
    with _one_at_a_time(folder):
        with contextlib.suppress(CacheError):  # made by another process while this one waited
            return folder, read(folder)
        with temporary_folder(folder) as temporary:
            index = make(temporary)
            _publish_files(temporary, folder, files)
    return folder, index


@contextlib.contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
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
    with folder.with_name(f".{folder.name}.lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
        except OSError:  # a network file system without locks
            yield
            return
        for left_over in folder.parent.glob(f".{folder.name}-*"):  # named by temporary_folder
            shutil.rmtree(left_over, ignore_errors=True)
        yield


def _publish_files(temporary: Path, folder: Path, files: Sequence[str]) -> None:
    """Move the files to their place, the index last: a cache without a valid index is no cache.

    The name of the folder fixes the content of the files, so replacing one that another process
    reads changes nothing for it.
    """
    folder.mkdir(exist_ok=True)
    for name in files:
        publish(temporary / name, folder / name)
