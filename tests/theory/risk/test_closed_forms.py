"""Closed forms against the fixed point, in cases where both apply, and against simulation."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.masking import Beta, Choice, LogUniformVisible
from r2mae_bio.theory import regression_risk

D = 40
NOISE = 0.2
RESCALE = pytest.mark.parametrize("rescale", [True, False], ids=["rescaled", "plain"])


def _same(closed: theory.ClosedForm, risk: theory.Risk, rtol: float = 1e-6) -> None:
    assert risk.converged
    np.testing.assert_allclose([closed.bias, closed.variance], [risk.bias, risk.variance], rtol=rtol, atol=1e-9)
    assert closed.total == closed.bias + closed.variance


# ---------------------------------------------------------------- isotropic


@RESCALE
@pytest.mark.parametrize("n", [10, 30, 50, 400])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
def test_isotropic_fixed(p: float, n: int, rescale: bool, coefficients: np.ndarray) -> None:
    options = {"n": n, "noise_variance": NOISE, "mask_ratio": p, "rescale": rescale}
    closed = theory.isotropic_risk(d=D, signal=coefficients @ coefficients, **options)
    _same(closed, regression_risk(np.eye(D), coefficients, **options))


@RESCALE
@pytest.mark.parametrize("n", [10, 30])
@pytest.mark.parametrize("law", [(0.1, 0.9), Choice((0.0, 0.5, 0.95)), Beta(2, 5), LogUniformVisible(0.1)], ids=str)
def test_isotropic_random_with_few_rows(law: object, n: int, rescale: bool, coefficients: np.ndarray) -> None:
    options = {"n": n, "noise_variance": NOISE, "mask_ratio": law, "rescale": rescale}
    closed = theory.isotropic_risk(d=D, signal=coefficients @ coefficients, **options)
    _same(closed, regression_risk(np.eye(D), coefficients, **options))


def test_isotropic_random_ratio_is_its_mean() -> None:
    """Rescaled and with few rows; not so without rescaling, and not for correlated features."""
    options = {"n": 15, "noise_variance": NOISE}
    b = np.ones(D) / np.sqrt(D)

    def difference(S: np.ndarray, *, rescale: bool) -> float:
        random, fixed = (regression_risk(S, b, mask_ratio=p, rescale=rescale, **options).total for p in ((0.2, 0.8), 0.5))
        return abs(random - fixed)

    assert difference(np.eye(D), rescale=True) < 1e-8
    assert difference(np.eye(D), rescale=False) > 0.01
    assert difference(theory.equicorrelated_covariance(D, 0.3), rescale=True) > 0.001


@RESCALE
@pytest.mark.parametrize("n", [60, 300])
def test_isotropic_agrees_with_simulation(n: int, rescale: bool) -> None:
    d = 120
    b = np.cos(np.arange(d)) / np.sqrt(d)
    options = {"n": n, "noise_variance": NOISE, "mask_ratio": 0.4, "rescale": rescale}
    runs = theory.simulate_risk(np.eye(d), b, n_draws=60, **options)
    closed = theory.isotropic_risk(d=d, signal=b @ b, **options).total
    assert abs(runs.mean - closed) < 4 * runs.standard_error + 0.04 * closed


# ---------------------------------------------------------------- one spike


@RESCALE
@pytest.mark.parametrize("n", [10, 39, 60, 400])
@pytest.mark.parametrize("p", [0.0, 0.3, 0.9])
def test_one_spike(p: float, n: int, rescale: bool, coefficients: np.ndarray) -> None:
    """Along a direction of random signs, which leaves the diagonal constant."""
    u = np.random.default_rng(0).choice([-1.0, 1.0], D) / np.sqrt(D)
    b = coefficients + u
    on = (b @ u) ** 2
    options = {"n": n, "noise_variance": NOISE, "mask_ratio": p, "rescale": rescale}
    closed = theory.one_spike_risk(d=D, strength=9.0, signal_on_spike=on, signal_off_spike=b @ b - on, **options)
    _same(closed, regression_risk(np.eye(D) + 9 * np.outer(u, u), b, **options))


def test_equicorrelated_is_one_spike(coefficients: np.ndarray) -> None:
    rho, on = 0.3, coefficients.sum() ** 2 / D
    unit = 1 - rho
    closed = theory.one_spike_risk(
        d=D, n=25, strength=D * rho / unit, signal_on_spike=unit * on, signal_off_spike=unit * (coefficients @ coefficients - on),
        noise_variance=NOISE, mask_ratio=0.6,
    )  # fmt: skip
    S = theory.equicorrelated_covariance(D, rho)
    _same(closed, regression_risk(S, coefficients, n=25, noise_variance=NOISE, mask_ratio=0.6))


@RESCALE
@pytest.mark.parametrize("n", [20, 90])
def test_spike_of_no_strength_is_isotropic(n: int, rescale: bool) -> None:
    options = {"d": D, "n": n, "noise_variance": NOISE, "mask_ratio": 0.4, "rescale": rescale}
    spike = theory.one_spike_risk(strength=0, signal_on_spike=0.3, signal_off_spike=0.7, **options)
    plain = theory.isotropic_risk(signal=1.0, **options)
    np.testing.assert_allclose([spike.bias, spike.variance], [plain.bias, plain.variance], rtol=1e-10, atol=1e-14)


# ---------------------------------------------------------------- limits of the ratio


@pytest.mark.parametrize("n", [10, 39, 60])
def test_ratio_zero_is_ridgeless(n: int, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    closed = theory.ridgeless_risk(3 * correlation, coefficients, n=n, noise_variance=NOISE)
    _same(closed, regression_risk(3 * correlation, coefficients, n=n, noise_variance=NOISE, mask_ratio=0.0))
    near = [regression_risk(3 * correlation, coefficients, n=n, noise_variance=NOISE, mask_ratio=p).total for p in (1e-3, 1e-5)]
    off = np.abs(np.array(near) / closed.total - 1)
    assert off[1] < max(off[0] / 50, 1e-6)  # linear in the ratio


def test_ridgeless_with_fewer_rows_than_rank(coefficients: np.ndarray) -> None:
    """Features that are copies of each other count once."""
    S = np.kron(np.eye(D // 2), np.ones((2, 2)))
    for n in (10, 30):  # below and above the rank of 20
        closed = theory.ridgeless_risk(S, coefficients, n=n, noise_variance=NOISE)
        pairs = theory.isotropic_risk(
            d=D // 2, n=n, signal=(coefficients.reshape(-1, 2).sum(1) ** 2).sum(), noise_variance=NOISE, mask_ratio=0.0
        )
        assert closed.total == pytest.approx(pairs.total, rel=1e-9)


@RESCALE
@pytest.mark.parametrize("n", [15, 100])
def test_ratio_near_one(n: int, rescale: bool, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    """The leading order: ten times closer to 1, ten times closer to the truth."""

    def off(p: float) -> np.ndarray:
        options = {"n": n, "noise_variance": NOISE, "mask_ratio": p, "rescale": rescale}
        closed = theory.high_ratio_risk(2 * correlation, coefficients, **options)
        risk = regression_risk(2 * correlation, coefficients, **options)
        return np.array([closed.bias / risk.bias - 1, closed.variance / risk.variance - 1])

    coarse, fine = off(0.999), off(0.9999)
    assert np.abs(fine).max() < 0.01
    np.testing.assert_allclose(fine, coarse / 10, rtol=0.1, atol=1e-5)


# ---------------------------------------------------------------- endless rows


@RESCALE
@pytest.mark.parametrize("law", [0.0, 0.7, (0.1, 0.8)], ids=str)
def test_population_risk(law: object, rescale: bool, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    closed = theory.population_risk(4 * correlation, coefficients, mask_ratio=law, rescale=rescale)
    risk = regression_risk(4 * correlation, coefficients, n=1e11, noise_variance=NOISE, mask_ratio=law, rescale=rescale)
    assert closed == pytest.approx(risk.total, rel=1e-5, abs=1e-9)


@RESCALE
@pytest.mark.parametrize("law", [0.4, (0.1, 0.8)], ids=str)
def test_latent_factors_with_endless_rows(law: object, rescale: bool) -> None:
    """Orthogonal factors of equal strength on features of equal variance: columns of a Hadamard
    matrix.
    """
    d, k, noise = 32, 4, 0.3
    H = np.array([[1.0]])
    for _ in range(5):
        H = np.block([[H, H], [H, -H]])
    loadings = np.sqrt((1 - noise) / k) * H[:, :k]
    S = loadings @ loadings.T + noise * np.eye(d)
    b = np.linalg.solve(S, loadings @ np.array([1.0, -0.5, 0.3, 2.0]))
    closed = theory.latent_factor_population_risk(
        d=d, n_factors=k, noise=noise, signal=b @ S @ b, mask_ratio=law, rescale=rescale
    )
    assert closed == pytest.approx(theory.population_risk(S, b, mask_ratio=law, rescale=rescale), rel=1e-9)


def test_redundant_genes_make_masking_harmless() -> None:
    """With more genes per factor the same ratio costs less."""
    costs = [
        theory.latent_factor_population_risk(d=d, n_factors=5, noise=0.5, signal=1.0, mask_ratio=0.9) for d in (50, 500, 5000)
    ]
    assert costs[0] > 10 * costs[1] > 100 * costs[2]


# ---------------------------------------------------------------- the peak


@pytest.mark.parametrize("n", [60, 120, 400])
def test_peak_ratio_is_where_the_theory_peaks(n: int, correlation: np.ndarray) -> None:
    peak = theory.peak_ratio(n, D)
    assert peak == (D - 1) / n
    grid = peak + np.array([-0.04, -0.02, 0.0, 0.02, 0.04])
    totals = [theory.autoencoder_risk(correlation, n=n, mask_ratio=p, finite_size=False).total for p in grid]
    assert np.argmax(totals) == 2


def test_too_few_cells_have_no_peak(correlation: np.ndarray) -> None:
    assert theory.peak_ratio(D - 1, D) is None
    assert theory.peak_ratio(D, D) == pytest.approx(1 - 1 / D)
    inflation = [theory.autoencoder_risk(correlation, n=D - 1, mask_ratio=p).inflation for p in (0.3, 0.6, 0.9)]
    assert inflation == sorted(inflation)


# ---------------------------------------------------------------- what cannot work


def test_interpolation_peak_is_infinite(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    options = {"n": D, "noise_variance": NOISE}
    spike = {"strength": 1.0, "signal_on_spike": 1.0, "signal_off_spike": 0.0}
    for closed in (
        theory.isotropic_risk(d=D, signal=1.0, mask_ratio=0.5, **options),
        theory.one_spike_risk(d=D, **spike, mask_ratio=0.5, **options),
        theory.ridgeless_risk(correlation, coefficients, **options),
        theory.high_ratio_risk(correlation, coefficients, mask_ratio=0.99, **options),
    ):
        assert np.isinf(closed.total)


def test_random_ratio_without_closed_form_is_refused(correlation: np.ndarray, coefficients: np.ndarray) -> None:
    options = {"n": 90, "noise_variance": NOISE, "mask_ratio": (0.2, 0.8)}
    with pytest.raises(ConfigError, match="Use regression_risk"):
        theory.isotropic_risk(d=D, signal=1.0, **options)
    with pytest.raises(ConfigError, match="Use regression_risk"):
        theory.one_spike_risk(d=D, strength=1.0, signal_on_spike=1.0, signal_off_spike=0.0, **options)
    with pytest.raises(ConfigError, match="Use regression_risk"):
        theory.high_ratio_risk(correlation, coefficients, **options)


def test_bad_settings_are_refused(unequal: np.ndarray, correlation: np.ndarray, coefficients: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="d is 0"):
        theory.isotropic_risk(d=0, n=5, signal=1.0, noise_variance=NOISE, mask_ratio=0.5)
    with pytest.raises(ConfigError, match="signal is -1"):
        theory.isotropic_risk(d=D, n=5, signal=-1, noise_variance=NOISE, mask_ratio=0.5)
    with pytest.raises(ConfigError, match="noise is 0"):
        theory.latent_factor_population_risk(d=D, n_factors=2, noise=0, signal=1.0, mask_ratio=0.5)
    with pytest.raises(ConfigError, match="n_factors is 50"):
        theory.latent_factor_population_risk(d=D, n_factors=50, noise=0.5, signal=1.0, mask_ratio=0.5)
    with pytest.raises(ConfigError, match="n is 0"):
        theory.peak_ratio(0, D)
    with pytest.raises(DataError, match="coefficients have shape"):
        theory.ridgeless_risk(correlation, coefficients[1:], n=10, noise_variance=NOISE)
    with pytest.raises(DataError, match="needs equal variances"):
        theory.population_risk(unequal, coefficients, mask_ratio=0.5)
