"""A genome in the form in which alleles are checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome

__all__ = ["GenomeReference"]


class GenomeReference:
    """The functions :func:`classify_alleles` asks for, read from a genome; its equivalent names of
    contigs are understood.

    Parameters
    ----------
    genome
        The genome.
    """

    def __init__(self, genome: Genome) -> None:
        self._genome = genome
        self.contig_lengths: Mapping[str, int] = _Lengths(genome)
        """Length of each contig, in bases, by any name the genome knows."""

    def fetch(self, contig: str, start: int, end: int) -> str:
        """Bases of one stretch.

        Parameters
        ----------
        contig
            Name of the contig or an equivalent one.
        start, end
            0-based and half-open.

        Returns
        -------
        ``end - start`` letters, as in the file.
        """
        return self._genome.fetch(contig, start, end)

    def bases(self, contig: str, positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Bases at many positions of one contig.

        Parameters
        ----------
        contig
            Name of the contig or an equivalent one.
        positions
            0-based, (n,).

        Returns
        -------
        ASCII codes of the letters in the file, (n,).
        """
        return self._genome.windows(positions, 1, contigs=self._genome.contig_index(contig))[:, 0]


class _Lengths(Mapping[str, int]):
    """A view of the genome: a dictionary of all contigs would not know their other names."""

    def __init__(self, genome: Genome) -> None:
        self._genome = genome

    def __getitem__(self, contig: str) -> int:
        if contig not in self._genome:
            raise KeyError(contig)
        return int(self._genome.lengths[self._genome.contig_index(contig)])

    def __iter__(self) -> Iterator[str]:
        return iter(self._genome.contigs)

    def __len__(self) -> int:
        return len(self._genome.contigs)
