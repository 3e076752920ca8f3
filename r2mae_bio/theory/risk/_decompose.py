"""Eigendecompositions of covariances, and checks of what users pass as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from r2mae_bio._errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory.risk._groups import Float

_SYMMETRY = 1e-8
_NEGATIVE = -1e-8


@dataclass(frozen=True, eq=False)
class Eigendecomposition:
    """A covariance with constant diagonal, ``scale * vectors @ diag(values) @ vectors.T``."""

    values: Float
    """Eigenvalues, ascending, with mean 1 (d,)."""
    vectors: Float | None
    """Eigenvectors in columns (d, d); None if coefficients are given in the eigenbasis."""
    scale: float = 1.0
    """The diagonal."""

    @property
    def n_features(self) -> int:
        """Number of features."""
        return self.values.size

    @property
    def effective_rank(self) -> float:
        """Participation ratio ``(sum v)^2 / sum v^2``, from 1 to d."""
        return float(self.values.sum() ** 2 / (self.values @ self.values))

    def rotate(self, coefficients: Float) -> Float:
        """Coordinates in the eigenbasis (d,)."""
        return coefficients if self.vectors is None else self.vectors.T @ coefficients


def decompose(covariance: ArrayLike) -> Eigendecomposition:
    """Eigendecomposition for the spectral form, to be computed once for many ratios.

    Parameters
    ----------
    covariance
        Covariance with a constant diagonal, such as a correlation matrix (d, d); or eigenvalues
        alone (d,), for coefficients that are given in the eigenbasis and features of equal
        variance.

    Returns
    -------
    The decomposition.

    Raises
    ------
    DataError
        It is no covariance, or its diagonal is not constant: standardise the features, or use the
        dense form.
    """
    S = check_covariance(covariance)
    if S.ndim == 1:
        scale = float(S.mean())
        return Eigendecomposition(S / scale, None, scale)
    if not has_constant_diagonal(S):
        low, high = np.diag(S).min(), np.diag(S).max()
        message = (
            f"The diagonal of the covariance runs from {low:.4g} to {high:.4g}; the spectral form needs equal variances. "
            "Standardise the features (a correlation matrix), or use method='dense'."
        )
        raise DataError(message)
    scale = float(np.diag(S).mean())
    values, vectors = linalg.eigh(S / scale)
    return Eigendecomposition(check_eigenvalues(values, scale), vectors, scale)


def check_eigenvalues(values: Float, scale: float = 1.0) -> Float:
    """Eigenvalues of a covariance, in units of ``scale``, without the negative ones that rounding
    makes (d,).

    Raises
    ------
    DataError
        One is negative beyond rounding.
    """
    if values[0] < _NEGATIVE * values[-1]:
        message = f"The smallest eigenvalue of the covariance is {scale * values[0]:.4g}; no data have a negative one. Estimate it from complete rows."
        raise DataError(message)
    return np.maximum(values, 0.0)


def has_constant_diagonal(S: Float) -> bool:
    """Whether all features have the same variance."""
    diagonal = np.diag(S)
    return bool(np.ptp(diagonal) <= _SYMMETRY * diagonal.mean())


def check_covariance(covariance: ArrayLike) -> Float:
    """A covariance (d, d) or eigenvalues (d,) as float64.

    Raises
    ------
    DataError
        It is not finite, square, symmetric, or has a feature without variance or a negative
        eigenvalue.
    """
    S = np.asarray(covariance, np.float64)
    if S.ndim not in (1, 2) or S.size == 0 or (S.ndim == 2 and S.shape[0] != S.shape[1]):
        message = f"The covariance has shape {S.shape}; needed is a square matrix (d, d), or eigenvalues (d,)."
        raise DataError(message)
    if not np.isfinite(S).all():
        message = f"The covariance holds {int((~np.isfinite(S)).sum())} values that are not finite; needed are finite ones."
        raise DataError(message)
    if S.ndim == 1:
        if S.min() < 0 or S.max() <= 0:
            message = f"The smallest eigenvalue is {S.min():.4g}; needed are eigenvalues of at least 0, some of them positive."
            raise DataError(message)
        return S
    worst = np.abs(S - S.T).max() / np.abs(S).max()
    if worst > _SYMMETRY:
        message = f"The covariance is not symmetric (largest relative difference {worst:.2g}); average it with its transpose."
        raise DataError(message)
    if (np.diag(S) <= 0).any():
        n_constant = int((np.diag(S) <= 0).sum())
        message = f"{n_constant} of {len(S)} features have no variance; leave them out."
        raise DataError(message)
    return S
