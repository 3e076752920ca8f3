"""Advice from counts."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.advice._curve import RATIOS


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Unequal cells in two programmes (70, 16)."""
    rng = np.random.default_rng(0)
    activity = rng.gamma(2.0, 1.0, (70, 2))
    return rng.poisson(rng.gamma(4, 0.5, (70, 1)) * (0.5 + np.repeat(activity, 8, axis=1)))


def test_single_masks_are_the_spectrum_and_then_the_advice(counts: np.ndarray) -> None:
    spectrum = theory.gene_spectrum(counts)
    scales = spectrum.row_scales if spectrum.heavy_tail > 0.1 else None
    expected = theory.recommend(spectrum.eigen, n=200, panel=0.4, masks="single", row_scales=scales, calibrated=True)
    found = theory.recommend_mask_ratio(counts, n_cells=200, panel=0.4, masks="single", n_bootstrap=2, seed=4)
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


def _errors_by_hand(x: np.ndarray, order: np.ndarray, ratio: float, panel: float) -> np.ndarray:
    """Five-fold cross-validation with :func:`joint_predictor`, masks of a test cell averaged: on
    all genes, and on a panel.
    """
    found = np.zeros(2)
    for fold in range(5):
        test = order[fold::5]
        train = np.setdiff1d(order, test)
        B = theory.joint_predictor(x[train].T @ x[train] / train.size, mask_ratio=ratio)
        left, noise = (x[test] - x[test] @ B) ** 2, x[test] ** 2 @ B**2
        found += np.array([left.sum(), (left + (1 - panel) / panel * noise).sum()]) / x.size
    return found


def test_fresh_masks_are_measured_on_held_out_cells() -> None:
    """Against predictors that are fitted one by one. Variances of a training set are not exactly
    1, by which the penalties differ a little.
    """
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 24)) @ np.linalg.cholesky(theory.programme_covariance(24, 3, seed=0)).T
    x = (x - x.mean(0)) / x.std(0)
    advice = theory.recommend_mask_ratio(x, normalization=None, n_cells=160, panel=0.25, n_bootstrap=0, seed=7)
    assert (advice.evidence, advice.masks, advice.n_cells) == ("held-out", "fresh", 160)
    order = derive_generator(7, "theory-folds").permutation(200)
    for i in (4, 18, 30):
        by_hand = _errors_by_hand(x, order, float(RATIOS[i]), 0.25)
        found = [s.curve.error[i] for s in (advice.full, advice.on_panel)]  # 160 cells are four fifths: nothing is moved
        np.testing.assert_allclose(found, by_hand, rtol=5e-3)


def test_held_out_errors_of_all_cells_foretell_fresh_ones() -> None:
    """Cells that nobody saw, predicted from all 150 cells: the error is foretold within 5%."""
    rng = np.random.default_rng(1)
    S = theory.programme_covariance(60, 4, seed=1)
    chol = np.linalg.cholesky(S)
    x = rng.standard_normal((150, 60)) @ chol.T
    advice = theory.recommend_mask_ratio(x, normalization=None, n_bootstrap=0)
    for i in (6, 18, 34):
        measured = []
        for _ in range(10):
            y = rng.standard_normal((150, 60)) @ chol.T
            B = theory.joint_predictor(y.T @ y / 150, mask_ratio=float(RATIOS[i]))
            A = np.eye(60) - B
            measured.append([np.trace(A.T @ S @ A) / 60, np.trace(A.T @ S @ A + 9 * B.T @ B) / 60])
        np.testing.assert_allclose([s.curve.error[i] for s in (advice.full, advice.on_panel)], np.mean(measured, 0), rtol=0.05)


def test_more_cells_cost_less_and_parts_add_up(counts: np.ndarray) -> None:
    few, many = (theory.recommend_mask_ratio(counts, n_cells=n, n_bootstrap=3, seed=2) for n in (50, 5000))
    for a, b in ((few.full.curve, many.full.curve), (few.on_panel.curve, many.on_panel.curve)):
        assert (a.error > b.error).all()
        for curve in (a, b):
            np.testing.assert_allclose(curve.bias + curve.variance + curve.floor, curve.error, rtol=1e-9)
            assert min(curve.bias.min(), curve.variance.min()) >= -1e-9
            assert np.ptp(curve.floor) < 1e-9
    assert {name: values.shape for name, values in few.bootstrap.items()} == dict.fromkeys(
        ("best_full", "cost_full", "best_panel", "cost_panel"), (3,)
    )


def test_the_seed_repeats(counts: np.ndarray) -> None:
    a, b = (theory.recommend_mask_ratio(counts, n_bootstrap=2, seed=5).to_uns() for _ in range(2))
    np.testing.assert_equal(a, b)


def test_many_genes_are_factors_and_theory(counts: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("r2mae_bio.theory.advice._advice._MOST_GENES", 10)
    advice = theory.recommend_mask_ratio(counts, panel=0.3, n_bootstrap=2)
    assert (advice.evidence, advice.n_genes, advice.bootstrap) == ("theory", 16, {})
    assert "predicted from the correlations" in advice.verdict
