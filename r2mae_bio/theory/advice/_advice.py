"""The whole way from counts to a recommendation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.advice._fresh import level_nodes, predicted, scenario_of
from r2mae_bio.theory.advice._held_out import held_out_errors
from r2mae_bio.theory.advice._recommend import check_panel, panel_level, recommend
from r2mae_bio.theory.advice._report import choose
from r2mae_bio.theory.risk._fresh_masks import as_resolvent
from r2mae_bio.theory.risk._risk import check_setting
from r2mae_bio.theory.spectrum._blocks import location_and_variance
from r2mae_bio.theory.spectrum._bootstrap import bootstrap_eigenvalues
from r2mae_bio.theory.spectrum._factors import factor_correlation
from r2mae_bio.theory.spectrum._gene_spectrum import spectrum_of
from r2mae_bio.theory.spectrum._normalize import NormalizedCounts, most_variable, normalize_counts
from r2mae_bio.theory.spectrum._shrinkage import check_shrinkage

if TYPE_CHECKING:
    from r2mae_bio.theory.advice._report import Masks, Recommendation, Scenario
    from r2mae_bio.theory.risk._groups import Float
    from r2mae_bio.theory.spectrum._gene_spectrum import Spectrum
    from r2mae_bio.theory.spectrum._normalize import Normalization
    from r2mae_bio.theory.spectrum._shrinkage import Shrinkage

_HEAVY = 0.1
"""Excess variance of a cell's squared size above which cells count as unequal; below, Gaussian rows
say it all.
"""
_N_GENES = 200
_MOST_GENES = 3000
"""Genes up to which predictors are fitted and tested; with more, factors and the theory alone."""


def recommend_mask_ratio(
    counts: Any,
    *,
    n_cells: int | None = None,
    panel: float = 0.1,
    masks: Masks = "fresh",
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
    masks
        ``"fresh"``: cells are masked anew in every epoch, which is what trained networks follow.
        ``"single"``: every cell is masked once, the model of the paper and of
        :func:`autoencoder_risk`.
    n_top_genes, normalization, shrinkage
        As in :func:`gene_spectrum`; ``normalization=None`` takes normalised values as they are.
    n_bootstrap
        Bootstrap samples of the cells; 0 leaves the uncertainty out.
    seed
        Seed of the folds, of the bootstrap, of 200 genes over which errors are averaged where there
        are more, and of 20,000 cells (4,000 beyond 3,000 genes) where there are more.

    Returns
    -------
    The recommendation. With single masks predictions are calibrated (``calibrated=True`` in
    :func:`autoencoder_risk`) and cells have unequal sizes (``row_scales`` of the spectrum).

    Raises
    ------
    ConfigError, DataError
        A setting is out of range, or the matrix holds no counts.

    Notes
    -----
    With fresh masks the errors are measured: :func:`joint_predictor` of four fifths of the cells
    predicts the others, in closed form over endless masks (five-fold cross-validation). A spectrum
    alone misjudges small ratios, since that of a sample is not that of the population. To another
    number of cells, and from four fifths to all, errors are taken by the ratio of
    :func:`fresh_mask_risk` there and here, for the shrunk correlation; bias, variance and floor
    have the shares that it gives them. Beyond 3,000 used genes the errors are those of
    :func:`fresh_mask_risk` for :func:`factor_correlation`, without bootstrap. ``evidence`` of the
    recommendation says which.
    """
    if n_bootstrap < 0 or int(n_bootstrap) != n_bootstrap:
        message = f"n_bootstrap is {n_bootstrap}; needed is a whole number of at least 0."
        raise ConfigError(message)
    check_panel(panel, masks)
    check_shrinkage(shrinkage)
    if n_cells is not None:
        check_setting("n", n_cells, 1)
    if normalization is None:
        normalized = _as_they_are(counts, n_top_genes)
    else:
        normalized = normalize_counts(counts, n_top_genes=n_top_genes, normalization=normalization)
    n = normalized.matrix.shape[0] if n_cells is None else n_cells
    if masks == "fresh" and normalized.matrix.shape[1] > _MOST_GENES:
        return recommend(factor_correlation(normalized.matrix, seed=seed), n=n, panel=panel)
    spectrum = spectrum_of(normalized, shrinkage=shrinkage)
    if masks == "fresh":
        return _measured(normalized, spectrum, n, panel, n_bootstrap, seed)
    return _from_spectrum(normalized, spectrum, n, panel, n_bootstrap, seed)


def _from_spectrum(
    normalized: NormalizedCounts, spectrum: Spectrum, n: int, panel: float, n_bootstrap: int, seed: int
) -> Recommendation:
    samples = None
    if n_bootstrap > 0:
        samples = bootstrap_eigenvalues(
            normalized.matrix, spectrum.vectors, shrinkage=spectrum.shrinkage, n_samples=n_bootstrap, seed=seed
        )
    return recommend(
        spectrum.eigen,
        n=n,
        panel=panel,
        masks="single",
        eigenvalue_samples=samples,
        seed=seed,
        row_scales=spectrum.row_scales if spectrum.heavy_tail > _HEAVY else None,
        calibrated=True,
    )


def _measured(
    normalized: NormalizedCounts, spectrum: Spectrum, n: int, panel: float, n_bootstrap: int, seed: int
) -> Recommendation:
    """Held-out errors of fresh masks, taken to n cells."""
    d, model = spectrum.n_features, as_resolvent(spectrum.eigen)
    nodes, seen = level_nodes(d), (0.0, panel_level(panel))
    genes = np.sort(derive_generator(seed, "theory-genes").permutation(d)[:_N_GENES])
    held_out = held_out_errors(normalized.matrix, nodes, seen, genes=genes, seed=seed)
    here, there = ([predicted(model, m, nodes, t) for t in seen] for m in (held_out.n_train, n))

    def scenario(kind: int, errors: Float) -> Scenario:
        return scenario_of(here[kind].moved(errors, there[kind]), d)

    full, on_panel = (scenario(i, errors.mean(1)) for i, errors in enumerate(held_out.errors))
    about: dict[str, Any] = {
        "n_cells": int(n),
        "n_genes": d,
        "panel": float(panel),
        "peak": np.inf,
        "effective_rank": spectrum.effective_rank,
    }
    advice = choose(full, on_panel, masks="fresh", evidence="held-out", **about)
    if n_bootstrap == 0:
        return advice
    cells = held_out.errors.shape[2]
    draws = (derive_generator(seed, "theory-bootstrap", i).integers(cells, size=cells) for i in range(n_bootstrap))
    means = (held_out.errors[:, :, draw].mean(2) for draw in draws)
    return advice.with_bootstrap([tuple(scenario(i, mean[i]) for i in range(2)) for mean in means])


def _as_they_are(values: Any, n_top_genes: int) -> NormalizedCounts:
    matrix = sparse.csr_array(values) if sparse.issparse(values) else np.asarray(values, np.float64)
    if n_top_genes < 2 or not np.isfinite(matrix.data if sparse.issparse(matrix) else matrix).all():
        message = f"Needed are finite values and at least 2 genes; n_top_genes is {n_top_genes}."
        raise DataError(message)
    variance = location_and_variance(matrix, np.arange(matrix.shape[0]), np.ones(matrix.shape[0]))[1]
    genes = most_variable(np.where(variance > 0, variance, -np.inf), n_top_genes)
    return NormalizedCounts(matrix[:, genes], genes)
