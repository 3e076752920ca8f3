"""Families of covariances: what each one is by definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

D = 30
CORRELATIONS = {
    "isotropic": lambda: theory.isotropic_covariance(D),
    "ar1": lambda: theory.ar1_covariance(D, -0.4),
    "equicorrelated": lambda: theory.equicorrelated_covariance(D, 0.3),
    "block": lambda: theory.block_covariance(D, 4, 0.6),
    "latent factor": lambda: theory.latent_factor_covariance(D, 3, noise=0.5),
    "programme": lambda: theory.programme_covariance(D, 5),
}
SEEDED = {
    "spiked": lambda seed: theory.spiked_covariance(D, [3.0, 1.0], seed=seed),
    "latent factor": lambda seed: theory.latent_factor_covariance(D, 3, seed=seed),
    "programme": lambda seed: theory.programme_covariance(D, 5, seed=seed),
}


@pytest.mark.parametrize("make", CORRELATIONS.values(), ids=CORRELATIONS.keys())
def test_is_a_correlation_matrix(make: Callable[[], np.ndarray]) -> None:
    S = make()
    assert S.shape == (D, D)
    assert S.dtype == np.float64
    np.testing.assert_array_equal(S, S.T)
    np.testing.assert_array_equal(np.diag(S), 1.0)
    assert np.linalg.eigvalsh(S).min() > 0


@pytest.mark.parametrize("make", SEEDED.values(), ids=SEEDED.keys())
def test_seed_decides(make: Callable[[int], np.ndarray]) -> None:
    np.testing.assert_array_equal(make(3), make(3))
    assert not np.allclose(make(3), make(4))


def test_ar1_is_the_covariance_of_an_autoregression() -> None:
    """The precision of a first-order autoregression couples neighbours only."""
    precision = np.linalg.inv(theory.ar1_covariance(D, 0.6))
    i = np.arange(D)
    far = np.abs(i[:, None] - i) > 1
    assert np.abs(precision[far]).max() < 1e-12
    assert np.abs(np.diag(precision, 1)).min() > 0.5


def test_power_law() -> None:
    variances = np.diag(theory.power_law_covariance(D, 1.5))
    assert variances.mean() == pytest.approx(1)
    np.testing.assert_allclose(np.log(variances[0] / variances), 1.5 * np.log(np.arange(1, D + 1)), atol=1e-12)


def test_equicorrelated_spectrum() -> None:
    np.testing.assert_allclose(np.linalg.eigvalsh(theory.equicorrelated_covariance(D, 0.3)), [0.7] * (D - 1) + [0.7 + 0.3 * D])


def test_blocks_are_nearly_equal_and_apart() -> None:
    S = theory.block_covariance(D, 4, 0.6)
    sizes = np.unique((S > 0).sum(1))
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(S, (S @ S > 0) * np.where(np.eye(D) > 0, 1, 0.6))  # what is connected is correlated


def test_spiked_spectrum() -> None:
    values = np.linalg.eigvalsh(theory.spiked_covariance(D, [7.0, 2.5, 0.5], seed=9))
    np.testing.assert_allclose(values, [1.0] * (D - 3) + [1.5, 3.5, 8.0])


def test_latent_factors_leave_diagonal_noise() -> None:
    """A factor model minus its noise has as many eigenvalues as factors."""
    S = theory.latent_factor_covariance(400, 3, noise=2.0)
    assert (np.linalg.eigvalsh(S) > 10).sum() == 3
    # the noise share is 2 / (3 + 2) on average, spread by the loadings
    assert np.median(np.linalg.eigvalsh(S)) == pytest.approx(0.4, abs=0.1)


def test_programmes_overlap_by_chance() -> None:
    """Of two genes, some share no programme and are uncorrelated; with share 1 every pair is
    correlated.
    """
    S = theory.programme_covariance(200, 3, share=0.3)
    uncorrelated = np.mean(S[np.triu_indices(200, 1)] == 0)
    assert uncorrelated == pytest.approx((1 - 0.3**2) ** 3, abs=0.05)
    assert (theory.programme_covariance(50, 3, share=1.0) != 0).all()


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: theory.isotropic_covariance(0), id="no feature"),
        pytest.param(lambda: theory.isotropic_covariance(2.5), id="half a feature"),
        pytest.param(lambda: theory.ar1_covariance(5, 1.0), id="perfect correlation"),
        pytest.param(lambda: theory.power_law_covariance(5, np.nan), id="exponent NaN"),
        pytest.param(lambda: theory.equicorrelated_covariance(5, -0.3), id="below -1 / (d - 1)"),
        pytest.param(lambda: theory.block_covariance(5, 6, 0.5), id="more blocks than features"),
        pytest.param(lambda: theory.block_covariance(5, 2, -0.1), id="negative within a block"),
        pytest.param(lambda: theory.spiked_covariance(3, [1, 1, 1, 1]), id="more spikes than features"),
        pytest.param(lambda: theory.spiked_covariance(3, [-0.5]), id="negative spike"),
        pytest.param(lambda: theory.latent_factor_covariance(5, 0), id="no factor"),
        pytest.param(lambda: theory.latent_factor_covariance(5, 2, noise=0), id="no noise"),
        pytest.param(lambda: theory.programme_covariance(5, 2, share=1.1), id="share above 1"),
        pytest.param(lambda: theory.programme_covariance(5, 2, noise=(1.0, 0.3)), id="noise bounds reversed"),
    ],
)
def test_impossible_settings_are_refused(make: Callable[[], np.ndarray]) -> None:
    with pytest.raises(ConfigError, match="needed"):
        make()
