"""From a fixed point to a risk: the part that every form shares.

The mean of the estimator is ``m = H K r`` with ``H = sum_k w_k h_k / g_k`` and ``r = S b``, the
covariance of inputs and target. All that is needed of it are quadratic forms of r in K. The error
of ``m`` on the training rows of group k is ``T_k = t_k^2 Var y - 2 h_k m'r + a_k m'Sm + c_k m'Dm``,
and training noise comes back through its own effect on the residuals:
``C / n = (I - W T2)^-1 base``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.theory.risk._fixed_point import feedback

if TYPE_CHECKING:
    from r2mae_bio.theory.risk._fixed_point import FixedPoint
    from r2mae_bio.theory.risk._groups import Float, Groups


SMALLEST_GAP = 1e-12
"""Distance of the feedback's spectral radius from 1 that counts as none."""
_TINY = 1e-12
"""A prediction of smaller mean square, in units of the target, is none."""


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
    """Finite-size factors of the groups' weights in three places, (J, K) or (1, K) each; all 1 in
    the deterministic equivalent.
    """

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
    groups: Groups,
    n: Float,
    point: FixedPoint,
    forms: Forms,
    target: Target,
    test: Groups,
    *,
    factors: Factors | None = None,
    calibrated: bool = False,
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
    calibrated
        Multiply predictions by the factor that suits each test ratio best.

    Returns
    -------
    The parts of the risk.
    """
    f1, f2, f3 = (1.0, 1.0, 1.0) if factors is None else (factors.resolvent, factors.residual, factors.returning)
    moment = groups.moment  # (2, K): D, S
    H = (f1 * groups.weight * groups.h / point.g).sum(1)
    mr = H * forms.r_k_r
    energy = H[:, None] ** 2 * np.stack([forms.r_kdk_r, forms.r_ksk_r], axis=1)  # (J, 2): m'Dm, m'Sm
    fitted = np.outer(target.signal + target.noise, groups.scale2) - 2 * np.outer(mr, groups.h) + energy @ moment  # (J, K)
    per_row = groups.weight / (n[:, None] * point.g**2)
    W = feedback(f3 * per_row, moment)
    base = (f2 * per_row * fitted) @ moment.T  # (J, 2)
    noise_moment = np.linalg.solve(np.eye(2) - W @ point.second, base[:, :, None])[:, :, 0]
    spread = (point.second @ noise_moment[:, :, None])[:, :, 0]  # (J, 2): variance of m_hat in D, in S
    bias, variance = _on_test_rows(mr, energy, spread, target, test, calibrated=calibrated)
    radius = np.abs(np.linalg.eigvals(W @ point.second)).max(1)
    inflation = np.broadcast_to(1 / np.maximum(1 - radius, SMALLEST_GAP), bias.shape)
    return Parts(bias, variance, inflation, H, fitted, noise_moment)


def _on_test_rows(
    mr: Float, energy: Float, spread: Float, target: Target, test: Groups, *, calibrated: bool
) -> tuple[Float, Float]:
    """Bias and variance, averaged over the test groups (J,)."""
    aligned = np.outer(mr, test.h)  # (J, T)
    mean, noise = energy @ test.moment, np.maximum(spread @ test.moment, 0)
    factor = np.divide(aligned, mean + noise, out=np.ones_like(mean), where=mean + noise > _TINY) if calibrated else 1.0
    bias = target.signal[:, None] - 2 * factor * aligned + factor**2 * mean
    return bias @ test.weight, (factor**2 * noise) @ test.weight
