"""Which cells in files make up each batch: pure functions of seed, epoch and number of the
batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._rng import derive_generator
from r2mae_bio.core._loader import OrderedRows, RowBatches, batches_per_epoch, span

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["BlockShuffledCells", "OrderedCells"]

_AHEAD: Final = 2048
"""Cells in files that are read in one piece where they come in their own order."""


@dataclass(frozen=True, eq=False)
class OrderedCells(OrderedRows):
    """The same cells in the same order in every epoch, read some thousands at a time."""

    def buffers(self, seed: int, epoch: int, batch: int = 0) -> list[NDArray[np.int64]]:
        """Cells to read in one piece each, from those of a batch on.

        Parameters
        ----------
        seed, epoch
            Make no difference.
        batch
            The first one wanted.
        """
        first, _ = span(self.rows.size, self.n_batches, batch)
        return [self.rows[start : start + _AHEAD] for start in range(first, self.rows.size, _AHEAD)]


@dataclass(frozen=True, eq=False)
class BlockShuffledCells(RowBatches):
    """Every cell once in an epoch, shuffled as far as cells in files can be read fast: blocks of
    neighbours are put into a random order, and cells are shuffled within buffers of some blocks.
    ``rows`` ascend.
    """

    block: int
    """Neighbouring cells that stay together until they are in a buffer."""
    blocks: int
    """Most blocks of a buffer; buffers differ in size by one block at most."""
    _drawn: dict[tuple[int, int], list[NDArray[np.int64]]] = field(default_factory=dict, init=False, repr=False)

    def place(self, seed: int, epoch: int, batch: int) -> NDArray[np.int64]:
        """Positions of the cells of one batch.

        Parameters
        ----------
        seed, epoch, batch
            The draw is a pure function of these.
        """
        start, stop = span(self.rows.size, self.n_batches, batch)
        parts, before = [], 0
        for buffer in self.buffers(seed, epoch):
            parts.append(buffer[max(start - before, 0) : max(stop - before, 0)])
            before += buffer.size
        return np.concatenate(parts)

    def buffers(self, seed: int, epoch: int, batch: int = 0) -> list[NDArray[np.int64]]:
        """Cells of the buffers of an epoch, in the order in which batches take them.

        Parameters
        ----------
        seed, epoch
            The draw is a pure function of these.
        batch
            The first one wanted; buffers before it are left out.
        """
        if (seed, epoch) not in self._drawn:
            self._drawn.clear()
            self._drawn[seed, epoch] = self._draw(seed, epoch)
        drawn = self._drawn[seed, epoch]
        ends = np.cumsum([buffer.size for buffer in drawn])
        return drawn[int(np.searchsorted(ends, span(self.rows.size, self.n_batches, batch)[0], side="right")) :]

    def _draw(self, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        n_blocks = batches_per_epoch(self.rows.size, self.block)
        order = derive_generator(seed, "shuffle", epoch).permutation(n_blocks)
        drawn = []
        for number, some in enumerate(np.array_split(order, batches_per_epoch(n_blocks, self.blocks))):
            cells = np.concatenate([self.rows[block * self.block : (block + 1) * self.block] for block in some.tolist()])
            drawn.append(derive_generator(seed, "shuffle buffer", epoch, number).permutation(cells))
        return drawn
