"""Reference cells thinned to the depth of a query: what is learned from them then holds there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.cells.read._cells import drop_zeros

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._cells import CellSource, CSRRows
    from r2mae_bio.cells.read._file_matrix import BufferSize
    from r2mae_bio.cells.read._panels import CellPanels

__all__ = ["ThinnedCells", "as_deep_as", "cell_depths", "explained", "kept_counts", "kept_share", "no_count"]

_AT_ONCE: Final = 2048
_ALIKE: Final = 0.9
"""Mean share of the counts from which on the reference is left as it is."""
_COPIES, _MOST_ROWS = 3, 60_000
"""Draws of each reference cell, fewer where they would make more rows in all."""
_LAID_OUT: Final = 1_000_000
"""Most molecules of a cell that are laid out one by one to draw from."""


def as_deep_as(
    query: NDArray[np.float64], reference: CellSource, depths: NDArray[np.float64], seed: int
) -> list[CellSource | ThinnedCells]:
    """The reference as deep as a query: several draws of its molecules, or itself where it is no
    deeper.

    Parameters
    ----------
    query
        Depths of the query cells, (n_query,), see :func:`explained`.
    reference
        The reference cells.
    depths
        Theirs (n_reference,).
    seed
        Of the draws.
    """
    if kept_share(depths, query) >= _ALIKE:
        return [reference]
    n_copies = max(1, min(_COPIES, _MOST_ROWS // max(1, reference.n_cells)))
    return [
        ThinnedCells(
            reference,
            kept_counts(depths, query, derive_generator(seed, "transfer ranks", copy)),
            derive_seed(seed, "transfer depth", copy),
        )
        for copy in range(n_copies)
    ]


def cell_depths(cells: CellSource) -> NDArray[np.float64]:
    """Sum of the counts of each cell, over the genes that it offers, (n_cells,)."""
    depths = np.zeros(cells.n_cells)
    for start in range(0, cells.n_cells, _AT_ONCE):
        rows = cells.rows(np.arange(start, min(start + _AT_ONCE, cells.n_cells)))
        depths[start : start + _AT_ONCE] = np.bincount(rows.row_of_entry(), rows.values, minlength=rows.indptr.size - 1)
    return depths


def kept_share(reference: NDArray[np.float64], query: NDArray[np.float64]) -> float:
    """Mean share of its counts that a reference cell keeps to be no deeper than the query cell of
    the same rank.

    Parameters
    ----------
    reference, query
        Depths of the cells (n_reference,), (n_query,).
    """
    if not query.size:
        return 1.0
    return float(np.minimum(1.0, _sorted_depths(query, len(reference)) / np.maximum(np.sort(reference), 1e-12)).mean())


def kept_counts(reference: NDArray[np.float64], query: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Counts that each reference cell keeps: the depths of the query, dealt to the cells in the
    order of what each might have had if all were sequenced as little, a Poisson number.

    Each depth of the query is met exactly. Were it met in the mean alone, as where every molecule
    is kept with one probability, depths of the draws would spread more than those of the query. And
    if the deepest cell always stayed the deepest, types that differ in depth would be told by it
    from a few counts, where chance decides. Both matter where cells have a few counts.

    Parameters
    ----------
    reference, query
        Depths of the cells (n_reference,), (n_query,).
    rng
        Draws what a cell might have had.

    Returns
    -------
    Whole numbers (n_reference,), at least 1 where the query cell has a count; a cell that has fewer
    keeps all.
    """
    share = min(1.0, query.mean() / max(reference.mean(), 1e-12))
    might = rng.poisson(share * reference) + rng.random(len(reference))  # equal numbers in random order
    dealt = np.empty(len(reference))
    dealt[np.argsort(might)] = _sorted_depths(query, len(reference))
    found: NDArray[np.int64] = np.where(dealt > 0, np.maximum(np.rint(dealt), 1), 0).astype(np.int64)
    return found


def _sorted_depths(query: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """Depths of ``n`` cells that are distributed as those of a query, from small to large, (n,)."""
    found: NDArray[np.float64] = np.quantile(query, (np.arange(n) + 0.5) / max(1, n), method="inverted_cdf")
    return found


def no_count(reference: NDArray[np.float64], query: NDArray[np.float64]) -> NDArray[np.float64]:
    """Chance of each reference cell to be left without a count if it were sequenced as the query
    was, that of a Poisson number.

    Parameters
    ----------
    reference, query
        Depths of all cells, those without counts too, (n_reference,), (n_query,).

    Returns
    -------
    Numbers from 0 to 1 (n_reference,).
    """
    found: NDArray[np.float64] = np.exp(-reference * (query.mean() / max(reference.mean(), 1e-12)))
    return found


def explained(query: NDArray[np.float64], without: NDArray[np.float64]) -> NDArray[np.float64]:
    """Depths of a query with no more cells without counts than its depth explains: what is more of
    them was lost in another way, and says nothing of the others.

    Parameters
    ----------
    query
        Depths of all cells (n_query,).
    without
        Chance of each reference cell to have no count at that depth (n_reference,).

    Returns
    -------
    Depths (at most n_query,).
    """
    counted = query[query > 0]
    chance = min(float(without.mean()), 0.999)
    n_without = min(query.size - counted.size, round(counted.size * chance / (1 - chance)))
    return np.concatenate([np.zeros(n_without), counted])


@dataclass(frozen=True, eq=False)
class ThinnedCells:
    """Cells of which some molecules are kept, drawn without replacement; a cell's draws depend on
    its position and the seed alone.
    """

    cells: CellSource
    """The cells at full depth."""
    kept: NDArray[np.int64]
    """Molecules that are kept of each cell, all where it has no more, (n_cells,)."""
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
        rng = np.random.default_rng([self.seed, cell])
        whole = np.floor(values)
        # counts that a correction made fractional: the rest is a molecule with that probability
        counts = (whole + (rng.random(values.size) < values - whole)).astype(np.int64)
        total, kept = int(counts.sum()), int(self.kept[cell])
        if kept >= total:
            return values
        # "count" is faster, and takes memory for each molecule
        drawn = rng.multivariate_hypergeometric(counts, kept, method="count" if total <= _LAID_OUT else "marginals")
        return drawn.astype(np.float32)
