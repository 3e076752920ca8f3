"""The index of a genome cache: what the contigs are and where their bases lie."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from r2mae_bio._errors import CacheError
from r2mae_bio.dna.genome._contigs import Contig
from r2mae_bio.dna.genome._sources import write_json

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

T = TypeVar("T")

FORMAT: Final = 1
"""Version of the files of a cache; a cache of another version is not read."""
BASES: Final = "bases.u8"
"""The bases of all contigs, one after the other, a byte each."""
INDEX: Final = "index.json"
_COLUMNS: Final = (
    "name",
    "species",
    "source",
    "description",
    "offset",
    "length",
    "n_acgt",
    "n_unknown",
    "n_iupac",
    "n_soft_masked",
)


@dataclass(frozen=True)
class GenomeIndex:
    """What is known of the bases without reading them."""

    contigs: tuple[Contig, ...]
    """In the order of the files and of the records in them."""
    crc32: int
    """Checksum of all bases."""

    @property
    def n_bases(self) -> int:
        """Bases of all contigs."""
        return sum(contig.length for contig in self.contigs)


def write_index(folder: Path, index: GenomeIndex) -> None:
    """Write the index, with a checksum of itself.

    Parameters
    ----------
    folder
        Folder of the cache.
    index
        The index.
    """
    rows = [[getattr(contig, column) for column in _COLUMNS] for contig in index.contigs]
    write_checked(folder, FORMAT, {"crc32": index.crc32, "columns": list(_COLUMNS), "contigs": rows})


def read_index(folder: Path) -> GenomeIndex:
    """Read the index of a cache and make sure that the bases are there.

    Parameters
    ----------
    folder
        Folder of the cache.

    Returns
    -------
    The index.

    Raises
    ------
    CacheError
        A file is missing, damaged, of another size than the index says or of another version.
    """

    def understand(content: Any) -> GenomeIndex:
        contigs = tuple(Contig(**dict(zip(content["columns"], row, strict=True))) for row in content["contigs"])
        if len({contig.qualified for contig in contigs}) < len(contigs):  # older versions took one file twice
            message = "several contigs have one name"
            raise ValueError(message)
        return GenomeIndex(contigs, content["crc32"])

    return read_checked(folder, FORMAT, understand, lambda index: (BASES, index.n_bases), "genome")


def write_checked(folder: Path, version: int, content: Any) -> None:
    """Write an index as JSON, with a checksum of itself.

    Parameters
    ----------
    folder
        Folder of the cache.
    version
        Version of the files of the cache.
    content
        The index in forms that JSON knows.
    """
    write_json(folder / INDEX, {"format": version, "check": _check(content), "content": content})


def read_checked(
    folder: Path, version: int, understand: Callable[[Any], T], sized: Callable[[T], tuple[str, int]], what: str
) -> T:
    """Read an index written by :func:`write_checked`.

    Parameters
    ----------
    folder
        Folder of the cache.
    version
        Version of the files that can be read.
    understand
        Makes the index of its content.
    sized
        Name of the file that the index is of, and the bytes that it should have.
    what
        What was cached, for messages.

    Returns
    -------
    The index.

    Raises
    ------
    CacheError
        A file is missing, damaged, of another size than the index says or of another version.
    """
    try:
        stored = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        found = stored["format"]
        if found == version and stored["check"] == _check(stored["content"]):
            index = understand(stored["content"])
            name, needed = sized(index)
            size = (folder / name).stat().st_size
            if size == needed:
                return index
            problem = f"{name} has {size} bytes, the index says {needed}"
        else:
            problem = f"{INDEX} does not fit its checksum" if found == version else f"its format is {found!r}, not {version}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"{error!r}"
    message = (
        f"The {what} cache {folder} cannot be used: {problem}. Open the {what} again from its files; that makes the cache anew."
    )
    raise CacheError(message)


def _check(content: Any) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
