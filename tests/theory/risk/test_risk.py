"""The core of the theory for one target: its two forms agree, known results come out, and bad input
is refused.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.masking import Beta, Choice, Fixed, LogUniformVisible, Uniform
from r2mae_bio.theory import Panel, Risk, regression_risk
from r2mae_bio.theory.risk._groups import mask_groups

D = 40
SETTING = {"n": 25, "noise_variance": 0.2, "mask_ratio": (0.1, 0.8)}
TESTS = {"unmasked": None, "ratio": 0.4, "pair": (0.0, 0.9), "law": Choice((0.2, 0.7)), "panel": Panel(np.arange(0, D, 3))}
OPTIONS = {
    "default": {},
    "not rescaled": {"rescale": False},
    "ridge": {"ridge": 0.3},
    "row scales": {"row_scales": [0.3, 1.0, 2.0]},
}


def _numbers(risk: Risk) -> np.ndarray:
    """What a risk says, without how it was found."""
    names = {f.name for f in dataclasses.fields(Risk)} - {"iterations", "residual"}
    return np.array([getattr(risk, name) for name in sorted(names)])


# ---------------------------------------------------------------- the forms agree


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS.keys())
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS.keys())
@pytest.mark.parametrize("n", [15, 39, 120])
@pytest.mark.parametrize("scale", [1.0, 7.0])
def test_dense_equals_spectral(
    scale: float, n: int, options: dict, test: object, correlation: np.ndarray, coefficients: np.ndarray
) -> None:
    settings = {**SETTING, "n": n, "test": test, **options}
    dense = regression_risk(scale * correlation, coefficients, **settings, method="dense")
    spectral = regression_risk(scale * correlation, coefficients, **settings, method="spectral")
    assert dense.converged
    assert spectral.converged
    np.testing.assert_allclose(_numbers(spectral), _numbers(dense), rtol=1e-8, atol=1e-8)


def test_decomposition_and_eigenvalues_stand_for_the_covariance(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    whole = _numbers(regression_risk(2 * correlation, coefficients, **SETTING))
    eigen = theory.decompose(2 * correlation)
    np.testing.assert_allclose(_numbers(regression_risk(eigen, coefficients, **SETTING)), whole, rtol=1e-10)
    values, b = 2 * eigen.values, eigen.vectors.T @ coefficients
    np.testing.assert_allclose(_numbers(regression_risk(values, b, **SETTING)), whole, rtol=1e-10)


def test_automatic_form_follows_the_variances(unequal: np.ndarray, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    for S, method in ((unequal, "dense"), (correlation, "spectral")):
        chosen, named = (regression_risk(S, coefficients, **SETTING, method=m) for m in ("auto", method))
        assert chosen == named


# ---------------------------------------------------------------- symmetries


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS.keys())
@pytest.mark.parametrize("kind", ["correlation", "unequal"])
def test_parts_add_up_and_are_not_negative(
    kind: str, test: object, coefficients: np.ndarray, request: pytest.FixtureRequest
) -> None:
    risk = regression_risk(request.getfixturevalue(kind), coefficients, test=test, **SETTING)
    assert risk.total == pytest.approx(risk.bias + risk.variance + risk.irreducible, rel=1e-12)
    assert min(risk.bias, risk.variance, risk.irreducible) >= 0
    assert (risk.irreducible > 0) == (test is not None)
    assert risk.prediction_error == risk.total + SETTING["noise_variance"]


def test_units(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    """Features in other units, coefficients in their inverse: nothing changes. A larger target: the
    risk grows by its square.
    """
    plain = regression_risk(correlation, coefficients, **SETTING, ridge=0.1)
    units = regression_risk(25 * correlation, coefficients / 5, **SETTING, ridge=2.5)
    np.testing.assert_allclose(_numbers(units), _numbers(plain), rtol=1e-9)
    larger = regression_risk(correlation, 3 * coefficients, **{**SETTING, "noise_variance": 1.8}, ridge=0.1)
    assert larger.total == pytest.approx(9 * plain.total, rel=1e-9)


@pytest.mark.parametrize("kind", ["correlation", "unequal"])
def test_order_of_features_does_not_matter(kind: str, coefficients: np.ndarray, request: pytest.FixtureRequest) -> None:
    S, order = request.getfixturevalue(kind), np.random.default_rng(0).permutation(D)
    panel = np.arange(D) < 9
    a = regression_risk(S, coefficients, test=Panel(panel), **SETTING)
    b = regression_risk(S[np.ix_(order, order)], coefficients[order], test=Panel(panel[order]), **SETTING)
    np.testing.assert_allclose(_numbers(a), _numbers(b), rtol=1e-7, atol=1e-9)


def test_one_way_of_writing_each_ratio(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    def total(mask_ratio: object) -> float:
        return regression_risk(correlation, coefficients, **{**SETTING, "mask_ratio": mask_ratio}).total

    assert total((0.1, 0.8)) == pytest.approx(total(Uniform(0.1, 0.8)), rel=1e-12)
    assert total(0.4) == total(Fixed(0.4)) == total(np.float64(0.4)) == pytest.approx(total((0.4, 0.4)), rel=1e-12)
    assert total(0) == total(0.0)
    assert total(Choice((0.2, 0.6))) == pytest.approx(total(Choice((0.6, 0.2, 0.2, 0.6))), rel=1e-10)
    assert total(Choice((0.2, 0.6, 0.9), weights=(1, 3, 0))) == pytest.approx(total(Choice((0.6, 0.6, 0.2, 0.6))), rel=1e-10)


def test_fine_choice_tends_to_the_continuous_law(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    middle = (np.arange(400) + 0.5) / 400
    for law in (Uniform(0.1, 0.8), Beta(2, 3), LogUniformVisible(0.1)):
        fine = Choice(tuple(law.quantile(middle)))
        a, b = (regression_risk(correlation, coefficients, **{**SETTING, "mask_ratio": m}).total for m in (law, fine))
        assert a == pytest.approx(b, rel=2e-4)


def test_equal_row_scales_change_nothing(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    plain, scaled = (regression_risk(correlation, coefficients, **SETTING, row_scales=t) for t in (None, [4.0, 4.0]))
    np.testing.assert_allclose(_numbers(plain), _numbers(scaled), rtol=1e-10)


def test_panel_of_everything_is_the_unmasked_test(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    plain, whole = (regression_risk(correlation, coefficients, **SETTING, test=t) for t in (None, Panel(np.ones(D, bool))))
    np.testing.assert_allclose(_numbers(plain), _numbers(whole), rtol=1e-9, atol=1e-12)


def test_masked_test_is_the_mean_over_random_panels(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    """Rows masked at ratio p are panels of random features; a panel divides by its own share, so
    compare without division.
    """
    setting = {**SETTING, "rescale": False}
    rng = np.random.default_rng(0)
    panels = [regression_risk(correlation, coefficients, **setting, test=Panel(rng.random(D) > 0.4)) for _ in range(300)]
    masked = regression_risk(correlation, coefficients, **setting, test=0.4)
    for part in ("total", "variance"):
        values = np.array([getattr(p, part) for p in panels])
        assert abs(values.mean() - getattr(masked, part)) < 4 * values.std() / np.sqrt(300)


# ---------------------------------------------------------------- known results


@pytest.mark.parametrize("n", [20, 80])
def test_no_mask_is_textbook_ridgeless_regression(n: int, coefficients: np.ndarray) -> None:
    """Hastie, Montanari, Rosset, Tibshirani 2022, theorem 1: isotropic features."""
    risk = regression_risk(np.eye(D), coefficients, n=n, noise_variance=0.2, mask_ratio=0.0)
    gamma, signal = D / n, coefficients @ coefficients
    bias, variance = (0, 0.2 * gamma / (1 - gamma)) if gamma < 1 else (signal * (1 - 1 / gamma), 0.2 / (gamma - 1))
    # the text's variance is over the noise alone: that of the rows counts as bias there
    assert risk.total == pytest.approx(bias + variance, rel=1e-6)


@pytest.mark.parametrize("test", TESTS.values(), ids=TESTS.keys())
@pytest.mark.parametrize("rescale", [True, False])
def test_many_rows_give_the_best_predictor_from_masked_inputs(
    rescale: bool, test: object, unequal: np.ndarray, coefficients: np.ndarray
) -> None:
    """The mean estimator solves the population's normal equations; here they are solved as such."""
    law = Choice((0.2, 0.6))
    risk = regression_risk(unequal, coefficients, n=1e9, noise_variance=0.2, mask_ratio=law, rescale=rescale, test=test)
    g, D_ = mask_groups(law, rescale=rescale), np.diag(np.diag(unequal))
    r = unequal @ coefficients
    m = np.linalg.solve(g.weight @ g.a * unequal + g.weight @ g.c * D_, g.weight @ g.h * r)
    if isinstance(test, Panel):
        on = test.mask(D)
        error = (D / on.sum() if rescale else 1) * on * m - coefficients
        expected = error @ unequal @ error
    else:
        t = mask_groups(0.0 if test is None else test, rescale=rescale)
        second = t.weight @ t.a * unequal + t.weight @ t.c * D_
        expected = r @ coefficients - 2 * (t.weight @ t.h) * (m @ r) + m @ second @ m
    assert risk.total == pytest.approx(expected, rel=1e-6)
    assert risk.variance < 1e-6 * expected


def test_trained_at_the_test_ratio_nothing_but_the_irreducible_is_left(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    risk = regression_risk(correlation, coefficients, n=1e9, noise_variance=0.2, mask_ratio=0.6, test=0.6)
    assert risk.total == pytest.approx(risk.irreducible, rel=1e-6)
    assert risk.bias < 1e-6


def test_infinite_ridge_predicts_nothing(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    risk = regression_risk(correlation, coefficients, **SETTING, ridge=1e9)
    assert risk.total == pytest.approx(coefficients @ correlation @ coefficients, rel=1e-6)


def test_ridge_is_ridge_regression(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    """With many rows, ``(S + ridge)^-1 S b``."""
    risk = regression_risk(3 * correlation, coefficients, n=1e9, noise_variance=0.2, mask_ratio=0.0, ridge=0.7)
    S = 3 * correlation
    error = np.linalg.solve(S + 0.7 * np.eye(D), S @ coefficients) - coefficients
    assert risk.total == pytest.approx(error @ S @ error, rel=1e-6)


def test_peak_is_flagged_and_randomness_of_the_ratio_does_not_hide_it(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    flags = {n: regression_risk(correlation, coefficients, **{**SETTING, "n": n}).near_peak for n in (10, 20, 39, 41, 80, 400)}
    assert flags == {10: False, 20: False, 39: True, 41: True, 80: False, 400: False}


def test_inflation_is_textbook(coefficients: np.ndarray) -> None:
    """``1 / (1 - d / n)`` and ``1 / (1 - n / d)`` for isotropic features."""
    for n in (10, 30, 60, 400):
        risk = regression_risk(np.eye(D), coefficients, n=n, noise_variance=0.2, mask_ratio=0.5)
        assert risk.inflation == pytest.approx(1 / (1 - min(n, D) / max(n, D)), rel=1e-5)


def test_finite_size_correction_vanishes_with_size() -> None:
    """At fixed d / n the correction falls as 1 / d."""

    def change(d: int) -> float:
        S, b = theory.block_covariance(d, d // 5, 0.5), np.cos(np.arange(d)) / np.sqrt(d)
        setting = {"n": d // 2, "noise_variance": 0.2, "mask_ratio": 0.5}
        return regression_risk(S, b, **setting, finite_size=True).total / regression_risk(S, b, **setting).total - 1

    assert change(80) > 0.01
    assert change(800) == pytest.approx(change(80) / 10, rel=0.2)


def test_finite_size_correction_is_exact_to_first_order_for_gaussian_rows(coefficients: np.ndarray) -> None:
    """Without a mask and for n above d, the variance is ``s2 d / (n - d - 1)`` exactly."""
    setting = {"n": 100, "noise_variance": 0.2, "mask_ratio": 0.0}
    exact = 0.2 * D / (100 - D - 1)
    plain, corrected = (regression_risk(np.eye(D), coefficients, **setting, finite_size=f).total for f in (False, True))
    assert abs(corrected - exact) < abs(plain - exact) / 5


def test_finite_size_correction_comes_closer_to_simulation(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    setting = {"n": 20, "noise_variance": 0.2, "mask_ratio": 0.5}
    runs = theory.simulate_risk(correlation, coefficients, n_draws=1000, **setting)
    plain, corrected = (regression_risk(correlation, coefficients, **setting, finite_size=f).total for f in (False, True))
    assert abs(corrected - runs.mean) < abs(plain - runs.mean)


def test_little_visible_is_flagged_as_heavy_tailed(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    spread = [
        regression_risk(correlation, coefficients, **{**SETTING, "mask_ratio": p}, finite_size=True)
        for p in (0.0, 0.3, 0.9, 0.97)
    ]
    assert [s.leverage_spread for s in spread] == sorted(s.leverage_spread for s in spread)
    assert not spread[0].heavy_tailed
    assert spread[-1].heavy_tailed
    assert regression_risk(correlation, coefficients, **SETTING).leverage_spread == 0


# ---------------------------------------------------------------- what cannot work


def _broken(kind: str) -> np.ndarray:
    S = np.eye(D)
    if kind == "NaN":
        S[1, 0] = S[0, 1] = np.nan
    elif kind == "asymmetric":
        S[0, 1] = 0.5
    elif kind == "zero variance":
        S[0, 0] = 0
    elif kind == "not square":
        S = S[:-1]
    elif kind == "three axes":
        S = S[None]
    elif kind == "empty":
        S = S[:0, :0]
    elif kind == "negative eigenvalues":
        S = -np.ones(D)
    return S


@pytest.mark.parametrize(
    ("kind", "match"),
    [
        ("NaN", "2 values that are not finite"),
        ("asymmetric", "not symmetric"),
        ("zero variance", "1 of 40 features have no variance"),
        ("not square", r"shape \(39, 40\)"),
        ("three axes", r"shape \(1, 40, 40\)"),
        ("empty", r"shape \(0, 0\)"),
        ("negative eigenvalues", "smallest eigenvalue is -1"),
    ],
)
def test_what_is_no_covariance_is_refused(kind: str, match: str, coefficients: np.ndarray) -> None:
    with pytest.raises(DataError, match=match):
        regression_risk(_broken(kind), coefficients, **SETTING)
    with pytest.raises(DataError, match=match):
        theory.autoencoder_risk(_broken(kind), n=50, mask_ratio=0.5)
    with pytest.raises(DataError, match=match):
        theory.decompose(_broken(kind))


@pytest.mark.parametrize("b", [np.ones(D - 1), np.ones((D, 1)), np.full(D, np.inf)], ids=["short", "column", "infinite"])
def test_coefficients_that_do_not_fit_are_refused(b: np.ndarray) -> None:
    with pytest.raises(DataError, match="40 finite numbers"):
        regression_risk(np.eye(D), b, **SETTING)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        pytest.param({"n": 0.9}, "n is 0.9", id="n below 1"),
        pytest.param({"n": np.nan}, "n is nan", id="n NaN"),
        pytest.param({"noise_variance": -0.1}, "noise_variance is -0.1", id="negative noise"),
        pytest.param({"noise_variance": np.inf}, "noise_variance is inf", id="infinite noise"),
        pytest.param({"ridge": -1}, "ridge is -1", id="negative ridge"),
        pytest.param({"mask_ratio": 1.0}, "hides everything", id="ratio 1"),
        pytest.param({"mask_ratio": -0.1}, "out of range", id="ratio below 0"),
        pytest.param({"mask_ratio": (0.5, 1.5)}, "out of range", id="pair above 1"),
        pytest.param({"mask_ratio": (0.8, 0.1)}, "mask_ratio is", id="pair reversed"),
        pytest.param({"mask_ratio": "half"}, "mask_ratio is 'half'", id="word"),
        pytest.param({"mask_ratio": True}, "mask_ratio is True", id="boolean"),
        pytest.param({"mask_ratio": Fixed(1.0)}, "hides everything", id="law at 1"),
        pytest.param({"test": 1.0}, "hides everything", id="test ratio 1"),
        pytest.param({"method": "sparse"}, "method is 'sparse'", id="unknown method"),
    ],
)
def test_bad_settings_are_refused(options: dict, match: str, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    with pytest.raises(ConfigError, match=match):
        regression_risk(correlation, coefficients, **{**SETTING, **options})


@pytest.mark.parametrize("measured", [[D], [-D - 1], [], np.zeros(D, bool), np.ones(D + 1, bool)], ids=str)
def test_panel_off_the_end_or_empty_is_refused(measured: object, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    with pytest.raises(DataError, match="panel"):
        regression_risk(correlation, coefficients, **SETTING, test=Panel(measured))


def test_what_the_spectral_form_cannot_do_is_refused(unequal: np.ndarray, coefficients: np.ndarray) -> None:
    with pytest.raises(DataError, match="needs equal variances"):
        regression_risk(unequal, coefficients, **SETTING, method="spectral")
    with pytest.raises(DataError, match="needs equal variances"):
        theory.decompose(unequal)
    with pytest.raises(ConfigError, match="standardise the features"):
        regression_risk(unequal, coefficients, **SETTING, finite_size=True)
    with pytest.raises(ConfigError, match="needs the covariance itself"):
        regression_risk(np.ones(D), coefficients, **SETTING, method="dense")
    with pytest.raises(DataError, match="pass the covariance itself"):
        regression_risk(np.ones(D), coefficients, **SETTING, test=Panel([0]))
