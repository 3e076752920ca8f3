"""The files of a genome or an alignment, and their hashes, remembered so that nobody hashes
gigabytes twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

from r2mae_bio._errors import ConfigError, DataError, FastaError
from r2mae_bio._files import whole_file

__all__ = ["FASTA", "FileKind", "Source", "SourcePaths", "file_state", "hash_of", "list_sources", "watch", "write_json"]

SourcePaths: TypeAlias = "str | os.PathLike[str] | Sequence[str | os.PathLike[str]]"
_MEMORY: Final = "sources.json"
_SETTLED_NS: Final = 2_000_000_000
"""A file changed more recently may change again under the same time stamp (FAT counts two seconds),
so its hash is not remembered.
"""


class FileKind(NamedTuple):
    """What a file should be, for messages."""

    name: str
    error: type[DataError]


FASTA: Final = FileKind("FASTA file", FastaError)


class Source(NamedTuple):
    """One file."""

    path: Path
    species: str
    """Empty if files were given without species."""


def list_sources(paths: SourcePaths | Mapping[str, SourcePaths], kind: FileKind = FASTA) -> tuple[Source, ...]:
    """The files in the order given.

    Parameters
    ----------
    paths
        One path, several, or either of them for each species.
    kind
        What the files should be.

    Returns
    -------
    The files, with absolute paths.

    Raises
    ------
    ConfigError
        No path is given, or a species is empty, holds ':' or blanks.
    DataError
        A file is missing or not a file; the class is that of ``kind``.
    """
    by_species = paths if isinstance(paths, Mapping) else {"": paths}
    if isinstance(paths, Mapping):
        for species in paths:
            _check_species(species)
    sources = tuple(
        Source(Path(path).expanduser().resolve(), name) for name, given in by_species.items() for path in _several(given)
    )
    if not sources:
        message = f"No path is given; needed is at least one {kind.name}."
        raise ConfigError(message)
    for source in sources:
        if not source.path.is_file():
            found = "is a folder or a pipe" if source.path.exists() else "does not exist"
            message = f"{source.path} {found}; needed is a {kind.name} on the disk, which is read more than once. Check the path."
            raise kind.error(message)
    return sources


def _several(paths: SourcePaths) -> Sequence[str | os.PathLike[str]]:
    return [paths] if isinstance(paths, str | os.PathLike) else paths


def _check_species(species: Any) -> None:
    if not isinstance(species, str) or not species or ":" in species or any(letter.isspace() for letter in species):
        message = (
            f"The species {species!r} cannot qualify contigs; needed is a str that is not empty and holds neither ':' nor blanks."
        )
        raise ConfigError(message)


def file_state(path: Path) -> list[int]:
    """What changes when the file does: size in bytes, times of the last change of content and of
    content or entry, in ns.
    """
    found = path.stat()
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns]


def watch(paths: Sequence[Path], kind: FileKind = FASTA) -> Callable[[], None]:
    """Remember the state of files, before anything is read of them.

    Parameters
    ----------
    paths
        The files.
    kind
        What they should be.

    Returns
    -------
    A function that raises ``kind.error`` if one of them has changed since.
    """
    states = [file_state(path) for path in paths]

    def check() -> None:
        for path, state in zip(paths, states, strict=True):
            if file_state(path) != state:
                message = f"{path} was changed while it was read; needed is a file that stays as it is. Open it again."
                raise kind.error(message)

    return check


def hash_of(path: Path, folder: Path, kind: FileKind = FASTA) -> str:
    """SHA-256 of a file, taken from ``folder`` if remembered there and the file is unchanged.

    Parameters
    ----------
    path
        The file.
    folder
        Where hashes are remembered; if it cannot be written, they are not.
    kind
        What the file should be.

    Returns
    -------
    The hash, hexadecimal.

    Raises
    ------
    DataError
        The file cannot be read; the class is that of ``kind``.
    """
    try:
        state = file_state(path)
        known = _remembered(folder).get(str(path))
        if isinstance(known, dict) and known.get("state") == state and isinstance(known.get("sha256"), str):
            return str(known["sha256"])
        started = time.time_ns()
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"{path} cannot be read ({error.strerror or error}). Needed is a {kind.name}; check its permissions."
        raise kind.error(message) from error
    if max(state[1:]) < started - _SETTLED_NS:
        with contextlib.suppress(OSError):
            write_json(folder / _MEMORY, {**_remembered(folder), str(path): {"state": state, "sha256": sha256}})
    return sha256


def _remembered(folder: Path) -> dict[str, Any]:
    try:
        memory = json.loads((folder / _MEMORY).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return memory if isinstance(memory, dict) else {}


def write_json(path: Path, content: Any) -> None:
    """Write JSON; no reader sees half of it."""
    with whole_file(path) as temporary:
        temporary.write_text(json.dumps(content, separators=(",", ":")), encoding="utf-8")
