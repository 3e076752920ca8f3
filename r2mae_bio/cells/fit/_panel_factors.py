"""Factor analysis of cells in which different genes were measured.

Letters: c cells, g genes, p panels, k factors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from r2mae_bio.cells.fit._table import Panels

    Floats = NDArray[np.float64]

__all__ = ["PanelCells", "PanelFactors", "fit_by_panel"]

_ROWS_AT_ONCE: Final = 2048
_TINY: Final = 1e-12


class PanelCells:
    """Expression of cells, panel by panel, and its covariance.

    Called with a block (G, k), it gives the product with the covariance matrix of the genes: of a
    pair of genes the mean product of deviations over all cells, zero where one was not measured,
    divided by the root of the shares of the cells that measured each. That is exact for genes of
    the same panels, too small for others, and never indefinite.

    Parameters
    ----------
    matrix
        CSR (n_cells, G), without entries of genes that were not measured.
    panels
        Of the cells.
    """

    def __init__(self, matrix: Any, panels: Panels) -> None:
        self.matrix, self._codes = matrix, panels.codes
        self.measured = panels.measured  # pg
        self.n_cells = np.bincount(panels.codes, minlength=len(self.measured)).astype(float)  # p
        self.n_measured = self.n_cells @ self.measured  # g
        sums = [np.zeros(matrix.shape[1]) for _ in self.n_cells]
        self.squares = np.zeros(matrix.shape[1])
        for panel, block in self.blocks():
            sums[panel] += np.asarray(block.sum(axis=0), float).ravel()
            self.squares += np.bincount(block.indices, block.data.astype(float) ** 2, block.shape[1])
        self._sums, n = np.stack(sums), np.maximum(self.n_measured, 1)
        self.mean = self._sums.sum(0) / n
        self.variance = self.squares / n - self.mean**2
        self._means = self.measured * self.mean
        self._scale = 1 / np.sqrt(n)[:, None]

    def blocks(self) -> Iterator[tuple[int, Any]]:
        """Rows of one panel, some thousand at a time, and the number of the panel."""
        for panel in range(len(self.n_cells)):
            cells = np.flatnonzero(self._codes == panel)
            for start in range(0, cells.size, _ROWS_AT_ONCE):
                yield panel, self.matrix[cells[start : start + _ROWS_AT_ONCE]]

    def __call__(self, block: Floats) -> Floats:
        """Product of the covariance (G, G) with a block (G, k)."""
        scaled = block * self._scale
        own = np.ascontiguousarray(scaled, self.matrix.dtype)
        total = np.zeros_like(scaled)
        for _, rows in self.blocks():
            total += rows.T @ (rows @ own)
        seen, sums = self._means @ scaled, self._sums @ scaled  # pk
        total += self._means.T @ (self.n_cells[:, None] * seen - sums) - self._sums.T @ seen
        return total * self._scale


@dataclass(frozen=True, eq=False)
class PanelFactors:
    """Parameters of a factor analysis."""

    loadings: Floats
    """(G, k)."""
    mean: Floats
    """Expected in a cell whose factors are zero, the average of all cells (G,)."""
    own: Floats
    """Variance left to each gene (G,)."""


def fit_by_panel(
    cells: PanelCells,
    start: PanelFactors,
    *,
    pooling: float,
    least: Floats,
    max_iterations: int = 30,
    tolerance: float = 1e-3,
) -> PanelFactors:
    """Maximum likelihood by expectation maximisation, where genes that were not measured are
    missing.

    Factors of a cell are expected given the genes of its panel. Each gene is then regressed, with
    an intercept, on the factors of the cells that measured it, and factors are rescaled to mean 0
    and covariance 1 over all cells (Liu, Rubin and Wu 1998, Biometrika 85, 755-770), so that a
    panel which is measured in other types of cells than the rest does not shift its genes.

    Parameters
    ----------
    cells
        The cells.
    start
        Where to begin.
    pooling
        How far the noise of a gene is drawn to the mean of all, as in ``factor_analysis``.
    least
        Least noise of each gene (G,), positive.
    max_iterations, tolerance
        Stop when the mean change of the log noise falls below ``tolerance``.

    Returns
    -------
    The parameters.
    """
    found = start
    for _ in range(max_iterations):
        noise = found.own ** (1 - pooling) * found.own.mean() ** pooling
        updated = _maximize(cells, *_expect(cells, found, noise), least)
        change = float(np.abs(np.log(updated.own / found.own)).mean())
        found = updated
        if change < tolerance:
            break
    return found


def _expect(cells: PanelCells, found: PanelFactors, noise: Floats) -> tuple[Floats, Floats]:
    """Sums over cells of products of the factors and 1 with themselves, by panel (p, k + 1, k + 1),
    and with expression (G, k + 1).
    """
    n_factors = found.loadings.shape[1]
    weights = found.loadings / noise[:, None]
    eye, moments = np.eye(n_factors), np.zeros((len(cells.n_cells), n_factors + 1, n_factors + 1))
    spread = [np.linalg.inv(eye + (found.loadings * seen[:, None]).T @ weights) for seen in cells.measured]
    for panel, n in enumerate(cells.n_cells):
        moments[panel, :-1, :-1] = n * spread[panel]
    products = np.zeros((len(weights), n_factors + 1))
    for panel, rows in cells.blocks():
        seen = weights * cells.measured[panel][:, None]
        factors = (rows @ seen - found.mean @ seen) @ spread[panel]
        factors = np.column_stack([factors, np.ones(len(factors))])
        moments[panel] += factors.T @ factors
        products += rows.T @ factors
    return moments, products


def _maximize(cells: PanelCells, moments: Floats, products: Floats, least: Floats) -> PanelFactors:
    """Parameters given the factors; genes that no cell measured get none."""
    classes, member = np.unique(cells.measured, axis=1, return_inverse=True)  # genes of the same panels
    member, coefficients = member.reshape(-1), np.zeros_like(products)
    for number in np.flatnonzero(classes.any(axis=0)):
        genes = member == number
        coefficients[genes] = np.linalg.solve(moments[classes[:, number]].sum(0), products[genes].T).T
    left = (cells.squares - (coefficients * products).sum(1)) / np.maximum(cells.n_measured, 1)
    total = moments.sum(0) / cells.n_cells.sum()
    centre = total[-1, :-1]
    root = np.linalg.cholesky(total[:-1, :-1] - np.outer(centre, centre) + _TINY * np.eye(len(centre)))
    loadings, mean = coefficients[:, :-1], coefficients[:, -1]
    return PanelFactors(loadings @ root, mean + loadings @ centre, np.maximum(left, least))
