"""Which cells make up each batch: pure functions of seed, epoch and number of the batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._rng import derive_generator
from r2mae_bio.core._loader import batches_per_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["OrderedCells", "ShuffledCells", "epoch_batches"]


@dataclass(frozen=True, eq=False)
class OrderedCells:
    """The same cells in the same order in every epoch."""

    cells: NDArray[np.int64]
    """Positions of the cells."""
    batch_size: int
    """Most cells of a batch, over all ranks."""

    @property
    def n_batches(self) -> int:
        """Batches of an epoch; they differ in size by one at most."""
        return batches_per_epoch(self.cells.size, self.batch_size)

    def place(self, seed: int, epoch: int, batch: int) -> NDArray[np.int64]:
        """Positions of the cells of one batch.

        Parameters
        ----------
        seed, epoch
            Make no difference.
        batch
            Number of the batch.
        """
        size, larger = divmod(self.cells.size, self.n_batches)  # np.array_split, one piece of it
        start = batch * size + min(batch, larger)
        return self.cells[start : start + size + (batch < larger)]


@dataclass(frozen=True, eq=False)
class ShuffledCells:
    """Every cell once in an epoch, in an order that is drawn afresh."""

    cells: NDArray[np.int64]
    """Positions of the cells."""
    batch_size: int
    """Most cells of a batch, over all ranks."""
    _drawn: dict[tuple[int, int], list[NDArray[np.int64]]] = field(default_factory=dict, init=False, repr=False)

    @property
    def n_batches(self) -> int:
        """Batches of an epoch; they differ in size by one at most."""
        return batches_per_epoch(self.cells.size, self.batch_size)

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
