"""Means, variances and intervals of what a model predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from torch import Tensor

    from r2mae_bio.likelihoods._gene import GeneParams

_LEAST_EXCESS = 1e-9
"""A variance that exceeds the mean by less, in units of the squared mean, is that of a Poisson
distribution.
"""


def mean_and_variance(params: GeneParams, likelihood: str) -> tuple[Tensor, Tensor]:
    """Moments of the distribution of every slot.

    Parameters
    ----------
    params
        Parameters of a network's prediction.
    likelihood
        ``"nb"``, ``"zinb"``, ``"poisson"`` or ``"normal"``.

    Returns
    -------
    Mean and variance, (B, L) each.
    """
    if likelihood == "normal":
        assert params.dispersion is not None
        return params.location, (2 * params.dispersion).exp().expand_as(params.location)
    mean = params.location.exp()
    variance = mean if params.dispersion is None else mean + mean.square() * torch.exp(-params.dispersion)
    if params.dropout is None:
        return mean, variance
    kept = torch.sigmoid(-params.dropout)
    return kept * mean, kept * (variance + (1 - kept) * mean.square())


def predictive_distribution(mean: ArrayLike, sd: ArrayLike, *, likelihood: str = "nb") -> Any:
    """Distribution of a value, by its mean and standard deviation.

    Parameters
    ----------
    mean, sd
        Of the same shape; means of counts are not negative, standard deviations not negative.
    likelihood
        ``"normal"``, or any other for counts: a negative binomial of that mean and variance, whose
        limit for a variance that does not exceed the mean is a Poisson distribution.

    Returns
    -------
    A frozen distribution of :mod:`scipy.stats`.

    Raises
    ------
    ConfigError
        There is no such likelihood.
    """
    known = ("nb", "zinb", "poisson", "normal")
    if likelihood not in known:
        message = f"likelihood is {likelihood!r}; needed is one of {known}."
        raise ConfigError(message)
    from scipy import stats  # takes a second, which those who only embed need not wait for

    mean, sd = np.asarray(mean, np.float64), np.asarray(sd, np.float64)
    if likelihood == "normal":
        return stats.norm(mean, sd)
    excess = np.maximum(sd**2 - mean, _LEAST_EXCESS * mean**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = np.where(mean > 0, mean**2 / excess, 1.0)
        return stats.nbinom(shape, shape / (shape + mean))


def predictive_interval(
    mean: ArrayLike, sd: ArrayLike, *, level: float = 0.9, likelihood: str = "nb"
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Central interval of a value, by its mean and standard deviation.

    Parameters
    ----------
    mean, sd
        Of the same shape, such as the layers that :func:`r2mae_bio.tl.impute` writes.
    level
        Probability of the interval, between 0 and 1. Counts are discrete, so that an interval of
        whole numbers holds at least so much, and of rare counts much more; see
        :func:`r2mae_bio.evaluate.interval_coverage`.
    likelihood
        ``"nb"`` for counts, of whatever likelihood the model has, or ``"normal"`` for
        log-normalised values.

    Returns
    -------
    Lower and upper end, both of them inside, float64.

    Raises
    ------
    ConfigError
        ``level`` is out of range, or there is no such likelihood.

    Examples
    --------
    >>> from r2mae_bio.likelihoods import predictive_interval
    >>> low, high = predictive_interval([4.0], [2.0], level=0.9)
    >>> float(low[0]), float(high[0])
    (1.0, 8.0)
    """
    if not 0 < level < 1:
        message = f"level is {level}; needed is a probability between 0 and 1, both excluded."
        raise ConfigError(message)
    distribution = predictive_distribution(mean, sd, likelihood=likelihood)
    return distribution.ppf((1 - level) / 2), distribution.ppf((1 + level) / 2)
