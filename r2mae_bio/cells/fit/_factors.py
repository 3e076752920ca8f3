"""Factor analysis of sparse expression, without densifying it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.cells.network._content import GeneContent

_OVERSAMPLING = 10


@dataclass(frozen=True, eq=False)
class Factors:
    """A fitted factor analysis."""

    loadings: NDArray[np.float64]
    """Loadings on orthogonal factors, strongest first, (G, F)."""
    noise: NDArray[np.float64]
    """Variance left to each gene, positive, (G,)."""
    n_iterations: int
    """Iterations until the noise variances stood still."""


def factor_analysis(
    matrix: Any,
    n_factors: int,
    generator: np.random.Generator,
    *,
    least_noise: float = 0.3,
    max_iterations: int = 60,
    tolerance: float = 1e-4,
) -> Factors:
    """Maximum-likelihood factor analysis by subspace iteration.

    Alternates between the leading eigenspace of the covariance whitened by the noise (Joreskog
    1967), found by block power iteration warm-started from the last one, and the noise variances
    given the loadings.

    Parameters
    ----------
    matrix
        Sparse (n_cells, G); only products with it are taken, centring is implicit.
    n_factors
        Number of factors F.
    generator
        Gives the first subspace.
    least_noise
        Least share of a gene's variance that is noise. With few cells maximum likelihood would give
        single genes factors of their own, without noise (Heywood cases), and a read that trusts
        them wholly.
    max_iterations, tolerance
        Stop when the mean change of the log noise falls below ``tolerance``.

    Returns
    -------
    Loadings and noise. With fewer cells or genes than factors the surplus loadings are zero.
    """
    covariance, variance = _covariance(matrix)
    variance = np.maximum(variance, max(1e-6 * float(variance.mean()), 1e-12))
    width = min(n_factors + _OVERSAMPLING, *matrix.shape)
    basis = np.linalg.qr(generator.standard_normal((matrix.shape[1], width)))[0]
    noise, loadings, iteration = variance.copy(), np.zeros((matrix.shape[1], 0)), 0
    for iteration in range(1, max_iterations + 1):
        scale = np.sqrt(noise)[:, None]
        for _ in range(3 if iteration == 1 else 1):
            basis = np.linalg.qr(covariance(basis / scale) / scale)[0]
        small = basis.T @ (covariance(basis / scale) / scale)
        values, vectors = np.linalg.eigh((small + small.T) / 2)
        basis = basis @ vectors[:, ::-1]
        strength = np.sqrt(np.maximum(values[::-1][:n_factors] - 1, 0))
        loadings = scale * basis[:, : strength.size] * strength
        updated = np.maximum(variance - (loadings**2).sum(1), least_noise * variance)
        change = float(np.abs(np.log(updated / noise)).mean())
        noise = updated
        if change < tolerance:
            break
    left, lengths, _ = np.linalg.svd(loadings, full_matrices=False)
    rotated = np.zeros((matrix.shape[1], n_factors))
    rotated[:, : lengths.size] = left * lengths
    return Factors(rotated, noise, iteration)


def _covariance(matrix: Any) -> tuple[Any, NDArray[np.float64]]:
    """Product with the covariance matrix, and its diagonal."""
    n_cells = matrix.shape[0]
    mean = np.asarray(matrix.mean(axis=0)).ravel()
    variance = np.asarray(matrix.multiply(matrix).mean(axis=0)).ravel() - mean**2
    transposed = matrix.T.tocsr()

    def product(block: NDArray[np.float64]) -> NDArray[np.float64]:
        return transposed @ (matrix @ block) / n_cells - np.outer(mean, mean @ block)

    return product, variance


def sparse_expression(table: CellTable, cells: NDArray[np.int64], content: GeneContent) -> Any:
    """Content of cells before it is centred and scaled, as CSR float64 (n_cells, G).

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
    The matrix.
    """
    blocks = []
    for _, batch in table.batches(cells=cells):
        tokens = batch.tokens()
        values = batch.values
        if content.counts:
            values = content.transform(values * content.depth_factor(content.exposure(tokens))[batch.rows])
        entries = (values.double().numpy(), (batch.rows.numpy(), batch.genes.numpy()))
        blocks.append(sparse.csr_array(entries, shape=tuple(tokens.values.shape)))
    return sparse.vstack(blocks, format="csr")
