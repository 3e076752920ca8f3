"""Aligned columns read as codes by where windows lie on a genome."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import SetupError, UnknownContigError
from r2mae_bio._keys import first_names
from r2mae_bio.dna._aligned import GAP, UNALIGNED
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases, reverse_complement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.alignment._alignment import Alignment
    from r2mae_bio.dna.genome._contigs import Contig
    from r2mae_bio.dna.genome._genome import Genome

_N_COMPARED: Final = 512
_ELSEWHERE: Final = -1
"""Stands for a contig that the alignment does not have."""


def _codes() -> bytes:
    table = bytearray(encode_bases(np.arange(256, dtype=np.uint8)).tobytes())
    table[0], table[ord("-")] = UNALIGNED, GAP
    return bytes(table)


_CODES: Final = _codes()


class AlignedColumns:
    """What other species have at the positions of a genome.

    Contigs are found by their names; those that the alignment lacks are not aligned.

    Parameters
    ----------
    alignment
        The alignment.
    genome
        The genome, which is that of the alignment's reference.
    species
        Which species, in this order; all of the alignment if None.

    Raises
    ------
    SetupError
        The alignment lacks a species, has none of the contigs, or was made on another assembly.
    """

    def __init__(self, alignment: Alignment, genome: Genome, species: Sequence[str] | None = None) -> None:
        self.species: tuple[str, ...] = alignment.species if species is None else tuple(species)
        """Names, in the order of the last axis."""
        missing = [name for name in self.species if name not in alignment.species]
        if missing:
            message = (
                f"{len(missing)} of {len(self.species)} species are not in {alignment!r}: {first_names(missing)}; it has "
                f"{first_names(alignment.species)}. Needed is an alignment with all of them, in any order."
            )
            raise SetupError(message)
        self._alignment, self._genome = alignment, genome
        places = [1 + alignment.species.index(name) for name in self.species]
        in_order = places == list(range(1, 1 + len(alignment.species)))
        self._places: slice | NDArray[np.int64] = slice(1, None) if in_order else np.array(places)
        self._offsets = self._find_contigs()
        self._check_letters()

    @property
    def n_species(self) -> int:
        """How many species there are, S."""
        return len(self.species)

    def nearness(self) -> NDArray[np.int64]:
        """Rank of each species by the share of its bases that are those of the reference, 0 the
        nearest, (S,).
        """
        identity = self._alignment.coverage["identity"].fillna(0.0)[list(self.species)].to_numpy()
        rank = np.empty(identity.size, np.int64)
        rank[np.argsort(-identity, kind="stable")] = np.arange(identity.size)
        return rank

    def windows(
        self, starts: NDArray[np.int64], length: int, *, contigs: Any = None, reverse: NDArray[np.bool_] | None = None
    ) -> NDArray[np.uint8]:
        """Columns of many windows of one length.

        Parameters
        ----------
        starts, length, contigs
            As for :meth:`r2mae_bio.io.Genome.windows`; beyond the ends of a contig nothing is
            aligned.
        reverse
            Rows to read on the other strand, bool (B,).

        Returns
        -------
        0 to 3 for A, C, G and T, 4 for N, 5 for a gap, 6 where nothing is aligned; uint8 (B, L, S).
        """
        if contigs is None:
            contig = np.searchsorted(self._genome.offsets, starts, side="right") - 1
            start = starts - self._genome.offsets[contig]
        else:
            contig, start = np.broadcast_to(np.asarray(contigs), np.shape(starts)), np.asarray(starts)
        columns = self._read(contig, start, length)
        if reverse is not None and reverse.any():
            # the other strand along the last axis, that of the species; turned back along it, and
            # turned round along the bases
            columns[reverse] = reverse_complement(columns[reverse])[:, ::-1, ::-1]
        return columns

    def at(self, contigs: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Columns at single positions.

        Parameters
        ----------
        contigs
            Place in ``genome.contigs`` of each position's contig, integers of any shape.
        positions
            Positions on them, of the same shape; on a circle they go round.

        Returns
        -------
        Codes as of :meth:`windows`, (..., S); 6 where there is no such position.
        """
        size, offset = self._genome.lengths[contigs], self._offsets[contigs]
        positions = np.where(self._genome.is_circular[contigs], positions % size, positions)
        inside = (offset != _ELSEWHERE) & (positions >= 0) & (positions < size)
        columns = np.full((*positions.shape, self.n_species), UNALIGNED, np.uint8)
        columns[inside] = self._encode(self._alignment._columns[offset[inside] + positions[inside]])
        return columns

    def _read(self, contig: NDArray[np.int64], start: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        offset = self._offsets[contig]
        whole = (offset != _ELSEWHERE) & (start >= 0) & (start <= self._genome.lengths[contig] - length)
        if whole.all():
            return self._gather(offset + start, length)
        columns = np.empty((start.size, length, self.n_species), np.uint8)
        columns[whole] = self._gather((offset + start)[whole], length)
        edges = start[~whole, None] + np.arange(length)
        columns[~whole] = self.at(np.broadcast_to(contig[~whole, None], edges.shape), edges)
        return columns

    def _gather(self, rows: NDArray[np.int64], length: int) -> NDArray[np.uint8]:
        """Windows that lie within their contigs: each is one element of an array of overlapping
        ones, so that it is copied as a whole.
        """
        columns = self._alignment._columns
        width = columns.shape[1]
        if not rows.size:
            return np.empty((0, length, self.n_species), np.uint8)
        overlapping: NDArray[Any] = np.ndarray(
            (len(columns) - length + 1,), f"V{length * width}", buffer=columns.data, strides=(width,)
        )
        return self._encode(overlapping[rows].view(np.uint8).reshape(rows.size, length, width))

    def _encode(self, columns: NDArray[np.uint8]) -> NDArray[np.uint8]:
        chosen = np.ascontiguousarray(columns[..., self._places])
        return np.frombuffer(bytearray(chosen.data).translate(_CODES), np.uint8).reshape(chosen.shape)

    def _find_contigs(self) -> NDArray[np.int64]:
        """First column of each contig of the genome, -1 where there is none, (contigs,)."""
        alignment, genome = self._alignment, self._genome
        starts = np.cumsum(alignment.lengths) - alignment.lengths
        offsets = np.full(len(genome.contigs), _ELSEWHERE, np.int64)
        named = alignment.reference in genome.species
        for i, contig in enumerate(genome.index):
            if named and contig.species != alignment.reference:
                continue
            j = self._find_contig(contig)
            if j is None:
                continue
            if alignment.lengths[j] != genome.lengths[i]:
                message = (
                    f"The contig {contig.qualified!r} has {genome.lengths[i]:,} bases in the genome and {alignment.lengths[j]:,} in "
                    f"{alignment!r}; needed is an alignment to this assembly."
                )
                raise SetupError(message)
            offsets[i] = starts[j]
        if (offsets == _ELSEWHERE).all():
            message = (
                f"None of the contigs of {genome!r} ({first_names(genome.contigs, 3)}) is one of {alignment!r} "
                f"({first_names(alignment.contigs, 3)}); needed is the genome of its reference. Open the alignment with genome=."
            )
            raise SetupError(message)
        return offsets

    def _find_contig(self, contig: Contig) -> int | None:
        """Number in the alignment of a contig of the genome; its own may be without species."""
        for name in (contig.qualified, contig.name):
            with suppress(UnknownContigError):
                return self._alignment.contig_index(name)
        return None

    def _check_letters(self) -> None:
        """Compare some letters of the reference with the genome."""
        here = np.flatnonzero(self._offsets != _ELSEWHERE)
        sizes = self._genome.lengths[here]
        every = np.arange(_N_COMPARED) * int(sizes.sum()) // _N_COMPARED
        which = np.searchsorted(np.cumsum(sizes), every, side="right")
        position = every - (np.cumsum(sizes) - sizes)[which]
        aligned = encode_bases(self._alignment._columns[self._offsets[here][which] + position, 0])
        genome = encode_bases(self._genome.windows(position, 1, contigs=here[which])[:, 0])
        both = (aligned < UNKNOWN) & (genome < UNKNOWN)
        wrong = int((aligned != genome)[both].sum())
        if wrong:
            message = (
                f"{wrong} of {int(both.sum())} letters of the reference of {self._alignment!r} are others in {self._genome!r}; needed is "
                "an alignment to this assembly. Opened with genome=, the alignment says where they differ."
            )
            raise SetupError(message)
