"""The index of the cache of an alignment: which species, which contigs, how much is aligned."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio.dna.genome._index import read_checked, write_checked

if TYPE_CHECKING:
    from pathlib import Path

FORMAT: Final = 1
"""Version of the files of a cache; a cache of another version is not read."""
COLUMNS: Final = "columns.u8"
"""Position by position of all contigs, a byte for the reference and one for each species: an
upper-case letter, '-' for a gap, 0 where nothing is aligned. The bytes of a position lie together,
since a window of many species is then read from few pages; what is 0 takes no room on the disk
where the file system has sparse files.
"""


@dataclass(frozen=True, slots=True)
class AlignedContig:
    """One contig of the reference."""

    name: str
    """Name without the reference."""
    length: int
    """Bases."""
    species: str = ""
    """Always empty; :class:`ContigNames` asks for it."""

    @property
    def qualified(self) -> str:
        """The name."""
        return self.name


@dataclass(frozen=True)
class AlignmentIndex:
    """What is known of the columns without reading them."""

    contigs: tuple[AlignedContig, ...]
    """Those of the genome, or of the files in the order in which they appear."""
    species: tuple[str, ...]
    """In the order in which they appear, without the reference."""
    aligned: tuple[int, ...]
    """Positions with a letter, by species."""
    gaps: tuple[int, ...]
    """Positions with a gap within a block, by species."""
    identical: tuple[int, ...]
    """Positions with the letter of the reference, by species."""
    repeated_rows: tuple[int, ...]
    """Rows left out since the block had one of the species before, by species."""
    n_blocks: int
    """Blocks of all files."""
    n_covered: int
    """Positions in a block."""
    n_overlapping: int
    """Positions that blocks brought again."""

    @property
    def n_positions(self) -> int:
        """Bases of all contigs."""
        return sum(contig.length for contig in self.contigs)

    @property
    def n_bytes(self) -> int:
        """Size of the columns."""
        return self.n_positions * (1 + len(self.species))


def write_index(folder: Path, index: AlignmentIndex) -> None:
    """Write the index.

    Parameters
    ----------
    folder
        Folder of the cache.
    index
        The index.
    """
    contigs = [[contig.name, contig.length] for contig in index.contigs]
    write_checked(folder, FORMAT, asdict(index) | {"contigs": contigs})


def read_index(folder: Path) -> AlignmentIndex:
    """Read the index of a cache and make sure that the columns are there.

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
    return read_checked(folder, FORMAT, _understand, lambda index: (COLUMNS, index.n_bytes), "alignment")


def _understand(content: dict[str, Any]) -> AlignmentIndex:
    contigs = tuple(AlignedContig(*row) for row in content["contigs"])
    fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in content.items()}
    fields["contigs"] = contigs
    return AlignmentIndex(**fields)
