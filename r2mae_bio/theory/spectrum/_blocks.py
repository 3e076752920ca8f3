"""Walking over the cells of a matrix in dense blocks of bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from r2mae_bio.theory.risk._groups import Float

BLOCK = 1 << 20
"""Entries of one dense block: 8 MB, of which a few exist at a time."""
_CONSTANT = 1e-20
"""A variance below this share of the squared mean is rounding."""


def dense_blocks(matrix: Any, rows: NDArray[np.int64]) -> Iterator[tuple[slice, Float]]:
    """Some rows of a matrix, block by block.

    Parameters
    ----------
    matrix
        CSR, dense, or lazy (n, d).
    rows
        Positions of the rows (m,).

    Yields
    ------
    Where the block lies in ``rows``, and its entries as float64.
    """
    step = max(1, BLOCK // max(1, matrix.shape[1]))
    for start in range(0, rows.size, step):
        part = slice(start, start + step)
        block = matrix[rows[part]]
        yield part, np.asarray(block.toarray() if sparse.issparse(block) else block, np.float64)


def standardized_blocks(matrix: Any, rows: NDArray[np.int64], mean: Float, scale: Float) -> Iterator[tuple[slice, Float]]:
    """As :func:`dense_blocks`, less the mean and times the scale of every gene (d,)."""
    for part, block in dense_blocks(matrix, rows):
        standardized = block - mean
        standardized *= scale
        yield part, standardized


def location_and_variance(matrix: Any, rows: NDArray[np.int64], weights: Float) -> tuple[Float, Float]:
    """Weighted mean and variance of every gene in one pass, free of cancellation (Chan, Golub and
    LeVeque 1983).

    Parameters
    ----------
    matrix
        CSR, dense, or lazy (n, d).
    rows
        Positions of the rows (m,).
    weights
        Their positive weights (m,).

    Returns
    -------
    Mean and variance (d,) each; the variance of a gene that does not vary is exactly 0.
    """
    total = 0.0
    mean, squares = np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1])
    for part, block in dense_blocks(matrix, rows):
        w = weights[part]
        size = float(w.sum())
        center = w @ block / size
        block = block - center
        shift, share = center - mean, size / (total + size)
        squares += w @ np.square(block, out=block) + shift**2 * total * share
        mean += shift * share
        total += size
    variance = squares / total
    return mean, np.where(variance > _CONSTANT * mean**2, variance, 0.0)
