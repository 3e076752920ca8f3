"""Draws for simulations: ratios, masked training rows, the estimator they give, and its error on
test rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from scipy import linalg

from r2mae_bio._errors import DataError
from r2mae_bio.theory.risk._decompose import check_covariance, check_eigenvalues
from r2mae_bio.theory.risk._groups import N_NODES, HasQuadrature, ratio_nodes, squared_scales
from r2mae_bio.theory.risk._risk import Panel

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory.risk._groups import Float, Groups, MaskRatio

_SMALLEST_PIVOT = 1e-5
"""Relative size of the smallest pivot of a Cholesky factor below which a Gram matrix is too
ill-conditioned to be solved.
"""
_TINY = 1e-12


@runtime_checkable
class HasSample(Protocol):
    """A law of the mask ratio that can be drawn from, such as those of :mod:`r2mae_bio.masking`."""

    def sample(self, size: int, generator: np.random.Generator, *, progress: float = 0.0) -> Float:
        """Ratios (size,)."""
        ...


def draw_ratios(mask_ratio: MaskRatio, n: int, generator: np.random.Generator, *, batch_size: int) -> Float:
    """One mask ratio for every row.

    Parameters
    ----------
    mask_ratio
        A number, a pair, or a law.
    n
        Number of rows.
    generator
        Source of randomness.
    batch_size
        Rows that share a ratio if the law draws one per batch.

    Returns
    -------
    Ratios (n,), below 1.
    """
    nodes, weights = ratio_nodes(mask_ratio)
    if isinstance(mask_ratio, HasSample):
        # A law may move during training: the rows of a data set stand for all of it.
        size = batch_size if getattr(mask_ratio, "scope", "row") != "row" else -(-n // N_NODES)
        starts = range(0, n, size)
        parts = [mask_ratio.sample(min(size, n - i), generator, progress=(i + size / 2) / n) for i in starts]
        ratios = np.concatenate(parts)
    elif isinstance(mask_ratio, HasQuadrature):
        ratios = generator.choice(nodes, n, p=weights / weights.sum())
    elif isinstance(mask_ratio, tuple | list):
        ratios = generator.uniform(mask_ratio[0], mask_ratio[1], n)
    else:
        ratios = np.full(n, nodes[0])
    return np.asarray(np.minimum(ratios, 1 - 1e-9))


@dataclass(frozen=True, eq=False)
class Population:
    """Where training rows come from."""

    S: Float
    """Covariance (d, d)."""
    root: Float
    """``root @ root.T = S`` (d, d)."""
    rows: Float | None
    """Rows to draw from (N, d); Gaussians if None."""
    scales: Float
    """Equally likely scales of whole rows, of mean square 1 (M,)."""
    values: Float
    """Eigenvalues of S (d,)."""
    vectors: Float
    """Eigenvectors of S in columns (d, d)."""

    @classmethod
    def of(cls, covariance: ArrayLike, rows: ArrayLike | None, row_scales: ArrayLike | None) -> Population:
        """Check what the user passed.

        Raises
        ------
        DataError
            The covariance is none, or the rows do not fit it.
        ConfigError
            The scales are none.
        """
        S = check_covariance(covariance)
        if S.ndim != 2:
            message = f"The covariance has shape {S.shape}; a simulation draws rows, so it needs the matrix (d, d) itself."
            raise DataError(message)
        values, vectors = linalg.eigh(S)
        values = check_eigenvalues(values)
        scales = np.ones(1) if row_scales is None else np.sqrt(squared_scales(row_scales))
        return cls(S, vectors * np.sqrt(values), _check_rows(rows, len(S)), scales, values, vectors)

    def draw(self, n: int, generator: np.random.Generator) -> tuple[Float, Float]:
        """Rows (n, d), and their scales (n,) by which they are not yet multiplied."""
        if self.rows is None:
            X = generator.normal(size=(n, len(self.S))) @ self.root.T
        else:
            X = self.rows[generator.choice(len(self.rows), n, replace=n > len(self.rows))]
        return X, generator.choice(self.scales, n)

    def conditional_mean(self, j: int) -> Float:
        """Coefficients of the best linear prediction of feature j from all others, 0 for j itself
        (d,).
        """
        precision = (self.vectors[j] / np.maximum(self.values, _TINY * self.values[-1])) @ self.vectors.T
        coefficients = -precision / precision[j]
        coefficients[j] = 0.0
        return np.asarray(coefficients)


def mask(X: Float, ratios: Float, generator: np.random.Generator, *, rescale: bool) -> tuple[Float, NDArray[np.bool_]]:
    """Masked rows and the mask.

    Parameters
    ----------
    X
        Rows (n, d).
    ratios
        Probability that an entry is hidden, by row (n,).
    generator
        Source of randomness.
    rescale
        Divide visible entries by ``1 - ratio``.

    Returns
    -------
    Masked rows (n, d), and where they are hidden (n, d).
    """
    hidden = generator.random(X.shape) < ratios[:, None]
    gain = 1 / (1 - ratios) if rescale else np.ones_like(ratios)
    return np.where(hidden, 0.0, X * gain[:, None]), hidden


def minimum_norm(X: Float, y: Float, *, ridge: float = 0.0) -> Float:
    """Least squares of y on X, of minimum norm if that leaves a choice.

    The smaller of the two Gram matrices is solved, and X itself decomposed if that is
    ill-conditioned.

    Parameters
    ----------
    X
        Inputs (n, d).
    y
        Target (n,).
    ridge
        Ridge penalty on the mean square error.

    Returns
    -------
    Coefficients (d,).
    """
    coefficients = np.zeros(X.shape[1])
    rows, columns = X.any(axis=1), X.any(axis=0)
    penalty = len(X) * ridge
    X, y = X[rows][:, columns], y[rows]
    if X.size:
        coefficients[columns] = _solve(X, y, penalty)
    return coefficients


def _solve(X: Float, y: Float, penalty: float) -> Float:
    wide = X.shape[0] <= X.shape[1]
    gram = X @ X.T if wide else X.T @ X
    gram[np.diag_indices_from(gram)] += penalty
    try:
        factor = np.linalg.cholesky(gram)  # lets other threads run, unlike most of scipy.linalg
    except np.linalg.LinAlgError:
        factor = np.zeros_like(gram)
    pivots = np.diag(factor)
    if pivots.min() > _SMALLEST_PIVOT * pivots.max():
        solved = linalg.cho_solve((factor, True), y if wide else X.T @ y, check_finite=False)
        return np.asarray(X.T @ solved if wide else solved)
    if penalty:
        X, y = np.vstack([X, np.sqrt(penalty) * np.eye(X.shape[1])]), np.concatenate([y, np.zeros(X.shape[1])])
    return np.asarray(np.linalg.lstsq(X, y)[0])


def error_on_test(S: Float, m: Float, b: Float, seen: Groups | Panel, *, rescale: bool, calibrated: bool = False) -> float:
    """Expected squared error ``E (x~'m - x'b)^2`` over test rows, given the estimator.

    Parameters
    ----------
    S
        Covariance of the test rows (d, d).
    m, b
        Estimated and true coefficients (d,).
    seen
        Groups of masked test rows, or a panel.
    rescale
        Whether a panel's entries are divided by the share that is measured.
    calibrated
        Multiply predictions by the factor that suits each group best.

    Returns
    -------
    The error.
    """
    if isinstance(seen, Panel):
        on = seen.mask(len(S))
        error = (on.size / on.sum() if rescale else 1.0) * on * m - b
        return float(error @ S @ error)
    if not (calibrated or seen.p.any()):  # unmasked: without cancellation
        return float((m - b) @ S @ (m - b))
    second = seen.a * (m @ S @ m) + seen.c * (m @ (np.diag(S) * m))
    aligned = seen.h * (m @ S @ b)
    factor = aligned / np.maximum(second, 1e-300) if calibrated else 1.0
    return float(seen.weight @ (b @ S @ b - 2 * factor * aligned + factor**2 * second))


def _check_rows(rows: ArrayLike | None, d: int) -> Float | None:
    if rows is None:
        return None
    X = np.asarray(rows, np.float64)
    if X.ndim != 2 or X.shape[1] != d or not len(X) or not np.isfinite(X).all():
        message = f"rows has shape {X.shape}; needed is a matrix (N, {d}) of finite numbers, a column for each feature of the covariance."
        raise DataError(message)
    return X
