"""Few factors and a diagonal for the correlation of many genes, without a matrix of genes x
genes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg, sparse

from r2mae_bio._errors import DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.risk._fresh_masks import FactorCorrelation
from r2mae_bio.theory.spectrum._blocks import location_and_variance, standardized_blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.theory.risk._groups import Float

MOST_FACTORS = 40
MOST_CELLS = 4000
"""Cells that enter; more are drawn from by seed."""
_MARGIN = 10
_ROUNDS = 4
_LEAST_UNIQUE = 0.02


def factor_correlation(matrix: Any, *, most_factors: int = MOST_FACTORS, seed: int = 0) -> FactorCorrelation:
    """Correlation of many genes as ``L L' + diag(u)`` with unit diagonal.

    The leading eigenvectors of the sample correlation come from subspace iteration (Halko,
    Martinsson and Tropp 2011). Kept are eigenvalues above the edge ``s (1 + sqrt(d / n))^2`` of
    noise of variance s, each less what noise adds to it (Baik and Silverstein 2006; the inverse
    that Donoho, Gavish and Johnstone 2018 shrink by). What is left of a gene's variance is its
    own.

    Parameters
    ----------
    matrix
        Normalised expression (n, d): sparse, dense, or the matrix of :func:`normalize_counts`.
    most_factors
        Most factors to keep.
    seed
        Seed of the start of the iteration, and of the 4,000 cells that enter where there are more.

    Returns
    -------
    The factors and the variance that is each gene's own.

    Raises
    ------
    DataError
        A gene does not vary.
    """
    rng = derive_generator(seed, "theory-factors")
    rows = np.sort(rng.permutation(matrix.shape[0])[:MOST_CELLS])
    mean, variance = location_and_variance(matrix, rows, np.ones(rows.size))
    if not (variance > 0).any():
        message = "No gene varies in these cells."
        raise DataError(message)
    scale = np.where(variance > 0, 1 / np.sqrt(np.where(variance > 0, variance, 1.0)), 0.0)
    times = _product(matrix, rows, mean, scale)
    n, d = rows.size, mean.size
    k = min(most_factors, n - 1, d - 1)
    values, vectors = _leading(times, d, k, rng)
    spikes, noise = _without_noise(values, n, d)
    loadings = vectors[:, : spikes.size] * np.sqrt(spikes - noise)
    common = (loadings**2).sum(1)
    shrink = np.sqrt(np.minimum(1, (1 - _LEAST_UNIQUE) / np.maximum(common, _LEAST_UNIQUE)))
    return FactorCorrelation(loadings * shrink[:, None], 1 - common * shrink**2)


def _product(matrix: Any, rows: Any, mean: Float, scale: Float) -> Callable[[Float], Float]:
    """Multiplication by the sample correlation."""
    n = rows.size
    if sparse.issparse(matrix):
        taken = sparse.csr_array(matrix)[rows]
        back = sparse.csr_array(taken.T)

        def times(v: Float) -> Float:
            scaled = scale[:, None] * v
            cells = taken @ scaled - mean @ scaled
            return np.asarray(scale[:, None] * (back @ cells - np.outer(mean, cells.sum(0))) / n)

        return times

    def times_blocks(v: Float) -> Float:
        total: Float = np.zeros(v.shape)
        for _, block in standardized_blocks(matrix, rows, mean, scale):
            total += block.T @ (block @ v)
        return np.asarray(total / n)

    return times_blocks


def _leading(times: Callable[[Float], Float], d: int, k: int, rng: np.random.Generator) -> tuple[Float, Float]:
    """Leading eigenvalues, descending, and their vectors in columns (d, k)."""
    basis = rng.standard_normal((d, min(k + _MARGIN, d)))
    image = times(basis)
    for _ in range(_ROUNDS - 1):
        basis = np.linalg.qr(image)[0]
        image = times(basis)
    values, turned = linalg.eigh(basis.T @ image)
    return np.maximum(values[::-1][:k], 0.0), (basis @ turned)[:, ::-1][:, :k]


def _without_noise(values: Float, n: int, d: int) -> tuple[Float, float]:
    """Population values of those above the noise (k,), and the variance of the noise."""
    ratio, noise, k = d / n, 1.0, 0
    for _ in range(10):
        edge = noise * (1 + np.sqrt(ratio)) ** 2
        kept = int((values > edge).sum())
        noise = float(max((d - values[:kept].sum()) / (d - kept), _LEAST_UNIQUE))
        if kept == k:
            break
        k = kept
    spikes = values[:k] / noise
    half = spikes + 1 - ratio
    return noise * (half + np.sqrt(np.maximum(half**2 - 4 * spikes, 0.0))) / 2, noise
