"""Long sequences as overlapping tiles, all of one length, in each of which some bases count.

Positions that may lie between two bases, such as the middle of an even number of them, are kept
doubled, so that all of this is in whole numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_NEVER: Final = np.iinfo(np.int64).max // 4
"""Twice a position that no sequence reaches."""


@dataclass(frozen=True, eq=False)
class Tiles:
    """Stretches of sequences, T of them."""

    sequence: NDArray[np.int64]
    """Number of the sequence, (T,)."""
    start: NDArray[np.int64]
    """First base on the sequence, from 0, (T,)."""
    length: NDArray[np.int64]
    """Bases, (T,)."""
    lower: NDArray[np.int64]
    """Twice the position below which the tile before is more central, (T,)."""
    upper: NDArray[np.int64]
    """Twice the position above which the tile after is more central, (T,)."""

    def __len__(self) -> int:
        return self.start.size

    def take(self, rows: NDArray[np.int64]) -> Tiles:
        """Some of the tiles."""
        return Tiles(self.sequence[rows], self.start[rows], self.length[rows], self.lower[rows], self.upper[rows])

    def shares(self) -> NDArray[np.float32]:
        """How much each base of tiles of one length L counts, (T, L); over all tiles of a sequence
        the shares of a base add up to 1.

        A base counts in the tile in which it lies most central, and half in each of two where it is
        equally central.
        """
        twice = 2 * (self.start[:, None] + np.arange(self.length[0]))
        lower, upper = self.lower[:, None], self.upper[:, None]
        return (0.5 * ((twice >= lower) & (twice <= upper)) + 0.5 * ((twice > lower) & (twice < upper))).astype(np.float32)

    def batches(self, n_rows: Callable[[int], int]) -> Iterator[Tiles]:
        """Tiles of equal length together, so that none needs padding.

        Parameters
        ----------
        n_rows
            Largest number of tiles, given their length.

        Yields
        ------
        Some tiles of one length.
        """
        order = np.argsort(self.length, kind="stable")
        for rows in np.split(order, 1 + np.flatnonzero(np.diff(self.length[order]))):
            step = n_rows(int(self.length[rows[0]]))
            for first in range(0, rows.size, step):
                yield self.take(rows[first : first + step])


def choose_overlap(overlap: int | None, window: int) -> int:
    """Bases that neighbouring tiles share at least.

    Parameters
    ----------
    overlap
        What the user asked for; a quarter of the window if None.
    window
        Length of a tile.

    Returns
    -------
    The overlap in bases.

    Raises
    ------
    ConfigError
        It is negative or not smaller than the window.
    """
    if overlap is None:
        return window // 4
    if isinstance(overlap, bool) or not isinstance(overlap, int | np.integer) or not 0 <= overlap < window:
        message = (
            f"overlap={overlap!r}; needed is a whole number of bases from 0 to {window - 1}, one less than the model's window."
        )
        raise ConfigError(message)
    return int(overlap)


def plan_tiles(lengths: Sequence[int] | NDArray[np.int64], window: int, overlap: int) -> Tiles:
    """Tiles of sequences of any length.

    Parameters
    ----------
    lengths
        Bases of each sequence, at least 1.
    window
        Length of a tile; a sequence that is not longer is one tile.
    overlap
        Bases that neighbouring tiles share at least.

    Returns
    -------
    The tiles, sequence by sequence.
    """
    starts = [_starts(int(length), window, overlap) for length in lengths]
    counts = np.array([s.size for s in starts])
    sequence = np.repeat(np.arange(len(starts)), counts)
    start = np.concatenate(starts)
    length = np.minimum(np.asarray(lengths, np.int64), window)[sequence]
    border = start[:-1] + start[1:] + length[1:] - 1  # twice the middle between the centres of two neighbours
    last = np.diff(sequence) > 0
    lower = np.concatenate([[-_NEVER], np.where(last, -_NEVER, border)])
    upper = np.concatenate([np.where(last, _NEVER, border), [_NEVER]])
    return Tiles(sequence, start, length, lower, upper)


def _starts(length: int, window: int, overlap: int) -> NDArray[np.int64]:
    """Evenly spread and the same seen from either end, so that a sequence and its reverse
    complement have the same tiles.
    """
    room = length - window
    if room <= 0:
        return np.zeros(1, np.int64)
    gaps = -(-room // (window - overlap))
    if gaps % 2 == 0 and room % 2:  # a middle tile cannot lie in the middle
        gaps += 1
    first = -(np.arange((gaps + 2) // 2) * -room // gaps)  # rounded up: the step across the middle is not too long
    return np.concatenate([first, (room - first[: (gaps + 1) // 2])[::-1]])
