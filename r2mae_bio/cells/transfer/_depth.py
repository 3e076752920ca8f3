"""Reference cells thinned to the depth of a query: what is learned from them then holds there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._rng import derive_seed
from r2mae_bio.cells.read._cells import drop_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._cells import CellSource, CSRRows
    from r2mae_bio.cells.read._file_matrix import BufferSize
    from r2mae_bio.cells.read._panels import CellPanels

__all__ = ["ThinnedCells", "as_deep_as", "cell_depths", "kept_shares"]

_AT_ONCE: Final = 2048
_ALIKE: Final = 0.9
"""Mean share of the counts from which on the reference is left as it is."""
_COPIES, _MOST_ROWS = 3, 60_000
"""Draws of each reference cell, fewer where they would make more rows in all."""


def as_deep_as(
    query: NDArray[np.float64], reference: CellSource, depths: NDArray[np.float64], seed: int
) -> list[CellSource | ThinnedCells]:
    """The reference as deep as a query: several draws of its molecules, or itself where it is no
    deeper.

    Parameters
    ----------
    query
        Depths of the query cells, those without counts left out, (n_query,).
    reference
        The reference cells.
    depths
        Theirs (n_reference,).
    seed
        Of the draws.
    """
    shares = kept_shares(depths, query)
    if shares.mean() >= _ALIKE:
        return [reference]
    n_copies = max(1, min(_COPIES, _MOST_ROWS // max(1, reference.n_cells)))
    return [ThinnedCells(reference, shares, derive_seed(seed, "transfer depth", copy)) for copy in range(n_copies)]


def cell_depths(cells: CellSource) -> NDArray[np.float64]:
    """Sum of the counts of each cell, over the genes that it offers, (n_cells,)."""
    depths = np.zeros(cells.n_cells)
    for start in range(0, cells.n_cells, _AT_ONCE):
        rows = cells.rows(np.arange(start, min(start + _AT_ONCE, cells.n_cells)))
        depths[start : start + _AT_ONCE] = np.bincount(rows.row_of_entry(), rows.values, minlength=rows.indptr.size - 1)
    return depths


def kept_shares(reference: NDArray[np.float64], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of its counts that each reference cell may keep to be as deep as the query cell of the
    same rank; all of them where that one is deeper.

    Parameters
    ----------
    reference, query
        Depths of the cells (n_reference,), (n_query,).

    Returns
    -------
    Numbers from 0 to 1 (n_reference,).
    """
    if not query.size:
        return np.ones(len(reference))
    rank = np.empty(len(reference))
    rank[np.argsort(reference, kind="stable")] = (np.arange(len(reference)) + 0.5) / max(1, len(reference))
    return np.minimum(1.0, np.quantile(query, rank) / np.maximum(reference, 1e-12))


@dataclass(frozen=True, eq=False)
class ThinnedCells:
    """Cells of which every molecule is kept with some probability, independently; a cell's draws
    depend on its position and the seed alone.
    """

    cells: CellSource
    """The cells at full depth."""
    shares: NDArray[np.float64]
    """Probability of each cell, (n_cells,)."""
    seed: int
    """Tells apart the draws of different copies."""

    @property
    def buffer(self) -> BufferSize | None:
        """How to read cells that lie in files."""
        return self.cells.buffer

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.cells.n_cells

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Whether each gene was measured, (genes,)."""
        return self.cells.measured

    @property
    def panels(self) -> CellPanels | None:
        """Which of them in which cell; None where all cells agree."""
        return self.cells.panels

    def rows(self, index: NDArray[np.int64]) -> CSRRows:
        """Fetch cells, thinned.

        Parameters
        ----------
        index
            Positions of cells (B,).
        """
        rows = self.cells.rows(index)
        parts = [
            self._thin(int(cell), rows.values[first:last])
            for cell, first, last in zip(index, rows.indptr[:-1], rows.indptr[1:], strict=True)
        ]
        return drop_zeros(replace(rows, values=np.concatenate([np.zeros(0, np.float32), *parts])))

    def _thin(self, cell: int, values: NDArray[np.float32]) -> NDArray[np.float32]:
        share = self.shares[cell]
        if share >= 1:
            return values
        rng = np.random.default_rng([self.seed, cell])
        whole = np.floor(values)
        # counts that a correction made fractional: the rest is a molecule with that probability
        counts = (whole + (rng.random(values.size) < values - whole)).astype(np.int64)
        return rng.binomial(counts, share).astype(np.float32)
