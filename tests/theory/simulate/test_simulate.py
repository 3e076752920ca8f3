"""Simulations: their building blocks by definition, and their independence of threads."""

from __future__ import annotations

import itertools
from threading import Event, Thread, current_thread

import numpy as np
import pytest
from scipy import stats

from r2mae_bio import theory
from r2mae_bio._rng import derive_generator
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.masking import Beta, Choice, Fixed, LogUniformVisible, Schedule, Uniform
from r2mae_bio.theory.risk._groups import mask_groups
from r2mae_bio.theory.simulate._draws import Population, draw_ratios, error_on_test, mask, minimum_norm
from r2mae_bio.theory.simulate._parallel import run_draws

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


def test_draws_run_on_several_threads_and_come_in_order() -> None:
    both = Event(), Event()

    def draw(number: int, _: Event) -> tuple[int, Thread]:
        both[number % 2].set()
        assert both[1 - number % 2].wait(20)  # ends only if both run at once
        return number, current_thread()

    results = run_draws(draw, 6, n_jobs=2, progress=None, title="")
    assert [number for number, _ in results] == list(range(6))
    assert len({thread for _, thread in results}) == 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_interrupt_stops_at_once(n_jobs: int) -> None:
    """No new draw is started, and those under way are told to stop."""
    started, told = itertools.count(), Event()

    def draw(number: int, stopped: Event) -> int:
        next(started)
        if number == 0:
            raise KeyboardInterrupt
        if stopped.wait(20):
            told.set()
        return number

    with pytest.raises(KeyboardInterrupt):
        run_draws(draw, 1000, n_jobs=n_jobs, progress=None, title="")
    assert n_jobs == 1 or told.wait(20) or next(started) <= 1
    assert next(started) <= 3


def test_progress_bar_appears_only_when_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    run_draws(lambda i, _: i, 3, n_jobs=1, progress=None, title="Training sets")
    run_draws(lambda i, _: i, 3, n_jobs=1, progress=False, title="Training sets")
    assert capsys.readouterr() == ("", "")
    run_draws(lambda i, _: i, 3, n_jobs=2, progress=True, title="Training sets")
    shown = capsys.readouterr()
    assert "Training sets" in shown.err
    assert not shown.out


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


# ---------------------------------------------------------------- building blocks


def _shape(kind: str) -> tuple[int, int]:
    return {"wide": (15, 30), "tall": (40, 12), "square": (20, 20)}[kind]


@pytest.mark.parametrize("kind", ["wide", "tall", "square"])
@pytest.mark.parametrize("defect", ["none", "zero row", "zero column", "repeated row", "repeated column", "nothing"])
def test_minimum_norm_is_that_of_the_pseudoinverse(kind: str, defect: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=_shape(kind))
    if defect == "zero row":
        X[3] = 0
    elif defect == "zero column":
        X[:, 3] = 0
    elif defect == "repeated row":
        X[4] = X[3]
    elif defect == "repeated column":
        X[:, 4] = X[:, 3]
    elif defect == "nothing":
        X[:] = 0
    y = rng.normal(size=len(X))
    np.testing.assert_allclose(minimum_norm(X, y), np.linalg.pinv(X) @ y, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("kind", ["wide", "tall"])
def test_ridge_solves_its_normal_equations(kind: str) -> None:
    rng = np.random.default_rng(0)
    X = rng.normal(size=_shape(kind))
    X[2] = 0  # rows without content count in the mean all the same
    y = rng.normal(size=len(X))
    m = minimum_norm(X, y, ridge=0.3)
    np.testing.assert_allclose(X.T @ (y - X @ m) / len(X), 0.3 * m, atol=1e-12)


@pytest.mark.parametrize(
    "law", [0.3, 0, (0.2, 0.7), Uniform(0.2, 0.7), Beta(2, 5), LogUniformVisible(0.01), Choice((0.1, 0.8))], ids=str
)
def test_ratios_follow_their_law(law: object) -> None:
    ratios = draw_ratios(law, 4000, derive_generator(0, "test"), batch_size=1)
    assert ratios.shape == (4000,)
    if isinstance(law, float | int):
        assert (ratios == law).all()
    elif isinstance(law, Choice):
        assert set(ratios) == {0.1, 0.8}
        assert stats.binomtest(int((ratios == 0.8).sum()), 4000).pvalue > 1e-4
    else:
        u = np.linspace(0.005, 0.995, 4000)
        quantiles = np.interp(u, [0, 1], law) if isinstance(law, tuple) else law.quantile(u)
        assert stats.ks_2samp(ratios, quantiles).pvalue > 1e-4


def test_law_with_quadrature_alone_is_drawn_from_its_nodes() -> None:
    class Two:
        def quadrature(self, n_nodes: int = 32) -> tuple[np.ndarray, np.ndarray]:
            return np.array([0.2, 0.6]), np.array([0.25, 0.75])

    ratios = draw_ratios(Two(), 4000, derive_generator(0, "test"), batch_size=1)
    assert set(ratios) == {0.2, 0.6}
    assert stats.binomtest(int((ratios == 0.6).sum()), 4000, 0.75).pvalue > 1e-4


def test_scope_decides_who_shares_a_ratio() -> None:
    shared = draw_ratios(Uniform(0, 1, scope="batch"), 50, derive_generator(0, "test"), batch_size=20)
    assert np.unique(shared).size == 3
    assert [np.unique(part).size for part in np.split(shared, [20, 40])] == [1, 1, 1]
    assert np.unique(draw_ratios(Uniform(0, 1), 50, derive_generator(0, "test"), batch_size=20)).size == 50


def test_schedule_is_run_through() -> None:
    ratios = draw_ratios(Schedule(0.9, 0.1), 3200, derive_generator(0, "test"), batch_size=1)
    assert (np.diff(ratios) <= 0).all()
    assert ratios.mean() == pytest.approx(0.5)
    assert np.quantile(ratios, [0.05, 0.95]) == pytest.approx([0.14, 0.86], abs=0.02)


def test_ratio_one_hides_everything_without_infinities() -> None:
    ratios = draw_ratios(Choice((0.0, 1.0)), 100, derive_generator(0, "test"), batch_size=1)
    masked, hidden = mask(np.ones((100, 5)), ratios, derive_generator(1, "test"), rescale=True)
    assert np.isfinite(masked).all()
    np.testing.assert_array_equal(hidden.all(1), ratios > 0.5)


@pytest.mark.parametrize("rescale", [True, False])
def test_masking_hides_and_rescales(rescale: bool) -> None:
    X = np.random.default_rng(0).normal(size=(4000, 10))
    ratios = np.repeat([0.2, 0.7], 2000)
    masked, hidden = mask(X, ratios, derive_generator(0, "test"), rescale=rescale)
    assert (masked[hidden] == 0).all()
    gain = 1 / (1 - ratios) if rescale else np.ones(4000)
    np.testing.assert_allclose(masked[~hidden], (X * gain[:, None])[~hidden])
    np.testing.assert_allclose([hidden[:2000].mean(), hidden[2000:].mean()], [0.2, 0.7], atol=0.015)


@pytest.mark.parametrize("kind", ["correlation", "unequal"])
def test_gaussian_rows_have_the_covariance(kind: str, request: pytest.FixtureRequest) -> None:
    S = request.getfixturevalue(kind)
    X, scale = Population.of(S, None, [1.0, 3.0]).draw(20000, derive_generator(0, "test"))
    deviation = np.sqrt(np.diag(S))
    assert np.abs((X.T @ X / 20000 - S) / np.outer(deviation, deviation)).max() < 0.06
    np.testing.assert_allclose(np.unique(scale), np.array([1, 3]) / np.sqrt(5))  # mean square 1


def test_rows_of_the_user_are_drawn() -> None:
    rows = np.random.default_rng(0).normal(size=(8, 3))
    population = Population.of(np.eye(3), rows, None)
    few, _ = population.draw(8, derive_generator(0, "test"))
    np.testing.assert_array_equal(np.sort(few, axis=0), np.sort(rows, axis=0))  # each once
    many, _ = population.draw(50, derive_generator(0, "test"))
    assert {tuple(x) for x in many} <= {tuple(x) for x in rows}


def test_rows_of_the_user_give_the_risk_of_gaussian_ones(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    rows = np.random.default_rng(0).multivariate_normal(np.zeros(40), correlation, size=5000)
    ours = theory.simulate_risk(correlation, coefficients, **SETTING, rows=rows)
    gaussian = theory.simulate_risk(correlation, coefficients, **SETTING, seed=1)
    assert abs(ours.mean - gaussian.mean) < 4 * np.hypot(ours.standard_error, gaussian.standard_error)


@pytest.mark.parametrize("law", [0.4, (0.1, 0.9)], ids=str)
@pytest.mark.parametrize("rescale", [True, False])
def test_error_on_masked_rows_is_the_mean_over_them(unequal: np.ndarray, law: object, rescale: bool) -> None:
    rng = np.random.default_rng(0)
    m, b = rng.normal(size=(2, 40)) / 6
    X, _ = Population.of(unequal, None, None).draw(100_000, rng)
    masked, _ = mask(X, draw_ratios(law, len(X), rng, batch_size=1), rng, rescale=rescale)
    squares = (masked @ m - X @ b) ** 2
    exact = error_on_test(unequal, m, b, mask_groups(law, rescale=rescale), rescale=rescale)
    assert abs(squares.mean() - exact) < 4 * squares.std() / np.sqrt(len(X))


def test_calibrated_error_is_the_least_over_all_factors(unequal: np.ndarray) -> None:
    m, b = np.random.default_rng(0).normal(size=(2, 40))
    groups = mask_groups(0.4, rescale=True)
    best = error_on_test(unequal, m, b, groups, rescale=True, calibrated=True)
    others = [error_on_test(unequal, f * m, b, groups, rescale=True) for f in np.linspace(-1, 1, 2001)]
    assert min(others) == pytest.approx(best, rel=1e-6)
    assert min(others) >= best
    same = error_on_test(unequal, b, b, mask_groups(0.0, rescale=True), rescale=True, calibrated=True)
    assert same == pytest.approx(0, abs=1e-9)


def test_conditional_mean_is_the_regression_on_all_others(unequal: np.ndarray) -> None:
    others = np.delete(np.arange(40), 7)
    b = Population.of(unequal, None, None).conditional_mean(7)
    assert b[7] == 0
    np.testing.assert_allclose(b[others], np.linalg.solve(unequal[np.ix_(others, others)], unequal[others, 7]), atol=1e-10)


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
