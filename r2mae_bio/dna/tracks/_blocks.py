"""The bases that are asked for, cut into blocks, and the share of one run among several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

BLOCK: Final = 1024
"""Bases that are predicted together. Blocks are the same in every share, for libraries round
products of other sizes otherwise, and shares put together are to equal the whole bit for bit.
"""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Pieces of intervals, one after the other; each (n,)."""

    contig: NDArray[np.int64]
    """Position of the contig in ``Genome.contigs``."""
    start: NDArray[np.int64]
    """First base on the contig, from 0."""
    end: NDArray[np.int64]
    """Base after the last."""
    begin: NDArray[np.int64]
    """Bases in all blocks before."""

    @classmethod
    def of(cls, contig: Any, start: Any, end: Any) -> Blocks:
        """Cut intervals.

        Parameters
        ----------
        contig, start, end
            The intervals, integers (m,), in order and disjoint.

        Returns
        -------
        Blocks of :data:`BLOCK` bases; the last of an interval has what is left.
        """
        number, first, last = (np.asarray(values, np.int64) for values in (contig, start, end))
        n_pieces = -(-(last - first) // BLOCK)
        of = np.repeat(np.arange(number.size), n_pieces)
        piece = np.arange(of.size) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
        begins = first[of] + piece * BLOCK
        ends = np.minimum(begins + BLOCK, last[of])
        sizes = ends - begins
        return cls(number[of], begins, ends, np.cumsum(sizes) - sizes)

    def __len__(self) -> int:
        """Number of blocks."""
        return self.contig.size

    @property
    def n_bases(self) -> int:
        """Bases of all blocks."""
        return self.bases_before(len(self))

    def bases_before(self, block: int) -> int:
        """Bases in front of a block; of all for the number of blocks."""
        if block < len(self):
            return int(self.begin[block])
        return int(self.begin[-1] + self.end[-1] - self.start[-1]) if len(self) else 0

    def share(self, shard: tuple[int, int]) -> tuple[int, int]:
        """The blocks of one of several runs: all shares together are all blocks, each once, and
        hold as nearly the same number of bases as whole blocks allow.

        Parameters
        ----------
        shard
            Which of how many, from 1.

        Returns
        -------
        Number of the first block, and of that after the last.
        """
        number, of = shard
        first, last = np.searchsorted(self.begin, [self.n_bases * (number - 1) // of, self.n_bases * number // of])
        return int(first), int(last)

    def stretches(self, contigs: list[str], first: int, last: int) -> Iterator[str]:
        """Where some blocks lie, for messages: ``chr1:1-2,048``, counted from 1."""
        at = first
        while at < last:
            to = at + 1
            while to < last and self.contig[to] == self.contig[at] and self.start[to] == self.end[to - 1]:
                to += 1
            yield f"{contigs[self.contig[at]]}:{self.start[at] + 1:,}-{self.end[to - 1]:,}"
            at = to


def read_shard(shard: str | tuple[int, int] | None) -> tuple[int, int]:
    """Which of how many.

    Parameters
    ----------
    shard
        ``"3/8"`` or ``(3, 8)``; None for all in one.

    Returns
    -------
    Two numbers.

    Raises
    ------
    ConfigError
        It is something else, or counts from 0.
    """
    if shard is None:
        return 1, 1
    parts = shard.split("/") if isinstance(shard, str) else shard
    try:
        number, of = (int(part) for part in parts)
    except (TypeError, ValueError):
        number, of = 0, 0
    if 1 <= number <= of:
        return number, of
    message = f"shard is {shard!r}; needed is which of how many, counted from 1: '1/8' or (1, 8) for the first of eight."
    raise ConfigError(message)
