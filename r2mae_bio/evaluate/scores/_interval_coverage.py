"""How often intervals hold what they were made for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate._chunks import chunks
from r2mae_bio.likelihoods import predictive_distribution

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["interval_coverage"]

COLUMNS = ["expression", "n_genes", "mean", "coverage", "below", "above"]


def interval_coverage(
    observed: Any,
    mean: ArrayLike,
    sd: ArrayLike,
    *,
    level: float = 0.9,
    likelihood: str = "nb",
    n_groups: int = 3,
    seed: int = 0,
) -> pd.DataFrame:
    r"""Share of values that lie within the central intervals of their predictions.

    Counts are discrete, so that hardly any interval of whole numbers has the probability that was
    asked for: a gene with a mean of 0.01 is zero in 99% of the cells, and within every interval.
    Each count x is therefore given the place u = F(x - 1) + v (F(x) - F(x - 1)) in its predictive
    distribution F, v uniform between 0 and 1 (the randomised probability integral transform; Czado,
    Gneiting & Held 2009, Biometrics 65, 1254-1261). If the predictions are right, u is uniform, and
    exactly a share ``level`` of the places lies in the middle, whatever the mean. The values must
    not have been used for their own prediction.

    Parameters
    ----------
    observed
        Counts, or log-normalised values (n_cells, n_genes), dense or sparse.
    mean, sd
        Mean and standard deviation of the predictions (n_cells, n_genes), such as those of
        :meth:`GeneMAE.get_predictive_moments` with ``own_counts=False``.
    level
        Probability of the interval, between 0 and 1.
    likelihood
        ``"nb"`` for counts, of whatever likelihood the model has, or ``"normal"``.
    n_groups
        Number of groups of genes, equally large, by observed mean.
    seed
        Seed of v.

    Returns
    -------
    A row for all genes, and one for each group from the lowest mean to the highest, with columns
    expression (``"all"``, ``"1/3"``, ...), n_genes, mean (observed), coverage, below and above
    (shares of the values that lie below and above their interval, each of which should be (1 -
    ``level``) / 2).

    Raises
    ------
    ConfigError
        ``level`` or ``n_groups`` is out of range, or there is no such likelihood.
    DataError
        Shapes differ, or predictions are not usable.
    """
    if not 0 < level < 1:
        message = f"level is {level}; a probability between 0 and 1, both excluded, is needed."
        raise ConfigError(message)
    values = sparse.csr_array(observed)
    expected, spread = _checked(values.shape, mean, sd)
    if not 1 <= n_groups <= values.shape[1]:
        message = f"n_groups is {n_groups}; a number from 1 to the {values.shape[1]} genes is needed."
        raise ConfigError(message)
    rng, tail = derive_generator(seed, "coverage"), (1 - level) / 2
    below, above = np.zeros(values.shape[1]), np.zeros(values.shape[1])
    for some in chunks(values.shape[0]):
        counts = values[some].toarray().astype(np.float64)  # one less than an unsigned 0 is the largest of them
        u = _places(counts, expected[some], spread[some], likelihood=likelihood, rng=rng)
        below += (u < tail).sum(axis=0)
        above += (u > 1 - tail).sum(axis=0)
    return _table(np.asarray(values.mean(axis=0)).ravel(), below / values.shape[0], above / values.shape[0], n_groups)


def _places(
    observed: NDArray[Any], mean: NDArray[Any], sd: NDArray[Any], *, likelihood: str, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Place of every value in its predictive distribution, uniform if this is right."""
    distribution = predictive_distribution(mean, sd, likelihood=likelihood)
    upto = distribution.cdf(observed)
    if likelihood == "normal":
        return upto
    before = distribution.cdf(observed - 1)
    return before + rng.random(observed.shape) * (upto - before)


def _checked(shape: tuple[int, ...], mean: ArrayLike, sd: ArrayLike) -> tuple[NDArray[Any], NDArray[Any]]:
    expected, spread = np.asarray(mean), np.asarray(sd)
    if not shape == expected.shape == spread.shape or not shape[0]:
        message = (
            f"observed has shape {shape}, mean {expected.shape} and sd {spread.shape}; one shape (n_cells, n_genes) is needed."
        )
        raise DataError(message)
    if not (np.isfinite(expected).all() and np.isfinite(spread).all() and spread.min() >= 0):
        message = "mean or sd hold NaN, infinite or negative values; leave out the genes that the model does not know."
        raise DataError(message)
    return expected, spread


def _table(mean: NDArray[Any], below: NDArray[Any], above: NDArray[Any], n_groups: int) -> pd.DataFrame:
    by_mean = np.array_split(np.argsort(mean, kind="stable"), n_groups)
    groups = {"all": np.arange(mean.size), **{f"{i}/{n_groups}": genes for i, genes in enumerate(by_mean, 1)}}
    rows = [
        (name, genes.size, mean[genes].mean(), 1 - (below + above)[genes].mean(), below[genes].mean(), above[genes].mean())
        for name, genes in groups.items()
    ]
    return pd.DataFrame(rows, columns=COLUMNS)
