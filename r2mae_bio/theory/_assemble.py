"""From a fixed point to a risk: the part that every form shares.

The mean of the estimator is ``m = H K r`` with ``H = sum_k w_k h_k / g_k`` and ``r = S b``, the covariance of inputs and target. All
that is needed of it are quadratic forms of r in K. The error of ``m`` on the training rows of group k is
``T_k = t_k^2 Var y - 2 h_k m'r + a_k m'Sm + c_k m'Dm``, and training noise comes back through its own effect on the residuals: ``C / n = (I - W T2)^-1 base``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.theory._fixed_point import feedback

if TYPE_CHECKING:
    from r2mae_bio.theory._fixed_point import FixedPoint
    from r2mae_bio.theory._groups import Float, Groups


@dataclass(frozen=True, eq=False)
class Forms:
    """Quadratic forms of r in the resolvent, for J problems."""

    r_k_r: Float
    """``r'K r`` (J,)."""
    r_kdk_r: Float
    """``r'K D K r`` (J,)."""
    r_ksk_r: Float
    """``r'K S K r`` (J,)."""
    r_r: Float | None = None
    """``r'r``, for the finite-size correction (J,)."""
    r_kkk_r: Float | None = None
    """``r'K^3 r``, for the finite-size correction (J,)."""


@dataclass(frozen=True, eq=False)
class Target:
    """Variance of the target, for J problems."""

    signal: Float
    """What the inputs determine, ``b'Sb`` (J,)."""
    noise: Float
    """The rest (J,)."""


@dataclass(frozen=True, eq=False)
class Factors:
    """Finite-size factors of the groups' weights in three places, (J, K) or (1, K) each; all 1 in the deterministic equivalent."""

    resolvent: Float
    """In the fixed point and the mean."""
    residual: Float
    """In the noise that residuals of the mean estimator make."""
    returning: Float
    """In the noise that comes back through the residuals."""


@dataclass(frozen=True, eq=False)
class Parts:
    """Risk before it is reported, for J problems."""

    bias: Float
    """Squared error of the mean estimator, what is irreducible included (J,)."""
    variance: Float
    """Variance of the prediction over training sets (J,)."""
    inflation: Float
    """1 / (1 - spectral radius of the feedback) (J,)."""
    H: Float
    """``m = H K r`` (J,)."""
    fitted: Float
    """``T_k`` (J, K)."""
    noise_moment: Float
    """Coefficients of D and S in ``C / n`` (J, 2)."""


def assemble(
    groups: Groups, n: Float, point: FixedPoint, forms: Forms, target: Target, test: Groups, factors: Factors | None = None
) -> Parts:
    """Bias and variance on test rows.

    Parameters
    ----------
    groups, n, point
        Training rows: their groups, number (J,) and fixed point.
    forms, target
        The J problems.
    test
        How test rows are masked.
    factors
        Finite-size correction; none if None.

    Returns
    -------
    The parts of the risk.
    """
    f1, f2, f3 = (1.0, 1.0, 1.0) if factors is None else (factors.resolvent, factors.residual, factors.returning)
    moment = groups.moment  # (2, K): D, S
    H = (f1 * groups.weight * groups.h / point.g).sum(1)
    mr, mDm, mSm = H * forms.r_k_r, H**2 * forms.r_kdk_r, H**2 * forms.r_ksk_r
    fitted = (
        np.outer(target.signal + target.noise, groups.scale2) - 2 * np.outer(mr, groups.h) + np.stack([mDm, mSm], axis=1) @ moment
    )  # (J, K)
    per_row = groups.weight / (n[:, None] * point.g**2)
    W = feedback(f3 * per_row, moment)
    base = (f2 * per_row * fitted) @ moment.T  # (J, 2)
    noise_moment = np.linalg.solve(np.eye(2) - W @ point.second, base[:, :, None])[:, :, 0]
    shape = test.moment @ test.weight  # (2,)
    bias = target.signal - 2 * (test.weight @ test.h) * mr + np.stack([mDm, mSm], axis=1) @ shape
    variance = ((shape @ point.second) * noise_moment).sum(1)
    radius = np.abs(np.linalg.eigvals(W @ point.second)).max(1)
    inflation = np.broadcast_to(1 / np.maximum(1 - radius, 1e-12), bias.shape)
    return Parts(bias, variance, inflation, H, fitted, noise_moment)
