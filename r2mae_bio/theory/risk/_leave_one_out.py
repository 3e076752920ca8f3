"""Leave-one-gene-out algebra: every trace and quadratic form without gene j, from the
eigendecomposition with it.

With ``M = (1 + B) I + A S`` and ``G_j = [M^-1]_jj``, the resolvent of the covariance without gene j
has ``log det M_-j = log det M + log G_j`` and
``r_j' M_-j^-1 r_j = (A S_jj + 1 + B - 1/G_j) / A^2``, where ``r_j = S_-j,j`` (Schur complement).
All else follows by differentiating in A and B. A gene costs O(d), where a new eigendecomposition
would cost O(d^3).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.theory.risk._assemble import Forms
from r2mae_bio.theory.risk._fixed_point import hankel, resolvent

if TYPE_CHECKING:
    from r2mae_bio.theory.risk._groups import Float


_TINY = 1e-12


@dataclass(frozen=True, eq=False)
class LeaveOneOut:
    """J genes of a correlation matrix with d."""

    values: Float
    """Eigenvalues (d,)."""
    weights: Float
    """Squared entries of the genes' rows of the eigenvectors (J, d)."""

    def diagonal(self, A: Float, B: Float) -> Float:
        """``G`` and its derivatives by B, A, BB, AB, AA, in columns (J, 6); A and B are (J,) or,
        shared by all genes, (1,).
        """
        k, v = resolvent(self.values, A, B), self.values
        powers = np.vander(v, 3, increasing=True)
        if len(k) == 1:
            columns = np.concatenate([k.T, -(k.T**2) * powers[:, :2], 2 * k.T**3 * powers], axis=1)  # (d, 6)
            return np.asarray(self.weights @ columns)
        k1 = self.weights * k
        k2 = k1 * k
        k3 = k2 * k
        return np.concatenate([k1.sum(1, keepdims=True), -(k2 @ powers[:, :2]), 2 * (k3 @ powers)], axis=1)

    def traces(self, A: Float, B: Float) -> tuple[Float, Float]:
        """``tr X K`` (J, 2) and ``tr X K Y K`` (J, 2, 2) without the gene, for X, Y in (D, S)."""
        k = resolvent(self.values, A, B)
        powers = np.vander(self.values, 3, increasing=True)
        G, GB, GA, GBB, GAB, GAA = self.diagonal(A, B).T
        b, a = GB / G, GA / G
        first = k @ powers[:, :2] + np.stack([b, a], axis=1)
        second = (k * k) @ powers - np.stack([GBB / G - b * b, GAB / G - a * b, GAA / G - a * a], axis=1)
        return first, hankel(second)

    def forms(self, A: Float, B: Float) -> Forms:
        """Quadratic forms of ``r_j`` (J,)."""
        G, GB, GA, GBB, *_ = self.diagonal(A, B).T
        excess = A + 1 + B - 1 / G
        return Forms(
            r_k_r=excess / A**2,
            r_kdk_r=-(1 + GB / G**2) / A**2,
            r_ksk_r=2 * excess / A**3 - (1 + GA / G**2) / A**2,
            r_r=self.weights @ self.values**2 - 1,
            r_kkk_r=(GBB / G**2 - 2 * GB**2 / G**3) / (2 * A**2),
        )

    def noise(self) -> Float:
        """Variance of the gene that all others do not determine, ``1 / [S^-1]_jj`` (J,)."""
        return 1 / (self.weights @ (1 / np.maximum(self.values, _TINY)))

    def unexplained(self, a: float, c: float) -> Float:
        """Variance of the gene that the best linear predictor from ``(a S + c I)``-distributed
        inputs leaves, for ``h^2 = a`` (J,).
        """
        return 1 - (a + c - 1 / (self.weights @ (1 / np.maximum(a * self.values + c, _TINY)))) / a
