"""Factor analysis of sparse expression, without densifying or copying it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from r2mae_bio.cells.fit._panel_factors import PanelCells, PanelFactors, fit_by_panel
from r2mae_bio.cells.fit._statistics import entry_content

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from r2mae_bio.cells.fit._table import CellTable, Panels
    from r2mae_bio.cells.network._content import GeneContent

_OVERSAMPLING = 10
_ROWS_AT_ONCE = 2048
ENOUGH_CELLS = 30_000
"""Cells to start from; more bring next to nothing, see ``benchmarks/results/factor_start.md``."""


@dataclass(frozen=True, eq=False)
class Factors:
    """A fitted factor analysis."""

    loadings: NDArray[np.float64]
    """Loadings on orthogonal factors, strongest first, (G, F)."""
    noise: NDArray[np.float64]
    """Variance left to each gene, positive, (G,)."""
    n_iterations: int
    """Iterations until the noise variances stood still."""
    mean: NDArray[np.float64] | None = None
    """What is expected of the average cell (G,), where that is not the mean of each gene over the
    cells that measured it; None where it is.
    """


def factor_analysis(
    matrix: Any,
    n_factors: int,
    generator: np.random.Generator,
    *,
    variance: NDArray[np.float64] | None = None,
    pooling: float = 0.0,
    least_noise: float = 0.3,
    max_iterations: int = 60,
    tolerance: float = 1e-4,
    panels: Panels | None = None,
) -> Factors:
    """Maximum-likelihood factor analysis by subspace iteration.

    Alternates between the leading eigenspace of the covariance whitened by the noise (Joreskog
    1967), found by block power iteration warm-started from the last one, and the noise variances
    given the loadings.

    Parameters
    ----------
    matrix
        CSR (n_cells, G), float32 or float64; only products with it are taken, in its own precision
        within some thousands of cells and summed over these in float64. Centring is implicit.
    n_factors
        Number of factors F.
    generator
        Gives the first subspace.
    variance
        Variance of each gene (G,), where it is known from more cells than these: a rare gene may be
        missing among them, and is not therefore without noise. Of these cells if None.
    pooling
        How far the noise of a gene is drawn to the mean of all: own^(1 - pooling) mean^pooling. 0
        is factor analysis, 1 probabilistic principal components (Tipping and Bishop 1999).
    least_noise
        Least share of a gene's variance that is noise. With few cells maximum likelihood would give
        single genes factors of their own, without noise (Heywood cases), and a read that trusts
        them wholly.
    max_iterations, tolerance
        Stop when the mean change of the log noise, before it is pooled, falls below ``tolerance``.
    panels
        Which genes were measured in which cell, if not all in all; others are missing, not zero.
        What is found for a covariance that takes deviations of missing genes as zero is then
        brought to maximum likelihood by :func:`fit_by_panel`.

    Returns
    -------
    Loadings and noise. With fewer cells or genes than factors the surplus loadings are zero.
    """
    covariance = _Covariance(matrix) if panels is None else PanelCells(matrix, panels)
    variance = covariance.variance if variance is None else variance
    variance = np.maximum(variance, max(1e-6 * float(variance.mean()), 1e-12))
    width = min(n_factors + _OVERSAMPLING, *matrix.shape)
    basis = np.linalg.qr(generator.standard_normal((matrix.shape[1], width)))[0]
    own, loadings, iteration = variance, np.zeros((matrix.shape[1], 0)), 0
    for iteration in range(1, max_iterations + 1):
        scale = np.sqrt(_pooled(own, pooling))[:, None]
        for _ in range(3 if iteration == 1 else 1):
            basis = np.linalg.qr(covariance(basis / scale) / scale)[0]
        small = basis.T @ (covariance(basis / scale) / scale)
        values, vectors = np.linalg.eigh((small + small.T) / 2)
        basis = basis @ vectors[:, ::-1]
        strength = np.sqrt(np.maximum(values[::-1][:n_factors] - 1, 0))
        loadings = scale * basis[:, : strength.size] * strength
        updated = np.maximum(variance - (loadings**2).sum(1), least_noise * variance)
        change = float(np.abs(np.log(updated / own)).mean())
        own = updated
        if change < tolerance:
            break
    mean = None
    if isinstance(covariance, PanelCells):
        start = PanelFactors(loadings, covariance.mean, own)
        fitted = fit_by_panel(covariance, start, pooling=pooling, least=least_noise * variance)
        loadings, mean, own = fitted.loadings, fitted.mean, fitted.own
    left, lengths, _ = np.linalg.svd(loadings, full_matrices=False)
    rotated = np.zeros((matrix.shape[1], n_factors))
    rotated[:, : lengths.size] = left * lengths
    return Factors(rotated, _pooled(own, pooling), iteration, mean)


def _pooled(noise: NDArray[np.float64], pooling: float) -> NDArray[np.float64]:
    """Between the noise of each gene and the mean of all."""
    return noise ** (1 - pooling) * noise.mean() ** pooling


class _Covariance:
    """Products with the covariance matrix of the genes, (G, k) to (G, k), and its diagonal."""

    def __init__(self, matrix: Any) -> None:
        self._n_cells, self._dtype = matrix.shape[0], matrix.dtype
        self._blocks = list(_row_blocks(matrix))
        self._mean = self._sum(np.asarray(b.sum(axis=0)).ravel() for b in self._blocks)
        squares = self._sum(np.bincount(b.indices, b.data.astype(float) ** 2, b.shape[1]) for b in self._blocks)
        self.variance = squares - self._mean**2

    def __call__(self, block: NDArray[np.float64]) -> NDArray[np.float64]:
        own = np.ascontiguousarray(block, self._dtype)
        return self._sum(b.T @ (b @ own) for b in self._blocks) - np.outer(self._mean, self._mean @ block)

    def _sum(self, parts: Any) -> NDArray[np.float64]:
        """Sum over blocks in float64, per cell."""
        total: Any = 0.0
        for part in parts:
            total = total + np.asarray(part, float) if isinstance(total, float) else np.add(total, part, out=total)
        return np.asarray(total) / self._n_cells


def _row_blocks(matrix: Any) -> Iterator[Any]:
    """Some thousand rows at a time; entries are looked at, not copied."""
    for start in range(0, matrix.shape[0], _ROWS_AT_ONCE):
        pointers = matrix.indptr[start : start + _ROWS_AT_ONCE + 1]
        some = slice(pointers[0], pointers[-1])
        block = sparse.csr_array((len(pointers) - 1, matrix.shape[1]), dtype=matrix.dtype)
        # handed over when it is made, a small part of an array would be copied
        block.data, block.indices, block.indptr = matrix.data[some], matrix.indices[some], pointers - pointers[0]
        yield block


def draw_cells(cells: NDArray[np.int64], generator: np.random.Generator, most: int = ENOUGH_CELLS) -> NDArray[np.int64]:
    """The cells to fit on: all, or ``most`` of them drawn at random, in their order.

    Parameters
    ----------
    cells
        Positions.
    generator
        Draws them.
    most
        Most cells to keep.
    """
    return cells if cells.size <= most else np.sort(generator.choice(cells, most, replace=False))


def sparse_expression(table: CellTable, cells: NDArray[np.int64], content: GeneContent) -> Any:
    """Content of cells before it is centred and scaled, as CSR float32 (n_cells, G).

    Parameters
    ----------
    table
        The cells.
    cells
        Positions.
    content
        Scales counts to depth.

    Returns
    -------
    The matrix; nothing else of its size is made on the way.
    """
    # Arrays of the standard library grow in place where the system can; those of NumPy 2.5 do not.
    data, indices, indptr = array("f"), array("i"), np.zeros(cells.size + 1, np.int64)
    for some, batch in table.batches(cells=cells):
        counts = np.bincount(batch.rows.numpy(), minlength=some.stop - some.start)
        indptr[some.start + 1 : some.stop + 1] = len(data) + np.cumsum(counts)
        data.frombytes(entry_content(batch, content).numpy().astype(np.float32, copy=False).view(np.uint8).data)
        indices.frombytes(batch.genes.numpy().astype(np.int32).view(np.uint8).data)
    pointers = indptr.astype(np.int32) if len(data) <= np.iinfo(np.int32).max else indptr
    entries = np.frombuffer(data, np.float32), np.frombuffer(indices, np.int32)
    return sparse.csr_array((*entries, pointers), shape=(cells.size, table.source.measured.size))
