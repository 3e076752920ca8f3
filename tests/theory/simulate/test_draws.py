"""The building blocks of simulations, by definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import Beta, Choice, LogUniformVisible, Schedule, Uniform
from r2mae_bio.theory.risk._groups import mask_groups
from r2mae_bio.theory.simulate._draws import Population, draw_ratios, error_on_test, mask, minimum_norm


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
