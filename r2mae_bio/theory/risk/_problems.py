"""Regression in the two forms the formulas can be evaluated in: along eigenvectors, or with whole
matrices.

Both bring every matrix expression as a function of ``A`` and ``B``, the coefficients of
``K = (I + A S + B D)^-1``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from r2mae_bio._errors import DataError
from r2mae_bio.theory.risk._assemble import Forms
from r2mae_bio.theory.risk._fixed_point import hankel, resolvent, spectral_traces

if TYPE_CHECKING:
    from r2mae_bio.theory.risk._assemble import Parts
    from r2mae_bio.theory.risk._decompose import Eigendecomposition
    from r2mae_bio.theory.risk._fixed_point import FixedPoint, Traces
    from r2mae_bio.theory.risk._groups import Float, Groups


@dataclass(frozen=True, eq=False)
class SpectralProblem:
    """Constant diagonal: everything is diagonal in the eigenbasis of S, whose mean diagonal is
    1.
    """

    eigen: Eigendecomposition
    coefficients: Float
    """In the eigenbasis, for features of variance 1 (d,)."""

    @property
    def n_features(self) -> int:
        return self.eigen.n_features

    @property
    def r(self) -> Float:
        return self.eigen.values * self.coefficients

    @property
    def signal(self) -> float:
        return float(self.r @ self.coefficients)

    @property
    def traces(self) -> Traces:
        """``tr X K`` and ``tr X K Y K`` for X, Y in (D, S)."""
        return spectral_traces(self.eigen.values)

    def forms(self, A: Float, B: Float) -> Forms:
        """Quadratic forms of r."""
        v, r2 = self.eigen.values, self.r**2
        k = resolvent(v, A, B)
        return Forms(k @ r2, (k * k) @ r2, (k * k) @ (v * r2), np.array([r2.sum()]), k**3 @ r2)

    def explained(self, test: Groups) -> float:
        """Variance that the best linear predictor explains on masked test rows."""
        moment = np.multiply.outer(test.a, self.eigen.values) + test.c[:, None]  # (K, d)
        inverse = np.divide(1, moment, out=np.zeros_like(moment), where=moment > 0)
        return float((test.weight * test.h**2) @ inverse @ self.r**2)

    def on_panel(self, mask: Float, scale: float, point: FixedPoint, parts: Parts) -> tuple[float, float, float]:
        """Bias, variance and explained variance when only the features of ``mask`` are measured."""
        vectors = self.eigen.vectors
        if vectors is None:
            message = "A panel is a set of features, which eigenvalues alone do not know; pass the covariance itself."
            raise DataError(message)
        v = self.eigen.values
        U = vectors[mask > 0]  # (G, d)
        k = resolvent(v, point.A, point.B)[0]
        noise = k * k * (parts.noise_moment[0, 1] * v + parts.noise_moment[0, 0])
        S, spread = (U * v) @ U.T, (U * noise) @ U.T
        return _panel_risk(S, spread, U @ (parts.H[0] * k * self.r), U @ self.r, self.signal, scale)


@dataclass(frozen=True, eq=False)
class DenseProblem:
    """Any diagonal, of mean 1: the same expressions, each step inverting a matrix (d, d)."""

    S: Float
    coefficients: Float

    @property
    def n_features(self) -> int:
        return len(self.S)

    @property
    def r(self) -> Float:
        return self.S @ self.coefficients

    @property
    def signal(self) -> float:
        return float(self.r @ self.coefficients)

    def traces(self, A: Float, B: Float) -> tuple[Float, Float]:
        K = self._resolvent(A, B)
        KD, KS = K * np.diag(self.S), K @ self.S
        second = np.array([[np.vdot(KD, KD.T), np.vdot(KS, KD.T), np.vdot(KS, KS.T)]])
        return np.array([[np.trace(KD), np.trace(KS)]]), hankel(second)

    def forms(self, A: Float, B: Float) -> Forms:
        Kr = self._resolvent(A, B) @ self.r
        return Forms(np.array([self.r @ Kr]), np.array([Kr @ (np.diag(self.S) * Kr)]), np.array([Kr @ self.S @ Kr]))

    def explained(self, test: Groups) -> float:
        total = 0.0
        for w, a, c, h in zip(test.weight, test.a, test.c, test.h, strict=True):
            moment = a * self.S + c * np.diag(np.diag(self.S))
            total += w * h * h * float(self.r @ linalg.lstsq(moment, self.r)[0])
        return total

    def on_panel(self, mask: Float, scale: float, point: FixedPoint, parts: Parts) -> tuple[float, float, float]:
        on = np.flatnonzero(mask)
        K = self._resolvent(point.A, point.B)
        C = parts.noise_moment[0, 1] * self.S + parts.noise_moment[0, 0] * np.diag(np.diag(self.S))
        spread = (K[on] @ C) @ K[:, on]
        m = parts.H[0] * (K @ self.r)
        return _panel_risk(self.S[np.ix_(on, on)], spread, m[on], self.r[on], self.signal, scale)

    def _resolvent(self, A: Float, B: Float) -> Float:
        M = A[0] * self.S
        M[np.diag_indices_from(M)] += 1 + B[0] * np.diag(self.S)
        return np.asarray(linalg.inv(M, overwrite_a=True))


def _panel_risk(S: Float, spread: Float, m: Float, r: Float, signal: float, scale: float) -> tuple[float, float, float]:
    """S, the covariance ``spread`` of the estimator, its mean and r, all restricted to the
    panel.
    """
    bias = signal - 2 * scale * float(m @ r) + scale**2 * float(m @ S @ m)
    return bias, scale**2 * float(np.vdot(S, spread)), float(r @ linalg.lstsq(S, r)[0])
