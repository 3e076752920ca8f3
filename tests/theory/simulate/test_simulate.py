"""Simulations against the theory, and their independence of seeds and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.masking import Fixed, Schedule, Uniform

SETTING = {"n": 25, "noise_variance": 0.2, "mask_ratio": (0.1, 0.8)}


# ---------------------------------------------------------------- agreement with the theory


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="default"),
        pytest.param({"mask_ratio": 0.3, "rescale": False}, id="not rescaled"),
        pytest.param({"test": 0.5}, id="masked test"),
        pytest.param({"test": theory.Panel(np.arange(0, 40, 2))}, id="panel"),
        pytest.param({"ridge": 0.2}, id="ridge"),
        pytest.param({"row_scales": [0.5, 1.5]}, id="row scales"),
        pytest.param({"n": 90, "mask_ratio": Uniform(0.1, 0.8, scope="batch"), "batch_size": 1}, id="batch of one"),
        pytest.param({"n": 90, "mask_ratio": Schedule(0.9, 0.1)}, id="schedule"),
    ],
)
def test_regression_agrees_with_theory(options: dict, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    """Loosely: 40 features are few for formulas that hold as they become many."""
    settings = {**SETTING, **options}
    runs = theory.simulate_risk(correlation, coefficients, n_draws=150, **settings)
    settings.pop("batch_size", None)
    expected = theory.regression_risk(correlation, coefficients, **settings).total
    assert abs(runs.mean - expected) < 4 * runs.standard_error + 0.06 * expected


def test_regression_on_unequal_variances_agrees_with_theory(unequal: np.ndarray, coefficients: np.ndarray) -> None:
    settings = {"n": 100, "noise_variance": 0.2, "mask_ratio": 0.3, "test": 0.4, "ridge": 0.1}
    runs = theory.simulate_risk(unequal, coefficients, n_draws=150, **settings)
    expected = theory.regression_risk(unequal, coefficients, **settings).total
    assert abs(runs.mean - expected) < 4 * runs.standard_error + 0.03 * expected


@pytest.mark.parametrize(
    "options", [{}, {"test": 0.5}, {"ridge": 0.1}, {"rescale": False}, {"calibrated": True, "test": (0.0, 0.9)}], ids=str
)
def test_autoencoder_agrees_with_theory(options: dict, correlation: np.ndarray) -> None:
    settings = {"n": 200, "mask_ratio": (0.2, 0.9), "genes": np.arange(0, 40, 4), **options}
    runs = theory.simulate_autoencoder_risk(3 * correlation, n_draws=60, **settings)
    expected = theory.autoencoder_risk(3 * correlation, **settings)
    assert abs(runs.median - expected.total) < 4 * runs.median_error + 0.05 * expected.total
    np.testing.assert_allclose(np.median(runs.per_gene, axis=0), expected.per_gene, rtol=0.3, atol=1e-9)


def test_no_draw_is_better_than_the_best_linear_predictor(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    irreducible = theory.regression_risk(correlation, coefficients, test=0.5, **SETTING).irreducible
    runs = theory.simulate_risk(correlation, coefficients, test=0.5, n_draws=30, **SETTING)
    assert runs.totals.min() > irreducible > 0


def test_without_noise_and_masks_enough_rows_give_the_coefficients(unequal: np.ndarray, coefficients: np.ndarray) -> None:
    runs = theory.simulate_risk(unequal, coefficients, n=60, noise_variance=0, mask_ratio=0.0, n_draws=3)
    assert runs.totals.max() < 1e-16


# ---------------------------------------------------------------- reproducibility and threads


def test_result_depends_on_seed_and_number_alone(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    def totals(**options: int) -> np.ndarray:
        return theory.simulate_risk(correlation, coefficients, **SETTING, **options).totals

    alone = totals(n_draws=6, n_jobs=1)
    np.testing.assert_array_equal(alone, totals(n_draws=6, n_jobs=3))
    np.testing.assert_array_equal(alone[:4], totals(n_draws=4))
    assert not np.isin(alone, totals(n_draws=6, seed=1)).any()
    assert np.unique(alone).size == 6


def test_autoencoder_of_some_genes_is_part_of_that_of_all(correlation: np.ndarray) -> None:
    settings = {"n": 50, "mask_ratio": 0.4, "n_draws": 2}
    every = theory.simulate_autoencoder_risk(correlation, **settings, n_jobs=1)
    some = theory.simulate_autoencoder_risk(correlation, genes=[5, 2], **settings, n_jobs=2)
    mask_ = np.isin(np.arange(40), [2, 5])
    boolean = theory.simulate_autoencoder_risk(correlation, genes=mask_, **settings)
    np.testing.assert_array_equal(some.per_gene, every.per_gene[:, [5, 2]])
    np.testing.assert_array_equal(boolean.per_gene, every.per_gene[:, [2, 5]])
    np.testing.assert_allclose(every.totals, every.per_gene.mean(1))


# ---------------------------------------------------------------- summaries


def test_summaries_of_many_draws() -> None:
    """Errors of mean and median against their known values for normal variables, ``1 / sqrt n`` and
    ``sqrt(pi / 2) / sqrt n``.
    """
    totals = np.random.default_rng(0).normal(5, 1, 4000)
    runs = theory.Simulation(totals)
    assert runs.n_draws == 4000
    assert runs.mean == pytest.approx(totals.mean())
    assert runs.standard_error == pytest.approx(1 / np.sqrt(4000), rel=0.05)
    assert runs.median == pytest.approx(np.median(totals))
    errors = [theory.Simulation(np.random.default_rng(i).normal(0, 1, 400)).median_error for i in range(200)]
    assert np.mean(errors) == pytest.approx(np.sqrt(np.pi / 2 / 400), rel=0.1)


def test_a_single_draw_has_no_error() -> None:
    runs = theory.Simulation(np.array([2.0]))
    assert runs.mean == runs.median == 2.0
    assert np.isnan([runs.standard_error, runs.median_error]).all()


# ---------------------------------------------------------------- rows of the user


def test_rows_of_the_user_give_the_risk_of_gaussian_ones(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    rows = np.random.default_rng(0).multivariate_normal(np.zeros(40), correlation, size=5000)
    ours = theory.simulate_risk(correlation, coefficients, **SETTING, rows=rows)
    gaussian = theory.simulate_risk(correlation, coefficients, **SETTING, seed=1)
    assert abs(ours.mean - gaussian.mean) < 4 * np.hypot(ours.standard_error, gaussian.standard_error)


# ---------------------------------------------------------------- what cannot work


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        pytest.param({"n": 2.5}, ConfigError, "whole number", id="half a row"),
        pytest.param({"n": 0}, ConfigError, "n is 0", id="no row"),
        pytest.param({"n_draws": 0}, ConfigError, "n_draws is 0", id="no draw"),
        pytest.param({"n_jobs": -1}, ConfigError, "n_jobs is -1", id="negative threads"),
        pytest.param({"batch_size": 0}, ConfigError, "batch_size is 0", id="empty batch"),
        pytest.param({"ridge": -0.1}, ConfigError, "ridge is -0.1", id="negative ridge"),
        pytest.param({"noise_variance": -1}, ConfigError, "noise_variance is -1", id="negative noise"),
        pytest.param({"mask_ratio": 1.0}, ConfigError, "hides everything", id="all hidden"),
        pytest.param({"mask_ratio": Fixed(1.0)}, ConfigError, "hides everything", id="all hidden by a law"),
        pytest.param({"test": 1.0}, ConfigError, "hides everything", id="test all hidden"),
        pytest.param({"test": theory.Panel([40])}, DataError, "does not fit 40 features", id="panel off the end"),
        pytest.param({"row_scales": []}, ConfigError, "row_scales", id="no scale"),
        pytest.param({"row_scales": [0.0]}, ConfigError, "row_scales", id="only scale 0"),
        pytest.param({"rows": np.ones((5, 39))}, DataError, "rows has shape", id="rows of another width"),
        pytest.param({"rows": np.full((5, 40), np.nan)}, DataError, "finite", id="rows NaN"),
    ],
)
def test_bad_settings_are_refused(
    options: dict, error: type[Exception], match: str, correlation: np.ndarray, coefficients: np.ndarray
) -> None:
    with pytest.raises(error, match=match):
        theory.simulate_risk(correlation, coefficients, **{**SETTING, "n_draws": 2, **options})


def test_bad_data_are_refused(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    with pytest.raises(DataError, match="coefficients have shape"):
        theory.simulate_risk(correlation, coefficients[:-1], **SETTING)
    with pytest.raises(DataError, match="matrix"):
        theory.simulate_risk(np.ones(40), coefficients, **SETTING)
    with pytest.raises(DataError, match="negative"):
        theory.simulate_risk(1.2 * np.eye(40) - 0.2, coefficients, **SETTING)
    with pytest.raises(DataError, match="genes does not fit"):
        theory.simulate_autoencoder_risk(correlation, n=10, mask_ratio=0.5, genes=[40])
    with pytest.raises(ConfigError, match="nothing is ever hidden"):
        theory.simulate_autoencoder_risk(correlation, n=10, mask_ratio=0)
