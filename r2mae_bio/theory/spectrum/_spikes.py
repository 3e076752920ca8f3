"""Which eigenvalues of a sample correlation stand out of the noise, and how they decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.theory.risk._groups import Float

_TRACY_WIDOM_99 = 2.0234
"""99% quantile of the Tracy-Widom law of order 1 (Johnstone 2001, table 2)."""
_FEWEST = 3
_FLOOR = 1e-12


@dataclass(frozen=True)
class NoiseEdge:
    """Where the eigenvalues of noise end."""

    edge: float
    """The largest eigenvalue of pure noise stays below with probability 0.99."""
    variance: float
    """Variance of the noise, in units of a gene's variance, mean over genes."""
    n_spikes: int
    """Eigenvalues above the edge."""


@dataclass(frozen=True)
class PowerLaw:
    """A line through the logarithms, ``values[i] ~ amplitude * i ** -exponent``, fitted to the
    ranks ``first`` to ``last``.
    """

    exponent: float
    """alpha, positive for a decaying spectrum; NaN if there are fewer than three ranks to fit."""
    standard_error: float
    """Of the exponent, from the scatter around the line; eigenvalues are ordered and so less
    scattered than independent points.
    """
    r_squared: float
    """Share of the variance of the logarithms that the line explains."""
    amplitude: float
    """Value at rank 1."""
    first: int
    """First rank, counted from 1 at the largest eigenvalue."""
    last: int
    """Last rank, included."""

    def __call__(self, ranks: Float) -> Float:
        """Values of the law at some ranks."""
        return self.amplitude * np.asarray(ranks, np.float64) ** -self.exponent


def marchenko_pastur_edge(n: float, d: int) -> float:
    """Upper edge ``(1 + sqrt(d / n))^2`` for noise of variance 1 (Marchenko and Pastur 1967)."""
    return float((1 + np.sqrt(d / n)) ** 2)


def noise_edge(values: Float, vectors: Float, n: int, cells_without: Callable[[Float], Float]) -> NoiseEdge:
    r"""Edge of the noise in a sample correlation matrix, for genes and cells that are not equally
    noisy.

    The first edge takes all variance for noise: that of Marchenko and Pastur, moved outwards by
    cells of unequal size (the equation of Silverstein and Choi 1995, in which cells and genes play
    the same part) and by the distance to the 99% quantile of the largest eigenvalue of finite noise
    (Johnstone 2001, centred and scaled as by Ma 2012). The eigenvalues above it are removed once;
    the second edge is that of noise with the variances that this leaves to each gene and to each
    cell. That is one step of the deflation of Dobriban and Owen (2019): with far more cells than
    genes every eigenvalue is significant, and repeating the step would remove them all.

    Parameters
    ----------
    values, vectors
        Eigendecomposition of the sample correlation, ascending (d,), (d, d).
    n
        Number of cells.
    cells_without
        Gives the squared lengths of the standardised cells (m,) outside the span of some
        eigenvectors (d, k).

    Returns
    -------
    The edge, the mean variance of the noise and the number of spikes.
    """
    d = values.size
    finite = _finite_size(n - 1, d)
    k, variances = 0, np.ones(d)
    for _ in range(2):
        spikes = vectors[:, d - k :]
        variances = np.maximum(1 - (spikes**2) @ values[d - k :], _FLOOR) / (1 - k / n)  # k directions cost k degrees of freedom
        sizes = np.maximum(cells_without(spikes), _FLOOR)
        edge = _edge(variances, n - 1) * _edge(sizes / sizes.mean(), d) / _edge(np.ones(sizes.size), d) * finite
        k = _count_above(values, edge, n)
    return NoiseEdge(edge, float(variances.mean()), k)


def _count_above(values: Float, edge: float, n: int) -> int:
    """Eigenvalues above an edge; at least one of those that can be non-zero counts as noise."""
    return min(int(np.count_nonzero(values > edge)), min(n - 1, values.size) - 1)


def _finite_size(n: int, d: int) -> float:
    """99% quantile of the largest eigenvalue of equal noise with n degrees of freedom, relative to
    its edge.
    """
    a, b = np.sqrt(n - 0.5), np.sqrt(d - 0.5)
    return float(((a + b) ** 2 + _TRACY_WIDOM_99 * (a + b) * (1 / a + 1 / b) ** (1 / 3)) / marchenko_pastur_edge(n, d) / n)


def _edge(variances: Float, n: int) -> float:
    r"""Upper edge of noise with the given variances (d,) in n rows.

    It is the smallest value on :math:`-1 / \max t < m < 0` of
    :math:`-1/m + n^{-1} \sum_j t_j / (1 + t_j m)`.
    """
    t = variances / variances.max()

    def slope(m: float) -> float:
        return float(1 / m**2 - np.sum((t / (1 + t * m)) ** 2) / n)

    m = optimize.brentq(slope, -1 + 1e-12, -1e-9 / (1 + t.size / n), xtol=1e-14)
    return float((-1 / m + np.sum(t / (1 + t * m)) / n) * variances.max())


def power_law(values: Float, first: int, last: int) -> PowerLaw:
    """Least squares on logarithms, each rank weighted by its inverse so that every octave of ranks
    counts alike.

    Parameters
    ----------
    values
        Positive eigenvalues in any order (d,).
    first, last
        Ranks to fit, counted from 1 at the largest, both included.

    Returns
    -------
    The fit; NaN for fewer than three ranks.
    """
    ranks = np.arange(first, last + 1, dtype=np.float64)
    if ranks.size < _FEWEST:
        return PowerLaw(np.nan, np.nan, np.nan, np.nan, first, last)
    x, y, w = np.log(ranks), np.log(np.sort(values)[::-1][first - 1 : last]), 1 / ranks
    w = w / w.sum()
    x0, y0 = w @ x, w @ y
    xx, xy, yy = w @ (x - x0) ** 2, w @ ((x - x0) * (y - y0)), w @ (y - y0) ** 2
    slope = xy / xx
    left = max(float(yy - slope * xy), 0.0)
    scatter = left * ranks.size / (ranks.size - 2)
    error = np.sqrt(scatter * np.sum((w * (x - x0)) ** 2)) / xx
    explained = 1 - left / yy if yy > 0 else 1.0
    return PowerLaw(float(-slope), float(error), float(explained), float(np.exp(y0 - slope * x0)), first, last)
