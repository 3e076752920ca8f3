"""Uncertainty of a gene spectrum under resampling of the cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.spectrum._blocks import location_and_variance, standardized_blocks

if TYPE_CHECKING:
    from r2mae_bio.theory.risk._groups import Float


_LEAST_VARIANCE = 0.05
"""Least variance of a sample along an eigenvector: rare genes may be missing from a sample."""


def bootstrap_eigenvalues(matrix: Any, vectors: Float, *, shrinkage: float = 0.0, n_samples: int = 20, seed: int = 0) -> Float:
    """Eigenvalues of the gene correlation in bootstrap samples of the cells, to first order.

    The eigenvectors are held: an eigenvalue of a sample is the weighted mean square of the cells
    along its eigenvector, so that one pass over the cells serves all samples. A full bootstrap
    would repeat an eigendecomposition for each, and would draw leading eigenvalues upwards; where
    eigenvalues nearly coincide, the spread found here is too wide.

    Parameters
    ----------
    matrix
        Normalised expression (n, d): sparse, dense, or the matrix of :func:`normalize_counts`.
    vectors
        Eigenvectors of its correlation matrix, in columns (d, d).
    shrinkage
        Intensity of the shrinkage towards the identity.
    n_samples
        Number of samples.
    seed
        Seed of the draws.

    Returns
    -------
    Eigenvalues in the order of the eigenvectors, each sample with mean 1 (n_samples, d).
    """
    n, d = matrix.shape
    rows = np.arange(n)
    draws = [derive_generator(seed, "theory-bootstrap", i).integers(n, size=n) for i in range(n_samples)]
    counts = np.stack([np.bincount(draw, minlength=n) for draw in draws]) / n  # (S, n)
    mean, variance = location_and_variance(matrix, rows, np.ones(n))
    scale = np.divide(1, np.sqrt(variance), out=np.zeros(d), where=variance > 0)
    sums, squares, means = (np.zeros((n_samples, d)) for _ in range(3))
    for part, standard in standardized_blocks(matrix, rows, mean, scale):
        along = standard @ vectors
        sums += counts[:, part] @ np.square(along, out=along)
        squares += counts[:, part] @ standard**2
        means += counts[:, part] @ standard
    # genes are standardised anew in every sample, which moves an eigenvalue by what its own genes
    # moved
    sums = (sums - (means @ vectors) ** 2) / np.maximum((squares - means**2) @ vectors**2, _LEAST_VARIANCE)
    return np.asarray((1 - shrinkage) * sums / sums.mean(1, keepdims=True) + shrinkage)
