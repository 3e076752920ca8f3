"""The whole way from counts to a recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.theory.advice._recommend import recommend
from r2mae_bio.theory.spectrum._blocks import location_and_variance
from r2mae_bio.theory.spectrum._bootstrap import bootstrap_eigenvalues
from r2mae_bio.theory.spectrum._gene_spectrum import spectrum_of
from r2mae_bio.theory.spectrum._normalize import NormalizedCounts, most_variable, normalize_counts

if TYPE_CHECKING:
    from r2mae_bio.theory.advice._recommend import Recommendation
    from r2mae_bio.theory.spectrum._normalize import Normalization
    from r2mae_bio.theory.spectrum._shrinkage import Shrinkage

_HEAVY = 0.1
"""Excess variance of a cell's squared size above which cells count as unequal; below, Gaussian rows
say it all.
"""


def recommend_mask_ratio(
    counts: Any,
    *,
    n_cells: int | None = None,
    panel: float = 0.1,
    n_top_genes: int = 2000,
    normalization: Normalization | None = "log1p",
    shrinkage: Shrinkage = "ledoit-wolf",
    n_bootstrap: int = 20,
    seed: int = 0,
) -> Recommendation:
    """Recommend a range of mask ratios for a count matrix; see :func:`recommend`.

    Parameters
    ----------
    counts
        Raw counts (n_cells, n_genes), sparse or dense.
    n_cells
        Number of cells to train on; those of the matrix if None.
    panel
        Share of the genes that a panel, or a shallow cell, measures, in (0, 1).
    n_top_genes, normalization, shrinkage
        As in :func:`gene_spectrum`; ``normalization=None`` takes normalised values as they are.
    n_bootstrap
        Bootstrap samples of the cells; 0 leaves the uncertainty out.
    seed
        Seed of the bootstrap and of the genes over which errors are averaged.

    Returns
    -------
    The recommendation. Predictions are calibrated (``calibrated=True`` in :func:`autoencoder_risk`)
    and cells have unequal sizes (``row_scales`` of the spectrum).

    Raises
    ------
    ConfigError, DataError
        A setting is out of range, or the matrix holds no counts.
    """
    if n_bootstrap < 0 or int(n_bootstrap) != n_bootstrap:
        message = f"n_bootstrap is {n_bootstrap}; needed is a whole number of at least 0."
        raise ConfigError(message)
    if normalization is None:
        normalized = _as_they_are(counts, n_top_genes)
    else:
        normalized = normalize_counts(counts, n_top_genes=n_top_genes, normalization=normalization)
    spectrum = spectrum_of(normalized, shrinkage=shrinkage)
    samples = None
    if n_bootstrap > 0:
        samples = bootstrap_eigenvalues(
            normalized.matrix, spectrum.vectors, shrinkage=spectrum.shrinkage, n_samples=n_bootstrap, seed=seed
        )
    return recommend(
        spectrum.eigen,
        n=spectrum.n_cells if n_cells is None else n_cells,
        panel=panel,
        eigenvalue_samples=samples,
        seed=seed,
        row_scales=spectrum.row_scales if spectrum.heavy_tail > _HEAVY else None,
        calibrated=True,
    )


def _as_they_are(values: Any, n_top_genes: int) -> NormalizedCounts:
    matrix = sparse.csr_array(values) if sparse.issparse(values) else np.asarray(values, np.float64)
    if n_top_genes < 2 or not np.isfinite(matrix.data if sparse.issparse(matrix) else matrix).all():
        message = f"Needed are finite values and at least 2 genes; n_top_genes is {n_top_genes}."
        raise DataError(message)
    variance = location_and_variance(matrix, np.arange(matrix.shape[0]), np.ones(matrix.shape[0]))[1]
    genes = most_variable(np.where(variance > 0, variance, -np.inf), n_top_genes)
    return NormalizedCounts(matrix[:, genes], genes)
