"""The records of one region: by an index where there is one, else by reading them all."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio.dna.regions._text import parse_region
from r2mae_bio.dna.variants._bcf import bcf_contigs, bcf_lines, has_pysam, load_pysam

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from r2mae_bio.dna.genome._genome import Genome

_END: Final = re.compile(rb"(?:^|;)END=(\d{1,12})(?:;|$)")
_EVERY_BYTE: Final = "latin-1"
"""An encoding that gives back the bytes that were read, whatever they are."""


@dataclass(frozen=True)
class WantedRegion:
    """Records that overlap a stretch of a contig, by POS and the length of REF or INFO/END,
    whichever reaches further.
    """

    contig: str
    """Name of the contig."""
    start: int
    """First base, from 0."""
    end: int
    """Base after the last."""
    genome: Genome | None
    """A genome whose equivalent names are understood; None for the name alone."""

    @classmethod
    def of(cls, region: Any, genome: Genome | None) -> WantedRegion:
        """What a user asked for.

        Parameters
        ----------
        region
            See :func:`parse_region`.
        genome
            The genome, if it is known.

        Raises
        ------
        RegionError, UnknownContigError, AmbiguousContigError
            It is no region, or not on the genome.
        """
        contig, start, end = parse_region(region)
        if genome is not None:
            genome.contig_index(contig)
        return cls(contig, start, end, genome)

    def __str__(self) -> str:
        return f"{self.contig}:{self.start + 1}-{self.end}"

    def is_on(self, name: str) -> bool:
        """Whether a file's name of a contig is that of the region."""
        if name == self.contig or self.genome is None:
            return name == self.contig
        return name in self.genome and self.genome.contig_index(name) == self.genome.contig_index(self.contig)

    def overlaps(self, name: str, pos: int, n_ref: int, end: int = 0) -> bool:
        """Whether a record overlaps.

        Parameters
        ----------
        name
            Its contig.
        pos
            Position of the first base of REF, from 1.
        n_ref
            Bases of REF.
        end
            Last base by INFO/END, from 1; 0 without.
        """
        return pos <= self.end and max(pos + n_ref - 1, end) > self.start and self.is_on(name)

    def has(self, line: bytes) -> bool:
        """Whether a line is a record that overlaps; one that is no record stays, for whoever reads
        it to say so.
        """
        columns = line.rstrip(b"\r\n").split(b"\t", 8)
        if len(columns) < 8 or not columns[1].isdigit():
            return bool(line.strip())
        found = _END.search(columns[7])
        name = columns[0].decode("utf-8", "replace")
        return self.overlaps(name, int(columns[1]), len(columns[3]), int(found[1]) if found else 0)


def index_of(path: Path) -> Path | None:
    """The index of a file that was not changed since.

    Parameters
    ----------
    path
        A file, compressed by bgzip.

    Returns
    -------
    The ``.tbi`` or ``.csi`` beside it; None if there is none that is newer, or nothing to read it
    with.
    """
    for suffix in (".tbi", ".csi"):
        index = path.with_name(path.name + suffix)
        if index.is_file() and index.stat().st_mtime >= path.stat().st_mtime and has_pysam():
            return index
    return None


@contextmanager
def indexed_lines(path: Path, index: Path, wanted: WantedRegion, *, bcf: bool) -> Iterator[Iterator[bytes]]:
    """Header and records of a region, with line ends.

    Parameters
    ----------
    path
        The file.
    index
        Its index.
    wanted
        The region.
    bcf
        Whether the file is BCF.

    Yields
    ------
    The lines; those of records that only an index of another version takes for overlapping are left
    out.
    """
    if bcf:
        regions = [(name, wanted.start, wanted.end) for name in bcf_contigs(path) if wanted.is_on(name)]
        with bcf_lines(path, path, regions) as lines:
            yield only(lines, wanted)
        return
    with load_pysam().TabixFile(str(path), index=str(index), encoding=_EVERY_BYTE) as file:
        yield only(_tabix_text(file, wanted), wanted)


def _tabix_text(file: Any, wanted: WantedRegion) -> Iterator[bytes]:
    try:
        for line in file.header:
            yield line.encode(_EVERY_BYTE) + b"\n"
        for name in file.contigs:
            if wanted.is_on(name):
                for line in file.fetch(name, wanted.start, wanted.end):
                    yield line.encode(_EVERY_BYTE) + b"\n"
    except (OSError, ValueError) as error:  # the same as for a compressed text that ends too early
        raise EOFError(str(error)) from error


def only(lines: Iterator[bytes], wanted: WantedRegion) -> Iterator[bytes]:
    """The header, and the records of a region.

    Parameters
    ----------
    lines
        Lines of a VCF file.
    wanted
        The region.
    """
    return (line for line in lines if line.startswith(b"#") or wanted.has(line))
