"""Stretches of a genome as arrays: merged, sorted, on their contigs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np

from r2mae_bio._errors import RegionError
from r2mae_bio.dna.regions._regions import read_regions

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome

Runs: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.int64]]"
"""Starts and ends, excluded."""

FAR: Final = np.iinfo(np.int64).max // 2
"""Beyond any position."""


def merge(start: NDArray[np.int64], end: NDArray[np.int64]) -> Runs:
    """Sort stretches and join those that overlap or touch.

    Parameters
    ----------
    start, end
        Stretches that are not empty, in any order, (n,).

    Returns
    -------
    Starts and ends, sorted.
    """
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    opens = np.ones(start.size, bool)
    opens[1:] = start[1:] > reach[:-1]
    return start[opens], reach[np.append(opens[1:], True)] if start.size else reach


def complement(runs: Runs) -> Runs:
    """All that lies between sorted stretches, before and after them.

    Parameters
    ----------
    runs
        Sorted and disjoint.

    Returns
    -------
    One stretch more; the first begins and the last ends beyond any position.
    """
    return np.append(-FAR, runs[1]), np.append(runs[0], FAR)


def intersect(a: Runs, b: Runs) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The common parts of each stretch of ``a`` with those of ``b``.

    Parameters
    ----------
    a
        Stretches.
    b
        Stretches, sorted and disjoint.

    Returns
    -------
    Number of the stretch of ``a``, start and end of each part.
    """
    first = np.searchsorted(b[1], a[0], side="right")
    n_parts = np.maximum(np.searchsorted(b[0], a[1], side="left") - first, 0)
    of_a = np.repeat(np.arange(a[0].size), n_parts)
    of_b = np.arange(of_a.size) - np.repeat(np.cumsum(n_parts) - n_parts - first, n_parts)
    start, end = np.maximum(a[0][of_a], b[0][of_b]), np.minimum(a[1][of_a], b[1][of_b])
    kept = start < end  # an empty gap between touching stretches has no part
    return of_a[kept], start[kept], end[kept]


_STRIDE: Final = 1 << 40  # contigs one after the other on one line, far enough apart that no two touch


@dataclass(frozen=True, eq=False)
class Intervals:
    """Stretches of contigs, sorted, none touching another of its contig; a circular contig is cut
    at its origin.

    Made by :meth:`of`, :meth:`whole` or :meth:`from_regions`.
    """

    contig: NDArray[np.int64]
    """Position of the contig in ``Genome.contigs``, shape (n,)."""
    start: NDArray[np.int64]
    """First base on the contig, from 0, shape (n,)."""
    end: NDArray[np.int64]
    """Base after the last, at most the length of the contig, shape (n,)."""

    @classmethod
    def of(cls, genome: Genome, contig: Any, start: Any, end: Any) -> Intervals:
        """Intervals from stretches in any order: clipped to linear contigs, led round circular
        ones, merged.

        Parameters
        ----------
        genome
            The genome.
        contig, start, end
            Positions of contigs, first bases and ends (excluded), integers (n,); empty stretches
            are left out.

        Returns
        -------
        The intervals.
        """
        number, first, last = (np.atleast_1d(np.asarray(a, np.int64)) for a in (contig, start, end))
        length, circle = genome.lengths[number], genome.is_circular[number]
        full = circle & (last - first >= length)
        first, last = np.where(full, 0, first), np.where(full, length, last)
        turns = np.where(circle, first // length * length, 0)
        first, last = first - turns, last - turns
        over = circle & (last > length)  # what runs over the origin begins again at 0
        number = np.concatenate([number, number[over]])
        first = np.concatenate([first, np.zeros(int(over.sum()), np.int64)])
        last = np.concatenate([last, last[over] - length[over]])
        first, last = np.maximum(first, 0), np.minimum(last, genome.lengths[number])
        kept = first < last
        return cls._from_line(*merge(*_on_line(number[kept], first[kept], last[kept])))

    @classmethod
    def whole(cls, genome: Genome) -> Intervals:
        """All contigs from end to end.

        Parameters
        ----------
        genome
            The genome.

        Returns
        -------
        One interval per contig.
        """
        return cls.of(genome, np.arange(len(genome.contigs)), np.zeros_like(genome.lengths), genome.lengths)

    @classmethod
    def from_regions(cls, genome: Genome, regions: Any) -> Intervals:
        """Intervals from a BED file, a table or a list of ``(chrom, start, end)``.

        Parameters
        ----------
        genome
            The genome.
        regions
            What :func:`read_regions` takes; strands and names are not looked at. On a circular
            contig a region may run over the end into the beginning.

        Returns
        -------
        The intervals.

        Raises
        ------
        RegionError
            A region does not lie on its contig.
        UnknownContigError, AmbiguousContigError
            A contig cannot be found.
        BedError
            The regions cannot be read.
        """
        table = read_regions(regions)
        position = {name: genome.contig_index(name) for name in table["chrom"].unique()}
        contig = table["chrom"].map(position).to_numpy(np.int64)
        start, end = (table[name].to_numpy(np.int64) for name in ("start", "end"))
        _check_on_contig(genome, contig, start, end)
        return cls.of(genome, contig, start, end)

    @classmethod
    def _from_line(cls, first: NDArray[np.int64], last: NDArray[np.int64]) -> Intervals:
        contig = first // _STRIDE
        return cls(contig, first - contig * _STRIDE, last - contig * _STRIDE)

    def _line(self) -> Runs:
        return _on_line(self.contig, self.start, self.end)

    def __len__(self) -> int:
        """Number of intervals."""
        return self.contig.size

    def __repr__(self) -> str:
        return f"Intervals({len(self):,} intervals, {self.n_bases:,} bases)"

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bases of each interval, shape (n,)."""
        return self.end - self.start

    @property
    def n_bases(self) -> int:
        """Bases of all intervals."""
        return int(self.lengths.sum())

    def take(self, chosen: Any) -> Intervals:
        """Some of the intervals.

        Parameters
        ----------
        chosen
            Mask, bool (n,).

        Returns
        -------
        Those for which it is true.
        """
        return Intervals(self.contig[chosen], self.start[chosen], self.end[chosen])

    def intersect(self, other: Intervals) -> Intervals:
        """What lies in both.

        Parameters
        ----------
        other
            Intervals of the same genome.

        Returns
        -------
        The common part.
        """
        return self._from_line(*intersect(self._line(), other._line())[1:])

    def subtract(self, other: Intervals) -> Intervals:
        """What lies here and not there.

        Parameters
        ----------
        other
            Intervals of the same genome.

        Returns
        -------
        The rest.
        """
        return self._from_line(*intersect(self._line(), complement(other._line()))[1:])

    def widen(self, genome: Genome, by: int) -> Intervals:
        """The intervals with their neighbourhood, also over the origin of a circle.

        Parameters
        ----------
        genome
            The genome.
        by
            Bases to add on either side, at least 0.

        Returns
        -------
        The wider intervals, merged where they meet.
        """
        return self.of(genome, self.contig, self.start - by, self.end + by)


def _on_line(contig: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> Runs:
    return contig * _STRIDE + start, contig * _STRIDE + end


def leave_contig(
    genome: Genome, contig: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Which regions run over the end of their contig, other than once round a circle.

    Parameters
    ----------
    genome
        The genome.
    contig, start, end
        The regions, (n,), 0-based and half-open.

    Returns
    -------
    Mask, bool (n,).
    """
    length = genome.lengths[contig]
    wraps = genome.is_circular[contig] & (start < length) & (end - start <= length)
    return (end > length) & ~wraps


def _check_on_contig(genome: Genome, contig: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]) -> None:
    wrong = leave_contig(genome, contig, start, end)
    if wrong.any():
        i = int(np.argmax(wrong))
        size = genome.lengths[contig[i]]
        message = (
            f"Region {i}, {start[i]} to {end[i]}, does not lie on the contig {genome.contigs[contig[i]]!r} of {size} bases. "
            "Are the regions those of this assembly? If the contig is a circle, open the genome with circular=."
        )
        raise RegionError(message)
