from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from r2mae_bio._errors import ConfigError
from r2mae_bio.likelihoods import GENE_LIKELIHOODS, GeneParams, mean_and_variance, predictive_distribution, predictive_interval

MEAN, THETA, DROPOUT = 3.0, 1.7, 0.3


@pytest.mark.parametrize("likelihood", GENE_LIKELIHOODS)
def test_moments_agree_with_sums_over_the_distribution(likelihood):
    dispersion = {"normal": np.log(0.4), "poisson": None}.get(likelihood, np.log(THETA))
    params = GeneParams(
        torch.full((2, 3), 0.2 if likelihood == "normal" else np.log(MEAN)),
        None if dispersion is None else torch.full((1, 3), dispersion),
        torch.full((2, 3), np.log(DROPOUT / (1 - DROPOUT))) if likelihood == "zinb" else None,
    )
    x = np.arange(2000)
    law = stats.poisson(MEAN) if likelihood == "poisson" else stats.nbinom(THETA, THETA / (THETA + MEAN))
    pmf = (1 - DROPOUT * (likelihood == "zinb")) * law.pmf(x)
    expected = (0.2, 0.4**2) if likelihood == "normal" else ((pmf * x).sum(), (pmf * x**2).sum() - (pmf * x).sum() ** 2)
    for part, value in zip(mean_and_variance(params, likelihood), expected, strict=True):
        assert part.shape == (2, 3)
        np.testing.assert_allclose(part, value, rtol=1e-5)


def test_distributions_have_the_moments_they_were_made_from():
    mean, sd = np.array([0.01, 2.0, 300.0]), np.array([0.2, 1.9, 60.0])
    law = predictive_distribution(mean, sd)
    np.testing.assert_allclose(law.mean(), mean, rtol=1e-6)
    np.testing.assert_allclose(law.std(), sd, rtol=1e-6)


def test_intervals_are_quantiles():
    low, high = predictive_interval([4.0, 4.0], [2.0, 6.0], level=0.8)
    assert (low[0], high[0]) == (stats.poisson(4).ppf(0.1), stats.poisson(4).ppf(0.9))
    theta = 16 / 32
    law = stats.nbinom(theta, theta / (theta + 4))
    assert (low[1], high[1]) == (law.ppf(0.1), law.ppf(0.9))
    low, high = predictive_interval([1.0], [0.5], level=0.9, likelihood="normal")
    np.testing.assert_allclose([low[0], high[0]], 1 + 0.5 * stats.norm.ppf([0.05, 0.95]))
    assert predictive_interval([0.0], [0.0])[1][0] == 0


def test_what_cannot_be_asked():
    with pytest.raises(ConfigError, match="level is 1.5"):
        predictive_interval([1.0], [1.0], level=1.5)
    with pytest.raises(ConfigError, match="likelihood is 'gamma'"):
        predictive_interval([1.0], [1.0], likelihood="gamma")
