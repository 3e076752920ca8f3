"""Windows of one length drawn from stretches of a genome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.genome._windows import check_window
from r2mae_bio.dna.regions._intervals import FAR, Runs, intersect, merge
from r2mae_bio.dna.regions._pieces import iter_codes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._intervals import Intervals

__all__ = ["WindowSampler"]


class WindowSampler:
    """Draws windows that lie wholly in an interval and of which at least half the bases are A, C, G
    or T.

    Where such a window may start is worked out once, so every start is equally likely and none is
    drawn in vain. The bases are read for that only on contigs that have others than A, C, G and T.

    Parameters
    ----------
    genome
        The genome.
    intervals
        Where windows may lie.
    length
        Bases of a window.
    species_weights
        Share of the windows that each species gets, ``{species: weight}``, in any unit; 0 leaves
        one out. By default every start is equally likely, so species count in proportion to their
        length.

    Raises
    ------
    DataError
        No interval holds a window, or none with enough known bases.
    ConfigError
        The weights do not fit the species.
    """

    def __init__(
        self, genome: Genome, intervals: Intervals, length: int, *, species_weights: Mapping[str, float] | None = None
    ) -> None:
        check_window(length, "error")
        self.length = int(length)
        """Bases of a window."""
        fits = intervals.lengths >= length
        self.n_too_short: int = int((~fits).sum())
        """Intervals that are shorter than a window and give none."""
        self._intervals = intervals.take(fits)
        self._first = genome.offsets[self._intervals.contig] + self._intervals.start
        if not len(self._intervals):
            raise DataError(_no_interval(intervals, length))
        of_interval, self._start, self._end = self._allowed(genome)
        if not self._start.size:
            message = (
                f"All windows of {length} bases in these intervals are more than half unknown (N); needed are stretches of A, C, G, T. "
                "Choose a shorter window or other intervals."
            )
            raise DataError(message)
        species = np.array(genome.species)[self._intervals.contig[of_interval]]
        self._group(species, species_weights)

    def __repr__(self) -> str:
        return f"WindowSampler({self.n_starts:,} starts of windows of {self.length} bases)"

    @property
    def n_starts(self) -> int:
        """Starts a window may have."""
        return int((self._end - self._start).sum())

    def _allowed(self, genome: Genome) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Runs of global starts, in order, and the interval each belongs to."""
        last = self._first + self._intervals.lengths - self.length + 1
        known_enough = _mostly_known(_unknown_runs(genome, self._intervals), self.length)
        return intersect((self._first, last), known_enough)

    def _group(self, species: NDArray[np.str_], weights: Mapping[str, float] | None) -> None:
        """Number the starts so that those of a group follow each other; a group is a species, or
        all if there are no weights.
        """
        names = ["all"] if weights is None else list(dict.fromkeys(species.tolist()))
        share = np.ones(1) if weights is None else _shares(names, weights)
        member = np.zeros(species.size, np.int64) if weights is None else np.array([names.index(s) for s in species])
        order = np.argsort(member, kind="stable")
        size = (self._end - self._start)[order]
        self._up_to = np.cumsum(size)
        self._shift = self._start[order] - (self._up_to - size)  # from the number of a start to its position
        self._group_size = np.bincount(member, self._end - self._start).astype(np.int64)
        self._group_first = np.cumsum(self._group_size) - self._group_size
        self._group_up_to = np.cumsum(share) / share.sum()
        self._group_up_to[np.flatnonzero(share)[-1] :] = 1.0  # a sum of shares may miss 1 by rounding

    def draw(self, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw windows, with replacement.

        Parameters
        ----------
        n
            How many.
        generator
            Source of randomness; nothing else enters.

        Returns
        -------
        Global position of the first base of each, int64 (n,), as :meth:`Genome.windows` takes them.
        """
        if self._group_size.size == 1:
            number = generator.integers(0, self._group_size[0], n)
        else:
            group = np.searchsorted(self._group_up_to, generator.random(n), side="right")
            number = self._group_first[group] + generator.integers(0, self._group_size[group])
        return number + self._shift[np.searchsorted(self._up_to, number, side="right")]

    def tiles(self) -> NDArray[np.int64]:
        """Windows side by side from the beginning of each interval.

        Returns
        -------
        Global position of the first base of each, ascending, int64 (tiles,). Those with too many
        unknown bases are left out, and so is what remains at the end of an interval.
        """
        n_tiles = self._intervals.lengths // self.length
        before = np.repeat(np.cumsum(n_tiles) - n_tiles, n_tiles)
        start = np.repeat(self._first, n_tiles) + self.length * (np.arange(before.size) - before)
        run = np.searchsorted(self._start, start, side="right") - 1
        return start[(run >= 0) & (start < self._end[run])]


def _no_interval(intervals: Intervals, length: int) -> str:
    if not len(intervals):
        return "There is no interval; needed is at least one that holds a window."
    return (
        f"The longest of {len(intervals)} intervals has {intervals.lengths.max()} bases; needed is one window of {length}. "
        "Choose a shorter window or longer intervals."
    )


def _shares(names: list[str], weights: Mapping[str, float]) -> NDArray[np.float64]:
    missing, unknown = [n for n in names if n not in weights], [w for w in weights if w not in names]
    if missing or unknown:
        message = (
            f"species_weights is given for {sorted(weights)}, the species with windows are {names}; needed is a weight for each of these and "
            "for no other."
        )
        raise ConfigError(message)
    share = np.array([weights[name] for name in names], float)
    if not (np.isfinite(share).all() and share.min() >= 0 and share.max() > 0):
        message = f"species_weights is {dict(weights)}; needed are numbers of at least 0, one of them positive."
        raise ConfigError(message)
    return share


def _unknown_runs(genome: Genome, intervals: Intervals) -> Runs:
    """Where the bases are not known, in global positions; contigs that the index calls clean are
    not read.
    """
    clean = np.array([contig.n_acgt == contig.length for contig in genome.index])
    searched = intervals.take(~clean[intervals.contig])
    starts, ends = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for i, at, codes in iter_codes(genome, searched):
        flags = np.zeros(codes.size + 2, np.int8)
        flags[1:-1] = codes >= UNKNOWN
        change = np.diff(flags)
        offset = genome.offsets[searched.contig[i]] + at
        starts.append(np.flatnonzero(change == 1) + offset)
        ends.append(np.flatnonzero(change == -1) + offset)
    return merge(np.concatenate(starts), np.concatenate(ends))


def _mostly_known(unknown: Runs, length: int) -> Runs:
    """Starts of windows with at least half their bases known.

    The number of unknown bases of a window is a piecewise linear function of its start, of slope
    -1, 0 or 1, that bends where an end of the window meets an end of an unknown stretch; between
    two bends the starts that pass are one stretch.
    """
    ends = np.stack(unknown, axis=1).ravel()
    known = np.zeros(ends.size, np.int64)
    known[1::2] = np.cumsum(unknown[1] - unknown[0])
    known[2::2] = known[1:-1:2]  # unknown bases before each end of a stretch
    bends = np.unique(np.concatenate([[-FAR, FAR], ends, ends - length]))
    if not ends.size:
        return bends[:1], bends[1:]
    count = (np.interp(bends + length, ends, known) - np.interp(bends, ends, known)).astype(np.int64)
    here, slope, most = count[:-1], np.sign(np.diff(count)), length // 2
    start = np.where(slope < 0, np.maximum(bends[:-1], bends[:-1] + here - most), bends[:-1])
    end = np.where(slope > 0, np.minimum(bends[1:], bends[:-1] + most - here + 1), bends[1:])
    passes = (start < end) & ((slope != 0) | (here <= most))
    return merge(start[passes], end[passes])
