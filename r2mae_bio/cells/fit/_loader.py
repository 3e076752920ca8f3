"""Loaders over cells: a plan says which cells, a table fetches them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from r2mae_bio.cells.fit._batch import CellBatch
from r2mae_bio.cells.fit._plan import BlockShuffledCells, OrderedCells
from r2mae_bio.core._loader import Loaders, PlannedLoader, ShuffledRows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from r2mae_bio.cells.fit._table import CellTable

__all__ = ["cell_loaders"]


class _BufferedLoader(PlannedLoader[NDArray[np.int64], CellBatch]):
    """Batches of cells that lie in files, of which a thread reads the next buffer."""

    def __init__(self, table: CellTable, plan: BlockShuffledCells | OrderedCells) -> None:
        super().__init__(table.batch, plan)
        self._table, self._buffers = table, plan.buffers

    def __iter__(self) -> Iterator[CellBatch]:
        seed, epoch, first = self._position()
        with self._table.ahead(self._buffers(seed, epoch, first)) as table:
            for batch in range(first, self.plan.n_batches):
                yield table.batch(self.plan.place(seed, epoch, batch)[self.rank :: self.world_size])


def cell_loaders(table: CellTable, train: NDArray[np.int64], validation: NDArray[np.int64], batch_size: int) -> Loaders:
    """Loaders over cells.

    Parameters
    ----------
    table
        All cells; those that lie in files are shuffled by blocks, others one by one.
    train, validation
        Positions of cells; the latter may be empty.
    batch_size
        Cells per batch over all ranks.

    Returns
    -------
    The loaders; the blind control is measured on the validation cells, or on the training cells if
    there are none.
    """
    buffer = table.source.buffer

    def ordered(cells: NDArray[np.int64]) -> PlannedLoader[Any, CellBatch]:
        plan = OrderedCells(cells, batch_size)
        return PlannedLoader(table.batch, plan) if buffer is None else _BufferedLoader(table, plan)

    held_out = ordered(validation) if validation.size else None
    reference = held_out or ordered(train)
    if buffer is None:
        return Loaders(PlannedLoader(table.batch, ShuffledRows(train, batch_size)), held_out, reference)
    plan = BlockShuffledCells(train, batch_size, buffer.block, buffer.blocks)
    return Loaders(_BufferedLoader(table, plan), held_out, reference)
