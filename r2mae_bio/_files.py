"""Files and folders that appear whole or not at all, whoever is killed when."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


@contextmanager
def whole_file(path: Path, *, temporary: Path | None = None) -> Iterator[Path]:
    """Write a file that nobody sees before it is complete.

    Parameters
    ----------
    path
        The file; one that exists is replaced, and folders that are missing are made.
    temporary
        Where it is written, on the same disk. By default a name that nobody else uses; one that is
        always the same suits a writer that is alone, since the next run writes over what a killed
        one left.

    Yields
    ------
    The path to write to. It ends as ``path`` does, for writers that go by the suffix. Without an
    error the file then gets its name; whatever happens, no other one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary or path.with_name(f".{secrets.token_hex(6)}-{path.name}")
    try:
        yield temporary
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def whole_folder(path: Path, *, overwrite: bool = False, beside: Path | None = None) -> Iterator[Path]:
    """Write a folder that nobody sees before it is complete: a crash leaves the old one or the new
    one.

    Parameters
    ----------
    path
        The folder; folders above it are made.
    overwrite
        Replace what is at ``path``.
    beside
        What the folder is written beside, on the same disk; ``path`` if None. Where every folder
        that lies beside ``path`` counts, as in a zarr group, it is to be something further up.

    Yields
    ------
    A folder to write to, which gets its name if there was no error.

    Raises
    ------
    OSError
        The disk is full, or there is something at ``path`` that is not to be replaced.
    """
    path = path.resolve()  # a link to a folder stays one, and what it points at is replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path if beside is None else beside.resolve()) as temporary:
        yield temporary
        for file in temporary.rglob("*"):
            if file.is_file():
                _settle(file)
        temporary.chmod(0o755)  # tempfile makes folders that only their owner may read
        if overwrite and path.exists():
            _swap(temporary, path)
        else:
            temporary.rename(path)
        _settle_folder(path.parent)


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """A folder beside ``path``, removed at the end unless it was renamed.

    Parameters
    ----------
    path
        What the folder is for; its name begins with a dot, this name and a hyphen.

    Yields
    ------
    The folder.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def overlapping(path: Path, others: Iterable[Path]) -> Path | None:
    """What would be lost, or changed, if ``path`` were replaced.

    Parameters
    ----------
    path
        A file or folder, there or not.
    others
        Files and folders.

    Returns
    -------
    The first of ``others`` that is ``path``, lies within it, or holds it; None if there is none.
    """
    here = path.resolve()
    for other in others:
        there = other.resolve()
        if here == there or here in there.parents or there in here.parents:
            return other
    return None


def refuse_existing(path: Path, *, overwrite: bool) -> None:
    """Refuse to replace what the user did not give away.

    Parameters
    ----------
    path
        Where something is to be written.
    overwrite
        What is there may go.

    Raises
    ------
    ConfigError
        Something is there.
    """
    if path.exists() and not overwrite:
        message = f"{path} exists already; pass overwrite=True to replace it, or choose another path."
        raise ConfigError(message)


def publish(temporary: Path, path: Path) -> None:
    """Give a complete file its name, once its content has reached the disk.

    The rename, too, is put on the disk where the system allows it.
    """
    _settle(temporary)
    temporary.replace(path)
    _settle_folder(path.parent)


def flush_to_disk(stream: IO[bytes]) -> None:
    """Wait until the operating system has written a file."""
    stream.flush()
    os.fsync(stream.fileno())


def _settle(file: Path) -> None:
    with file.open("rb+") as stream:
        flush_to_disk(stream)


def _settle_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every system opens folders
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


def _swap(new: Path, path: Path) -> None:
    old = new.with_name(f"{new.name}.old")
    try:
        path.rename(old)
        new.rename(path)
    except BaseException:
        if not path.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
