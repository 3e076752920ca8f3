"""Cases in which the theory needs no fixed point to be solved, and its limits: to understand it by,
and to check it against.

In all of them features have equal variance, n is the number of rows, d that of features, p the mask
ratio, q = 1 - p, and the test input is unmasked. With ``rescale`` the masked input has second
moment ``S + p/q D`` and covariance ``S b`` with the target; without, ``q^2 S + pq D`` and
``q S b``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import optimize

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.theory.risk._decompose import Eigendecomposition, decompose
from r2mae_bio.theory.risk._groups import mask_groups, ratio_nodes
from r2mae_bio.theory.risk._risk import check_setting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory.risk._groups import Float, MaskRatio

_TINY = 1e-12
"""Relative size below which an eigenvalue counts as 0."""


@dataclass(frozen=True)
class ClosedForm:
    """Mean squared error of the predicted signal on unmasked test rows."""

    bias: float
    """Squared error of the mean estimator."""
    variance: float
    """Variance of the prediction over training sets."""

    @property
    def total(self) -> float:
        """``bias + variance``."""
        return self.bias + self.variance


def isotropic_risk(
    *, d: int, n: float, signal: float, noise_variance: float, mask_ratio: MaskRatio, rescale: bool = True
) -> ClosedForm:
    """Risk for uncorrelated features of variance 1.

    With fewer rows than features every masked row is fitted, each weighted by the inverse of its
    size, and only two means over the law of the ratio are left: with ``rescale`` the risk depends
    on the mean ratio alone, so a random ratio equals the fixed one of the same mean.

    Parameters
    ----------
    d
        Number of features.
    n
        Number of training rows.
    signal
        ``b'b``.
    noise_variance
        Variance of the target's noise.
    mask_ratio
        A fixed ratio; for n < d also a pair or a law.
    rescale
        Divide visible entries by 1 - ratio.

    Returns
    -------
    Bias and variance; both infinite at n = d.

    Raises
    ------
    ConfigError
        A setting is out of range, or the ratio is random and n > d.

    Notes
    -----
    With second moment v of a masked entry (``1/q`` or ``q``), covariance h with the target (1 or q)
    and ``g = d/n``. For g < 1: ``m = (h/v) b`` and variance ``(s2 + p b'b) g / (v (1 - g))``. For g
    > 1: ``m = E[h/v] b / g`` and variance ``E[(s2 + b'b - 2 h m'b + v m'm) / v] / (g - 1)``. At
    ratio 0 both are theorem 1 of Hastie, Montanari, Rosset, Tibshirani 2022.
    """
    gamma = check_setting("d", d, 1) / check_setting("n", n, 1)
    signal, noise = check_setting("signal", signal, 0), check_setting("noise_variance", noise_variance, 0)
    groups = mask_groups(mask_ratio, rescale=rescale)
    w, v, h = groups.weight, groups.a + groups.c, groups.h
    if gamma == 1:
        return ClosedForm(np.inf, np.inf)
    if gamma > 1:
        m = float(w @ (h / v)) / gamma
        residual = float(w @ ((noise + signal - 2 * h * m * signal) / v)) + m * m * signal
        return ClosedForm((1 - m) ** 2 * signal, residual / (gamma - 1))
    if w.size > 1:
        message = f"mask_ratio is {mask_ratio!r}: with more rows than features there is no closed form for a random one. Use regression_risk."
        raise ConfigError(message)
    m = float(h[0] / v[0])
    return ClosedForm((1 - m) ** 2 * signal, float((noise + groups.p * signal)[0] / v[0]) * gamma / (1 - gamma))


def one_spike_risk(
    *,
    d: int,
    n: float,
    strength: float,
    signal_on_spike: float,
    signal_off_spike: float,
    noise_variance: float,
    mask_ratio: float,
    rescale: bool = True,
) -> ClosedForm:
    """Risk for one direction that all features share alike, ``S = I + strength u u'`` with entries
    ``+-1/sqrt(d)`` of u.

    Equicorrelated features are of this kind. The fixed point is then a quadratic equation.

    Parameters
    ----------
    d
        Number of features.
    n
        Number of training rows.
    strength
        Excess variance along u, at least 0. For correlation rho it is ``d rho / (1 - rho)`` in
        units of ``1 - rho``.
    signal_on_spike, signal_off_spike
        Squared length of b along u and across it.
    noise_variance
        Variance of the target's noise.
    mask_ratio
        A fixed ratio.
    rescale
        Divide visible entries by 1 - ratio.

    Returns
    -------
    Bias and variance; both infinite at n = d.

    Raises
    ------
    ConfigError
        A setting is out of range.

    Notes
    -----
    The masked input has eigenvalues ``mu_0`` (d - 1 times) and ``mu_1``, and the effective ridge g
    solves ``n = (d - 1) mu_0 / (g + mu_0) + mu_1 / (g + mu_1)``; with more rows than features it is
    0.
    """
    check_setting("d", d, 1)
    check_setting("n", n, 1)
    s = np.array([1.0, 1.0 + check_setting("strength", strength, 0)])
    count = np.array([d - 1.0, 1.0])
    signal = np.array(
        [check_setting("signal_off_spike", signal_off_spike, 0), check_setting("signal_on_spike", signal_on_spike, 0)]
    )
    a, c, h = _fixed(mask_ratio, rescale=rescale)
    mu = a * s + c * (count @ s) / d
    if n == d:
        return ClosedForm(np.inf, np.inf)
    linear, constant = n * mu.sum() - (d - 1) * mu[0] - mu[1], mu[0] * mu[1] * (n - d)
    g = (-linear + np.sqrt(linear**2 - 4 * n * constant)) / (2 * n) if n < d else 0.0
    return _ridge_equivalent(s, mu, h, count, signal, check_setting("noise_variance", noise_variance, 0), n, g)


def ridgeless_risk(
    covariance: ArrayLike | Eigendecomposition, coefficients: ArrayLike, *, n: float, noise_variance: float
) -> ClosedForm:
    """Risk of ridgeless regression without a mask: the limit of ratio 0.

    Parameters
    ----------
    covariance
        Covariance with constant diagonal (d, d), its decomposition, or eigenvalues (d,) with
        ``coefficients`` in the eigenbasis.
    coefficients
        b (d,).
    n
        Number of training rows.
    noise_variance
        Variance of the target's noise.

    Returns
    -------
    Bias of the mean estimator, and variance over rows and noise; both infinite where n is the rank.

    Raises
    ------
    DataError
        The covariance is none, or shapes differ.
    ConfigError
        A setting is out of range.

    Notes
    -----
    Theorem 2 of Hastie, Montanari, Rosset, Tibshirani 2022 (Annals of Statistics 50); what is
    called bias there, the error that is left without noise, is the bias here and a part of the
    variance.
    """
    s, signal, n, noise = spectral(covariance, coefficients, n, noise_variance)
    ranked = s > _TINY * s.max()
    s, signal = s[ranked], signal[ranked]
    if n == s.size:
        return ClosedForm(np.inf, np.inf)
    g = _effective_ridge(s, n) if n < s.size else 0.0
    return _ridge_equivalent(s, s, 1.0, np.ones_like(s), signal, noise, n, g)


def high_ratio_risk(
    covariance: ArrayLike | Eigendecomposition,
    coefficients: ArrayLike,
    *,
    n: float,
    noise_variance: float,
    mask_ratio: float,
    rescale: bool = True,
) -> ClosedForm:
    """Leading order of the risk as the ratio tends to 1.

    So little is then visible of a row that features are as good as measured one at a time. With
    ``rescale`` the predictor shrinks to nothing, and the risk tends to the signal ``b'Sb``.
    Without, it tends to the vector of one-feature slopes, and its variance grows as ``1/q``.

    Parameters
    ----------
    covariance
        Covariance with constant diagonal (d, d), its decomposition, or eigenvalues (d,) with
        ``coefficients`` in the eigenbasis.
    coefficients
        b (d,).
    n
        Number of training rows.
    noise_variance
        Variance of the target's noise.
    mask_ratio
        A fixed ratio near 1.
    rescale
        Divide visible entries by 1 - ratio.

    Returns
    -------
    Bias and variance, each up to terms smaller by a factor of order ``q``; infinite at n = d.

    Raises
    ------
    DataError
        The covariance is none, or shapes differ.
    ConfigError
        A setting is out of range.
    """
    s, signal, n, noise = spectral(covariance, coefficients, n, noise_variance)
    _fixed(mask_ratio, rescale=rescale)
    q, d, strength = 1 - float(mask_ratio), s.size, float(s @ signal)
    if n == d:
        return ClosedForm(np.inf, np.inf)
    variance = (noise + strength) * min(n, d) / abs(n - d)
    slope = min(n / d, 1.0) * s / s.mean()
    if rescale:
        return ClosedForm(strength, variance * q)
    return ClosedForm(float((slope - 1) ** 2 @ (s * signal)), variance / q)


def peak_ratio(n: float, d: int) -> float | None:
    """Fixed mask ratio at which the masked autoencoder interpolates, and its risk peaks.

    A gene is a target in the ``n p`` cells in which it is hidden, and has ``d - 1`` genes to be
    predicted from. A random ratio peaks where its mean meets this one.

    Parameters
    ----------
    n
        Number of training cells.
    d
        Number of genes.

    Returns
    -------
    ``(d - 1) / n``, or None if there is no peak because n is below d and even a gene that is always
    hidden has too few cells.

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    ratio = (check_setting("d", d, 2) - 1) / check_setting("n", n, 1)
    return ratio if ratio < 1 else None


def _fixed(mask_ratio: float, *, rescale: bool) -> tuple[float, float, float]:
    """Coefficients a and c of the second moment, and h, of a fixed ratio."""
    if ratio_nodes(mask_ratio)[0].size > 1:
        message = f"mask_ratio is {mask_ratio!r}: there is no closed form for a random one. Use regression_risk."
        raise ConfigError(message)
    groups = mask_groups(mask_ratio, rescale=rescale)
    return float(groups.a[0]), float(groups.c[0]), float(groups.h[0])


def spectral(
    covariance: ArrayLike | Eigendecomposition, coefficients: ArrayLike, n: float, noise_variance: float
) -> tuple[Float, Float, float, float]:
    """Eigenvalues, squared coefficients along them, and the checked settings."""
    eigen = covariance if isinstance(covariance, Eigendecomposition) else decompose(covariance)
    b = np.asarray(coefficients, np.float64)
    if b.shape != (eigen.n_features,) or not np.isfinite(b).all():
        message = f"coefficients have shape {b.shape}; needed are {eigen.n_features} finite numbers, one for each feature."
        raise DataError(message)
    n, noise = check_setting("n", n, 1), check_setting("noise_variance", noise_variance, 0)
    return eigen.scale * eigen.values, eigen.rotate(b) ** 2, n, noise


def _effective_ridge(s: Float, n: float) -> float:
    """The g at which ``sum s / (s + g) = n``, for n below the rank."""

    def excess(log_g: float) -> float:
        return float((s / (s + np.exp(log_g))).sum() - n)

    return float(np.exp(optimize.brentq(excess, np.log(s.max()) - 60, np.log(s.sum() / n) + 1, xtol=1e-14)))


def _ridge_equivalent(s: Float, mu: Float, h: float, count: Float, signal: Float, noise: float, n: float, g: float) -> ClosedForm:
    """Risk of the fit with effective ridge g along eigenvectors.

    Eigenvalues s of S and mu of the masked input, each ``count`` times; ``signal`` is the squared
    length of b along them.
    """
    energy, shrinkage = s * signal, h * s / (mu + g)  # m = shrinkage * b
    best = h * s / mu
    residual = noise + energy.sum() - h * float(best @ energy) + float(((best - shrinkage) ** 2 * mu) @ signal)
    feedback = float(count @ (mu / (mu + g)) ** 2) / n
    spread = float(count @ (s * mu / (mu + g) ** 2)) / n
    return ClosedForm(float((1 - shrinkage) ** 2 @ energy), residual / (1 - feedback) * spread)
