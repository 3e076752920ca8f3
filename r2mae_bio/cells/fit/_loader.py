"""Loaders over cells: a plan says which cells, a table fetches them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio.cells.fit._plan import OrderedCells, ShuffledCells
from r2mae_bio.core._loader import Loaders, PlannedLoader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from r2mae_bio.cells.fit._table import CellTable

__all__ = ["cell_loaders"]


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
    The loaders; the blind control is measured on the validation cells, or on the training cells if
    there are none.
    """
    held_out = PlannedLoader(table.batch, OrderedCells(validation, batch_size)) if validation.size else None
    reference = held_out or PlannedLoader(table.batch, OrderedCells(train, batch_size))
    return Loaders(PlannedLoader(table.batch, ShuffledCells(train, batch_size)), held_out, reference)
