"""Error of the fresh-mask predictor on cells that it was not fitted to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import linalg
from scipy.linalg.blas import dsyrk

from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.spectrum._blocks import location_and_variance, standardized_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.theory.risk._groups import Float

N_FOLDS = 5
MOST_CELLS = 20_000
"""Cells that enter; more are drawn from by seed."""
_MOST_TESTED = 1000
"""Cells of a fold that are predicted."""
_VARIES = 1e-12


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Measured errors, mean over genes, in units of a gene's variance."""

    n_train: float
    """Cells that each predictor was fitted to."""
    errors: Float
    """Error of every held-out cell at T test levels and K training levels (T, K, cells)."""


@dataclass(frozen=True, eq=False)
class _Cells:
    matrix: Any
    mean: Float
    scale: Float

    def rows(self, rows: NDArray[np.int64]) -> Float:
        return np.concatenate([block for _, block in standardized_blocks(self.matrix, rows, self.mean, self.scale)])

    def gram(self, rows: NDArray[np.int64]) -> Float:
        """Upper triangle of the sum of squares and products (d, d)."""
        d = self.mean.size
        total = np.zeros((d, d), order="F")
        for _, block in standardized_blocks(self.matrix, rows, self.mean, self.scale):
            total = dsyrk(1.0, block.T, beta=1.0, c=total, overwrite_c=True)
        return total


def held_out_errors(matrix: Any, levels: Float, seen: tuple[float, ...], *, genes: NDArray[np.int64], seed: int) -> HeldOut:
    """Five-fold cross-validation of the joint predictor in the limit of many masks.

    Fitted to four fifths of the cells, it predicts genes of the rest; the mean over masks of a
    test cell is taken exactly, ``E (x_j - b'x~)^2 = (x_j - b'x)^2 + t sum_k b_k^2 x_k^2`` for a
    test level t. Genes are standardised by all cells, those predicted and those not.

    Parameters
    ----------
    matrix
        Normalised expression (n, d): sparse, dense, or the matrix of :func:`normalize_counts`.
    levels
        Levels of the training masks, ``p / (1 - p)`` (K,).
    seen
        Levels of the test masks.
    genes
        Positions of the genes to predict (J,).
    seed
        Seed of the folds.

    Returns
    -------
    The errors of the cells that were predicted.
    """
    n = matrix.shape[0]
    order = derive_generator(seed, "theory-folds").permutation(n)[:MOST_CELLS]
    rows = np.sort(order)
    mean, variance = location_and_variance(matrix, rows, np.ones(rows.size))
    varies = variance > _VARIES
    cells = _Cells(matrix, mean, np.where(varies, 1 / np.sqrt(np.where(varies, variance, 1.0)), 0.0))
    total = cells.gram(rows)
    n_folds = min(N_FOLDS, rows.size)
    errors = []
    for fold in range(n_folds):
        test = np.sort(order[fold::n_folds])
        n_train = rows.size - test.size
        values, vectors = linalg.eigh((total - cells.gram(test)) / n_train, lower=False, overwrite_a=True, check_finite=False)
        standard = cells.rows(order[fold::n_folds][:_MOST_TESTED])
        errors.append(_errors(standard, np.maximum(values, 0.0), vectors, levels, seen, genes))
    return HeldOut(rows.size * (1 - 1 / n_folds), np.concatenate(errors, axis=2))


def _errors(
    cells: Float, values: Float, vectors: Float, levels: Float, seen: tuple[float, ...], genes: NDArray[np.int64]
) -> Float:
    """Errors of one predictor per level (T, K, cells); ``x - x B = x N^-1 / diag(N^-1)``."""
    own, along, squares = vectors[genes].T, cells @ vectors, cells**2  # (d, J), (m, d), (m, d)
    errors = np.empty((len(seen), levels.size, len(cells)))
    for k, level in enumerate(levels):
        weighted = own / (values + level)[:, None]
        diagonal = np.einsum("dj,dj->j", own, weighted)
        left = ((along @ weighted / diagonal) ** 2).mean(1)
        inverse = vectors @ weighted / diagonal
        inverse[genes, np.arange(genes.size)] = 0.0
        noise = squares @ np.square(inverse, out=inverse).mean(1)
        for t, test_level in enumerate(seen):
            errors[t, k] = left + test_level * noise
    return errors
