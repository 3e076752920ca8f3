"""Advice from counts."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Unequal cells in two programmes (70, 16)."""
    rng = np.random.default_rng(0)
    activity = rng.gamma(2.0, 1.0, (70, 2))
    return rng.poisson(rng.gamma(4, 0.5, (70, 1)) * (0.5 + np.repeat(activity, 8, axis=1)))


def test_from_counts_is_the_spectrum_and_then_the_advice(counts: np.ndarray) -> None:
    spectrum = theory.gene_spectrum(counts)
    scales = spectrum.row_scales if spectrum.heavy_tail > 0.1 else None
    expected = theory.recommend(spectrum.eigen, n=200, panel=0.4, row_scales=scales, calibrated=True)
    found = theory.recommend_mask_ratio(counts, n_cells=200, panel=0.4, n_bootstrap=2, seed=4)
    assert (found.law, found.n_cells, found.n_genes) == (expected.law, 200, 16)
    assert found.cost == pytest.approx(expected.cost, rel=1e-6)
    assert found.bootstrap["best_full"].shape == (2,)


def test_normalised_values_are_taken_as_they_are(counts: np.ndarray) -> None:
    """Of log-normalised values the most variable genes are used, and no other normalisation is
    applied.
    """
    values = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4)
    kept = np.sort(np.argsort(-values.var(0, ddof=1))[:9])
    a = theory.recommend_mask_ratio(values, normalization=None, n_top_genes=9, n_bootstrap=0)
    b = theory.recommend_mask_ratio(values[:, kept], normalization=None, n_bootstrap=0)
    assert a.n_genes == 9
    assert a.law == b.law
    assert a.cost == pytest.approx(b.cost, rel=1e-6)
    S = theory.gene_correlation(values[:, kept])[0]
    assert a.effective_rank == pytest.approx(81 / (S**2).sum(), rel=1e-6)
