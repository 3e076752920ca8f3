"""First correction to the deterministic equivalent at finite size.

The deterministic equivalent replaces the leverage ``x~'K x~`` of a masked row by its mean. In truth
it fluctuates: a row with a large x also has large gaps, and the mask itself is a draw. A row's
weight in the estimator is 1 / g with ``g = ridge + x~'K x~ / n``, so what matters is the relative
variance of g and its covariance with the squared residual. Both are fourth moments of a masked
Gaussian row; they are taken here for features of equal variance, with the diagonal entries of K, KS
and KSK replaced by their means. The part that a Gaussian row with the same second moment would have
is almost harmless (exactly known for isotropic rows: ``d / (n - d - 1)`` instead of
``d / (n - d)``), the excess is not.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.theory.risk._assemble import SMALLEST_GAP, Factors
from r2mae_bio.theory.risk._fixed_point import resolvent

if TYPE_CHECKING:
    from r2mae_bio.theory.risk._assemble import Forms, Parts
    from r2mae_bio.theory.risk._fixed_point import FixedPoint
    from r2mae_bio.theory.risk._groups import Float, Groups

_LARGEST_EXCESS = 0.75
"""An excess variance is bent to stay below this: the expansion holds for small ones."""
_SANE = (0.2, 5.0)
"""Factors outside are cut off; the excess is far beyond the expansion there, and the risk is
flagged as heavy-tailed.
"""


@dataclass(frozen=True, eq=False)
class _Means:
    """Means over features of diagonal entries, (J, 1) each; R is the correlation matrix."""

    K: Float
    K2: Float
    KS: Float
    KSK: Float
    S2: float
    S2K: Float
    S2K2: Float

    @classmethod
    def of(cls, values: Float, point: FixedPoint) -> _Means:
        k, v = resolvent(values, point.A, point.B), values
        columns = np.stack([np.ones_like(v), v, v * v], axis=1) / v.size
        K, KS, S2K = np.split(k @ columns, 3, axis=1)
        K2, KSK, S2K2 = np.split((k * k) @ columns, 3, axis=1)
        return cls(K, K2, KS, KSK, float(np.mean(v * v)), S2K, S2K2)


def finite_size_factors(
    groups: Groups, n: Float, point: FixedPoint, forms: Forms, parts: Parts, values: Float
) -> tuple[Factors, Float]:
    """Factors for :func:`assemble`, and the relative variance of the leverage.

    Parameters
    ----------
    groups, n, point, forms
        As for :func:`assemble`.
    parts
        Result without the correction.
    values
        Eigenvalues of the correlation matrix (d,).

    Returns
    -------
    Factors, and relative excess variance of g averaged over the rows (J,).
    """
    mean, d = _Means.of(values, point), values.size
    ng = n[:, None] * point.g
    gaussian = 2 * _pairs(groups, point.second)
    excess = np.maximum(_leverage_variance(groups, mean, d) - gaussian, 0) / ng**2
    excess = _LARGEST_EXCESS * np.tanh(excess / _LARGEST_EXCESS)
    shared = _residual_covariance(groups, mean, point, forms, parts) / (ng * parts.fitted)
    ridge = point.ridge / point.g  # near 1 where n is far above d, 0 where rows are interpolated
    fits = 1 - ridge
    harmless = gaussian / ng**2 / 2

    def factor(common: Float) -> Float:
        changed = 1 + excess - common + harmless - ridge * (1 + 3 * excess - 2 * common)
        return np.clip(changed / fits, *_SANE)

    resolvent_factor = np.clip((1 - ridge * (1 + excess)) / fits, *_SANE)
    return Factors(resolvent_factor, factor(shared), factor(excess / fits)), excess @ groups.weight


def keep_sane(corrected: Parts, equivalent: Parts) -> Parts:
    """The corrected parts, but the equivalent's where the correction lets noise feed itself: at the
    interpolation peak.

    Parameters
    ----------
    corrected, equivalent
        Parts of J problems with and without the correction.

    Returns
    -------
    The parts; their inflation is the corrected one, so that these problems are flagged.
    """
    good = (corrected.inflation < 1 / (2 * SMALLEST_GAP)) & (corrected.variance > 0)
    return replace(
        corrected,
        bias=np.where(good, corrected.bias, equivalent.bias),
        variance=np.where(good, corrected.variance, equivalent.variance),
    )


def _pairs(groups: Groups, second: Float) -> Float:
    """``tr (a S + c D) K (a S + c D) K`` (J, K)."""
    return np.asarray(np.einsum("ak,jab,bk->jk", groups.moment, second, groups.moment))


def _leverage_variance(groups: Groups, mean: _Means, d: int) -> Float:
    """Variance of ``x~'K x~`` over Gaussian rows and masks (J, K)."""
    p, q, a, c = groups.p, groups.q, groups.a, groups.c
    over_rows = 2 * d * (mean.S2K2 * a**2 + 2 * mean.K * mean.S2K * a * c + mean.K**2 * mean.S2 * c**2)
    linear = 3 * (1 - 2 * q) ** 2 * mean.K**2 + 12 * q * (1 - 2 * q) * mean.K * mean.KS + 4 * q**2 * (mean.KSK + 2 * mean.KS**2)
    over_masks = p * q * linear + 2 * (p * q) ** 2 * (mean.K2 - mean.K**2)
    return over_rows + d * groups.scale2**2 * groups.gain**4 * over_masks


def _residual_covariance(groups: Groups, mean: _Means, point: FixedPoint, forms: Forms, parts: Parts) -> Float:
    """Covariance of ``(y - x~'m)^2`` and ``x~'K x~``, less that of Gaussian rows with the same
    moments (J, K).
    """
    p, q, a, c, s, t4 = groups.p, groups.q, groups.a, groups.c, groups.gain, groups.scale2**2
    H, m2 = parts.H[:, None], (parts.H**2 * forms.r_kdk_r)[:, None]
    mean_part = _residual_forms(point, forms, parts.H, np.ones_like(q), s * q, np.zeros_like(q))
    all_part = _residual_forms(point, forms, parts.H, groups.h, a, c)
    rows = 2 * groups.scale2 * (a * mean_part.x_k_x + c * mean.K * mean_part.x_x) + 2 * c * m2 * (
        a * mean.S2K + c * mean.K * mean.S2
    )
    mx = H * mean_part.r_k_x
    mKx = H * mean_part.r_kk_x
    linear = -2 * s**3 * (3 * (1 - 2 * q) * mean.K * mx + 2 * q * (mKx + 2 * mean.KS * mx))
    square = 3 * s**4 * (1 - 2 * q) * m2 * ((1 - 2 * q) * mean.K + 2 * q * mean.KS)
    return rows + t4 * p * q * (linear + square) - 2 * all_part.x_k_x


@dataclass(frozen=True, eq=False)
class _ResidualForms:
    """Forms of ``x = h r - (a S + c D) m``, the covariance of input and residual, (J, K) each."""

    x_x: Float
    x_k_x: Float
    r_k_x: Float
    r_kk_x: Float


def _residual_forms(point: FixedPoint, forms: Forms, H: Float, h: Float, a: Float, c: Float) -> _ResidualForms:
    """With ``S K r = (r - (1 + B) K r) / A``, x is ``u r + w K r``."""
    assert forms.r_r is not None
    assert forms.r_kkk_r is not None
    u = h - np.multiply.outer(H / point.A, a)
    w = np.multiply.outer(H * (1 + point.B) / point.A, a) - np.multiply.outer(H, c)
    r0, r1, r2, r3 = (x[:, None] for x in (forms.r_r, forms.r_k_r, forms.r_kdk_r, forms.r_kkk_r))
    return _ResidualForms(
        u * u * r0 + 2 * u * w * r1 + w * w * r2,
        u * u * r1 + 2 * u * w * r2 + w * w * r3,
        u * r1 + w * r2,
        u * r2 + w * r3,
    )
