"""Loaders: which cells come when, as a pure function of seed and position."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from r2mae_bio.cells.fit._batch import CellBatch, SparseRows, collate, epoch_batches
from r2mae_bio.core._loader import Loaders, batches_per_epoch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray


_CHUNK = 512


class RowSource(Protocol):
    """Random access to cells; :class:`r2mae_bio.io.CellSource` is one."""

    n_cells: int
    measured: NDArray[np.bool_]

    def rows(self, index: NDArray[np.int64]) -> SparseRows:
        """Fetch cells."""


@dataclass(frozen=True, eq=False)
class CellTable:
    """Cells and their covariates."""

    source: Any
    """A :class:`RowSource`."""
    context: NDArray[np.float32]
    """Covariates of every cell, (n_cells, C)."""

    def batch(self, index: NDArray[np.int64]) -> CellBatch:
        """The cells at these positions."""
        measured = torch.from_numpy(self.source.measured)[None]
        return collate(self.source.rows(index), measured, self.context[index])

    def chunks(self, cells: NDArray[np.int64]) -> Iterator[CellBatch]:
        """The cells at these positions, in order, a few hundred at a time."""
        for start in range(0, cells.size, _CHUNK):
            yield self.batch(cells[start : start + _CHUNK])


class CellLoader:
    """Iterable over the batches of the current epoch; what Lightning is given as a data loader.

    Parameters
    ----------
    table
        The cells.
    cells
        Positions of the cells to use, int64.
    batch_size
        Cells per batch over all ranks.
    """

    def __init__(self, table: CellTable, cells: NDArray[np.int64], batch_size: int) -> None:
        self.table, self.cells, self.batch_size = table, cells, batch_size
        self._position: Callable[[], tuple[int, int, int]] | None = None
        self.rank, self.world_size = 0, 1

    def shuffle_by(self, position: Callable[[], tuple[int, int, int]]) -> None:
        """Shuffle; ``position`` tells (seed, epoch, first batch) when an epoch begins."""
        self._position = position

    def __len__(self) -> int:
        return batches_per_epoch(self.cells.size, self.batch_size) - (self._position()[2] if self._position else 0)

    def __iter__(self) -> Iterator[CellBatch]:
        for piece in self._pieces():
            yield self.table.batch(self.cells[piece])

    def _pieces(self) -> Iterator[NDArray[np.int64]]:
        if self._position is None:
            n_batches = batches_per_epoch(self.cells.size, self.batch_size)
            return (p[self.rank :: self.world_size] for p in np.array_split(np.arange(self.cells.size), n_batches))
        seed, epoch, start = self._position()
        where = {"seed": seed, "epoch": epoch, "start": start, "rank": self.rank, "world_size": self.world_size}
        return epoch_batches(self.cells.size, self.batch_size, **where)


def cell_loaders(table: CellTable, train: NDArray[np.int64], validation: NDArray[np.int64], batch_size: int) -> Loaders:
    """Loaders over cells.

    Parameters
    ----------
    table
        All cells.
    train, validation
        Positions of cells; the latter may be empty.
    batch_size
        Cells per batch over all ranks.

    Returns
    -------
    The loaders; the blind baseline is measured on the validation cells, or on the training cells if
    there are none.
    """
    held_out = CellLoader(table, validation, batch_size) if validation.size else None
    return Loaders(CellLoader(table, train, batch_size), held_out, held_out or CellLoader(table, train, batch_size))
