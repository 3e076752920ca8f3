"""The fixed point of the deterministic equivalent, in two unknowns.

Every group has second moment ``a_k S + c_k D``. The resolvent is ``K = (I + A S + B D)^-1`` with
``A = sum_k w_k a_k / g_k`` and ``B = sum_k w_k c_k / g_k``, and
``g_k = ridge + (a_k tr S K + c_k tr D K) / n``: however many groups there are, only the two traces
are unknown. Newton's method in their logarithms takes 3 to 12 steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.theory.risk._groups import Float, Groups

    Traces: TypeAlias = Callable[[Float, Float], tuple[Float, Float]]

RIDGE = 1e-10
"""Ridge, relative to the mean square of the masked input, that stands for "ridge -> 0+"."""
CONVERGED = 1e-6
"""Largest relative change left in a fixed point that counts as found."""
_MAX_ITERATIONS = 200
_TOLERANCE = 1e-10
_LARGEST_STEP = 4.0


@dataclass(frozen=True, eq=False)
class FixedPoint:
    """Solution of J problems that share K groups."""

    A: Float
    """Coefficient of S in the inverse resolvent (J,)."""
    B: Float
    """Coefficient of D there (J,)."""
    g: Float
    """Effective ridge of every group (J, K)."""
    first: Float
    """``tr D K`` and ``tr S K`` (J, 2)."""
    second: Float
    """``tr X K Y K`` for X, Y in (D, S) (J, 2, 2)."""
    ridge: float
    """The ridge itself."""
    iterations: int
    """Newton steps taken."""
    residual: float
    """Largest relative change of the unknowns that was left."""


def spectral_traces(eigenvalues: Float) -> Traces:
    """Traces of the resolvent for ``D = I``, from the eigenvalues of S (d,)."""
    powers = np.vander(eigenvalues, 3, increasing=True)  # (d, 3)

    def traces(A: Float, B: Float) -> tuple[Float, Float]:
        k = resolvent(eigenvalues, A, B)  # (J, d)
        return k @ powers[:, :2], hankel((k * k) @ powers)

    return traces


def resolvent(eigenvalues: Float, A: Float, B: Float) -> Float:
    """Eigenvalues of K for ``D = I`` (J, d)."""
    return np.asarray(1 / (1 + np.multiply.outer(A, eigenvalues) + B[:, None]))


def hankel(moments: Float) -> Float:
    """Moments of order 0, 1, 2 (J, 3) as the matrix of pairs (J, 2, 2)."""
    return np.stack([moments[:, [0, 1]], moments[:, [1, 2]]], axis=1)


def solve_fixed_point(
    groups: Groups, n: Float, traces: Traces, *, ridge: float, start: Float, factor: Float | None = None
) -> FixedPoint:
    """Solve for the traces of K with D and S.

    Parameters
    ----------
    groups
        K groups.
    n
        Number of rows of each problem (J,).
    traces
        ``tr X K`` (J, 2) and ``tr X K Y K`` (J, 2, 2) as functions of A and B.
    ridge
        Ridge penalty in units of the second moment, at least 0.
    start
        First guess of ``tr D K`` and ``tr S K`` (J, 2) or (1, 2).
    factor
        Factors of the groups' weights (J, K); 1 if None.

    Returns
    -------
    The solution; its residual tells whether it is one.
    """
    ridge = ridge + RIDGE * groups.mean_size
    weight = groups.weight if factor is None else groups.weight * factor
    moment = groups.moment  # (2, K)
    log_s = np.log(np.broadcast_to(start, (n.size, 2)).astype(np.float64))
    for iteration in range(1, _MAX_ITERATIONS + 1):  # noqa: B007 - reported
        g = ridge + np.exp(log_s) @ moment / n[:, None]  # (J, K)
        B, A = (weight / g @ moment.T).T
        first, second = traces(A, B)
        change = np.log(first) - log_s
        residual = float(np.abs(change).max())
        if residual < _TOLERANCE:
            break
        jacobian = second @ feedback(weight / (n[:, None] * g**2), moment)
        jacobian = jacobian * np.exp(log_s)[:, None, :] / first[:, :, None]
        step = np.linalg.solve(np.eye(2) - jacobian, change[:, :, None])[:, :, 0]
        log_s = log_s + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
    return FixedPoint(A, B, g, first, second, ridge, iteration, residual)


def feedback(per_row: Float, moment: Float) -> Float:
    """How error on the rows comes back as error of the estimator (J, 2, 2).

    Parameters
    ----------
    per_row
        ``w_k / (n g_k^2)``, corrected or not (J, K).
    moment
        ``c`` and ``a`` of the groups (2, K).

    Returns
    -------
    W; the spectral radius of ``second @ W`` reaches 1 at the interpolation peak.
    """
    return np.asarray(np.einsum("jk,ak,bk->jab", per_row, moment, moment))
