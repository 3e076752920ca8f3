"""Cells in portions, where a dense matrix of all of them would not fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

CELLS_AT_A_TIME: Final = 512


def chunks(n_cells: int) -> Iterator[slice]:
    """Slices of successive cells that together are all of them."""
    for start in range(0, n_cells, CELLS_AT_A_TIME):
        yield slice(start, start + CELLS_AT_A_TIME)
