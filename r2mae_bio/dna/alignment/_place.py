"""Where the blocks of an alignment lie on the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from r2mae_bio._errors import RegionError
from r2mae_bio.dna.alignment._index import AlignedContig

if TYPE_CHECKING:
    from r2mae_bio.dna.alignment._maf import Block, Row
    from r2mae_bio.dna.genome._genome import Genome


class Place(NamedTuple):
    """Where a block lies."""

    row: Row
    """That of the reference, the first if there are several."""
    contig: int
    """Place of its contig among all."""
    start: int
    """First base on the plus strand, from 0."""


class ReferenceContigs:
    """Finds the row of the reference in blocks, and its contig.

    Parameters
    ----------
    reference
        The species that others are aligned to.
    genome
        Its genome; if None, contigs are those that blocks name, with the lengths they give.
    """

    def __init__(self, reference: str, genome: Genome | None) -> None:
        self._reference, self._genome = reference, genome
        self._known: dict[str, int] = {}
        self.contigs: list[AlignedContig] = []
        """All contigs; without a genome, those of the blocks so far."""
        if genome is not None:
            self.contigs += map(AlignedContig, genome.contigs, genome.lengths.tolist())

    def species_of(self, source: str) -> str:
        """The species of a row: the reference, whose name may hold dots, or what stands before the
        first dot.

        Parameters
        ----------
        source
            Name of the row.

        Returns
        -------
        Name of the species.
        """
        if source.startswith(self._reference) and source[len(self._reference) :][:1] in ("", "."):
            return self._reference
        return source.partition(".")[0]

    def place(self, block: Block) -> Place:
        """Find out where a block lies.

        Parameters
        ----------
        block
            The block.

        Returns
        -------
        Its place.

        Raises
        ------
        MafError
            It has no row of the reference, or one of another assembly.
        """
        row = next((row for row in block.rows if self.species_of(row.source) == self._reference), None)
        if row is None:
            shown = ", ".join(row.source for row in block.rows[:5])
            block.refuse(
                f"there is no row of the reference {self._reference!r} among {shown}; needed is one in each block. Pass the species that "
                "the file was projected on as reference=, or project it (maf_project, hal2maf --refGenome)."
            )
        contig = self._known.get(row.source)
        if contig is None:
            contig = self._known[row.source] = self._find(row, block)
        if row.length != self.contigs[contig].length:
            block.refuse(
                f"the row gives {row.source} {row.length:,} bases, {'the genome has' if self._genome else 'another row says'} "
                f"{self.contigs[contig].length:,}: they are of different assemblies."
            )
        return Place(row, contig, row.length - row.start - row.size if row.reverse else row.start)

    def _find(self, row: Row, block: Block) -> int:
        name = row.source[len(self._reference) + 1 :] or row.source
        if self._genome is None:
            self.contigs.append(AlignedContig(name, row.length))
            return len(self.contigs) - 1
        qualified = f"{self._reference}:{name}"
        try:
            return self._genome.contig_index(qualified if self._reference in self._genome.species else name)
        except RegionError as error:
            block.refuse(f"the genome does not know the contig of {row.source}. {error}")
