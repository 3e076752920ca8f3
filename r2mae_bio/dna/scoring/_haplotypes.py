"""Windows of the two haplotypes of an allele: equal in width, centred on the change, the same on
either strand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.dna._aligned import UNALIGNED, with_columns
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases, reverse_complement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import Columns
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.variants._alleles import MinimalChange

_HAPLOTYPES = 2


@dataclass(frozen=True, eq=False)
class HaplotypeWindows:
    """The reference (first) and the alternative (second) haplotype around each allele."""

    codes: NDArray[np.uint8]
    """Codes of the bases, (2, alleles, context); 4 beyond the ends of a contig."""
    scored: NDArray[np.int64]
    """First position of a window that is scored, and the position after the last, (2, alleles,
    2).
    """
    first: NDArray[np.int64]
    """Place on the contig of the first base of a window, (2, alleles)."""
    change: NDArray[np.int64]
    """Position of a window where the change is made, in the middle of the places that it can have;
    how many bases it inserts there, and how many it leaves out; (2, alleles, 3).
    """

    def places(self, windows: NDArray[np.int64], positions: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Where bases stand on their contigs, both (n,): their places, which may lie beyond the
        ends, and whether they have one, as inserted bases do not.

        Parameters
        ----------
        windows
            Number of the window of each base, those of the reference haplotype first.
        positions
            Position of each base in its window.
        """
        at, n_inserted, n_removed = self.change.reshape(-1, 3)[windows].T
        after = positions >= at + n_inserted
        place = self.first.reshape(-1)[windows] + positions + np.where(after, n_removed - n_inserted, 0)
        return place, (positions < at) | after

    def with_columns(self, columns: Columns, contigs: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Codes with what other species have at the places of the bases; they have nothing where a
        base was inserted.

        Parameters
        ----------
        columns
            What they have, by place.
        contigs
            Number of each allele's contig, (alleles,).

        Returns
        -------
        (2, alleles, context, 1 + S).
        """
        shape = self.codes.shape
        windows, positions = np.divmod(np.arange(self.codes.size), shape[2])
        place, known = self.places(windows, positions)
        found = columns.at(contigs[windows % shape[1]], place)
        found[~known] = UNALIGNED
        return with_columns(self.codes, found.reshape(*shape, -1))


def haplotype_windows(
    genome: Genome, contigs: NDArray[np.int64], changes: Sequence[MinimalChange], *, context: int, flank: int
) -> HaplotypeWindows:
    """Windows around alleles.

    A change within a repeat can be written at several places. All of them make the same haplotype,
    so the window is centred on, and scored over, the stretch that they span together: values do not
    depend on how a caller placed the allele, nor on the strand.

    Parameters
    ----------
    genome
        The genome.
    contigs
        Place in ``genome.contigs`` of each allele's contig, (alleles,).
    changes
        What each allele takes away and puts there; the removed bases are those of the genome.
    context
        Width of every window, bp.
    flank
        Bases scored on either side of the change, bp; none where one base replaces another.

    Returns
    -------
    The windows and the positions to score in them.
    """
    n = len(changes)
    codes = np.empty((_HAPLOTYPES, n, context), np.uint8)
    scored = np.empty((_HAPLOTYPES, n, 2), np.int64)
    first = np.empty((_HAPLOTYPES, n), np.int64)
    made = np.zeros((_HAPLOTYPES, n, 3), np.int64)
    left, right = _surroundings(genome, contigs, changes, context)
    for i, change in enumerate(changes):
        if len(change.inserted) != len(change.removed):  # else each base stands where the other did
            made[1, i, 1:] = len(change.inserted), len(change.removed)
        for haplotype, found in enumerate(_windows_of(left[i], right[i], change, context, flank)):
            codes[haplotype, i], scored[haplotype, i], moved, made[haplotype, i, 0] = found
            first[haplotype, i] = change.start + moved - made[haplotype, i, 0]
    return HaplotypeWindows(codes, scored, first, made)


def _surroundings(
    genome: Genome, contigs: NDArray[np.int64], changes: Sequence[MinimalChange], context: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Codes before and after each change, both (alleles, 2 context): enough for half a window after
    a shift by a whole one.
    """
    start = np.array([change.start for change in changes], np.int64)
    end = start + np.array([len(change.removed) for change in changes], np.int64)
    width = 2 * context
    size = genome.lengths[contigs]
    # a circle shorter than twice the context is gone round once; one shorter than the context is
    # read as if it were cut
    once = genome.is_circular[contigs] & (size >= context) & (size < width)
    reach = np.where(once, size, width)
    left, right = (np.full((len(changes), width), UNKNOWN, np.uint8) for _ in range(2))
    for length in np.unique(reach).tolist():
        rows = np.flatnonzero(reach == length)
        before = genome.windows(start[rows] - length, length, contigs=contigs[rows], outside="N")
        after = genome.windows(end[rows], length, contigs=contigs[rows], outside="N")
        left[rows, width - length :] = encode_bases(before)
        right[rows, :length] = encode_bases(after)
    return left, right


def _windows_of(
    left: NDArray[np.uint8], right: NDArray[np.uint8], change: MinimalChange, context: int, flank: int
) -> list[tuple[NDArray[np.uint8], tuple[int, int], int, int]]:
    """Window of each haplotype, the positions to score in it, how far ahead the change is moved to
    the middle of the stretch that it can be made in, and how many bases of the window lie before
    it then.
    """
    removed, inserted = encode_bases(change.removed), encode_bases(change.inserted)
    back, ahead = _room_to_shift(left, right, removed, inserted, context)
    before, after = left[: left.size - back], right[ahead:]
    spans = [np.concatenate([left[left.size - back :], bases, right[:ahead]]) for bases in (removed, inserted)]
    odd_left = _odd_base_goes_left(before, spans, after, context // 2 + 1)
    n_beside = 0 if removed.size == inserted.size == 1 else flank
    # the first place would be the last on the other strand
    middle = (back + ahead + (not odd_left)) // 2
    found = (_window(before, span, after, context, n_beside, odd_left=odd_left) for span in spans)
    return [(window, positions, middle - back, n_before + middle) for window, positions, n_before in found]


def _room_to_shift(
    left: NDArray[np.uint8], right: NDArray[np.uint8], removed: NDArray[np.uint8], inserted: NDArray[np.uint8], limit: int
) -> tuple[int, int]:
    """How far an insertion or deletion can be moved back and ahead, up to a limit, with the same
    haplotype as the result.
    """
    if removed.size and inserted.size:
        return 0, 0
    moved = removed if removed.size else inserted
    longer = np.concatenate([left, moved, right])
    start, end = left.size, left.size + moved.size
    back = _n_equal(longer[start - limit : start][::-1], longer[end - limit : end][::-1])
    ahead = _n_equal(longer[start : start + limit], longer[end : end + limit])
    return back, ahead


def _n_equal(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> int:
    """Number of first places at which both hold the same known base."""
    differs = (a != b) | (a == UNKNOWN)
    return int(np.argmax(differs)) if differs.any() else a.size


def _odd_base_goes_left(
    before: NDArray[np.uint8], spans: Sequence[NDArray[np.uint8]], after: NDArray[np.uint8], reach: int
) -> bool:
    """On which side a window has a base more, if it cannot have as many on both.

    "Always on the right" would be the left on the other strand. So the two strands are compared as
    text: which comes first does not depend on the one that is read. Where both are the same, so are
    the windows.
    """
    for span in spans:
        read = np.concatenate([before[before.size - reach :], span, after[:reach]])
        forward, backward = read.tobytes(), reverse_complement(read).tobytes()
        if forward != backward:
            return forward < backward
    return False


def _window(
    before: NDArray[np.uint8], span: NDArray[np.uint8], after: NDArray[np.uint8], context: int, flank: int, *, odd_left: bool
) -> tuple[NDArray[np.uint8], tuple[int, int], int]:
    """The bases around a span, which positions among them are scored, and how many come before the
    span; a span wider than the window is cut on both sides, by a negative number on the left.
    """
    room = context - span.size
    n_before = room // 2 + (room % 2 if odd_left else 0)
    first = before.size - n_before
    window = np.concatenate([before, span, after])[first : first + context]
    return window, (max(n_before - flank, 0), min(n_before + span.size + flank, context)), n_before
