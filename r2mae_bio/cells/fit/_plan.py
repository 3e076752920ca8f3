"""Which cells make up each batch: pure functions of seed, epoch and number of the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._rng import derive_generator
from r2mae_bio.core._loader import batches_per_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["BlockShuffledCells", "OrderedCells", "ShuffledCells", "epoch_batches"]

_AHEAD: Final = 2048
"""Cells in files that are read in one piece where they come in their own order."""


@dataclass(frozen=True, eq=False)
class _Batches:
    """How many batches some cells make."""

    cells: NDArray[np.int64]
    """Positions of the cells."""
    batch_size: int
    """Most cells of a batch, over all ranks."""

    @property
    def n_batches(self) -> int:
        """Batches of an epoch; they differ in size by one at most."""
        return batches_per_epoch(self.cells.size, self.batch_size)


@dataclass(frozen=True, eq=False)
class OrderedCells(_Batches):
    """The same cells in the same order in every epoch."""

    def place(self, seed: int, epoch: int, batch: int) -> NDArray[np.int64]:
        """Positions of the cells of one batch.

        Parameters
        ----------
        seed, epoch
            Make no difference.
        batch
            Number of the batch.
        """
        return self.cells[slice(*_span(self.cells.size, self.n_batches, batch))]

    def buffers(self, seed: int, epoch: int, batch: int = 0) -> list[NDArray[np.int64]]:
        """Cells to read in one piece each, from those of a batch on.

        Parameters
        ----------
        seed, epoch
            Make no difference.
        batch
            The first one wanted.
        """
        first, _ = _span(self.cells.size, self.n_batches, batch)
        return [self.cells[start : start + _AHEAD] for start in range(first, self.cells.size, _AHEAD)]


@dataclass(frozen=True, eq=False)
class ShuffledCells(_Batches):
    """Every cell once in an epoch, in an order that is drawn afresh."""

    _drawn: dict[tuple[int, int], list[NDArray[np.int64]]] = field(default_factory=dict, init=False, repr=False)

    def place(self, seed: int, epoch: int, batch: int) -> NDArray[np.int64]:
        """Positions of the cells of one batch.

        Parameters
        ----------
        seed, epoch, batch
            The draw is a pure function of these.
        """
        if (seed, epoch) not in self._drawn:  # one permutation serves all batches of an epoch
            self._drawn.clear()
            self._drawn[seed, epoch] = list(epoch_batches(self.cells.size, self.batch_size, seed=seed, epoch=epoch))
        return self.cells[self._drawn[seed, epoch][batch]]


@dataclass(frozen=True, eq=False)
class BlockShuffledCells(_Batches):
    """Every cell once in an epoch, shuffled as far as cells in files can be read fast: blocks of
    neighbours are put into a random order, and cells are shuffled within buffers of some blocks.
    ``cells`` ascend.
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
        start, stop = _span(self.cells.size, self.n_batches, batch)
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
        return drawn[int(np.searchsorted(ends, _span(self.cells.size, self.n_batches, batch)[0], side="right")) :]

    def _draw(self, seed: int, epoch: int) -> list[NDArray[np.int64]]:
        n_blocks = batches_per_epoch(self.cells.size, self.block)
        order = derive_generator(seed, "shuffle", epoch).permutation(n_blocks)
        drawn = []
        for number, some in enumerate(np.array_split(order, batches_per_epoch(n_blocks, self.blocks))):
            cells = np.concatenate([self.cells[block * self.block : (block + 1) * self.block] for block in some.tolist()])
            drawn.append(derive_generator(seed, "shuffle buffer", epoch, number).permutation(cells))
        return drawn


def _span(n_cells: int, n_batches: int, batch: int) -> tuple[int, int]:
    """First cell of a batch, and the one behind its last, as ``np.array_split`` cuts them."""
    size, larger = divmod(n_cells, n_batches)
    start = batch * size + min(batch, larger)
    return start, start + size + (batch < larger)


def epoch_batches(
    n_cells: int, batch_size: int, *, seed: int, epoch: int, start: int = 0, rank: int = 0, world_size: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Batches of one epoch: a fixed permutation cut into pieces of nearly equal size.

    Parameters
    ----------
    n_cells
        Number of training cells.
    batch_size
        Largest size of a batch over all ranks.
    seed, epoch
        The permutation is a pure function of both.
    start
        Batch to begin with, for a run that is resumed within an epoch.
    rank, world_size
        Every rank takes its share of each batch.

    Yields
    ------
    Positions of cells, int64.
    """
    order = derive_generator(seed, "shuffle", epoch).permutation(n_cells)
    pieces = np.array_split(order, batches_per_epoch(n_cells, batch_size))
    for piece in pieces[start:]:
        yield piece[rank::world_size]
