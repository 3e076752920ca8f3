"""How well the leading subspace of the joint predictor aligns with the programmes of the genes, by
simulation, beside PCA.

In the limit of many cells B is low rank but for its diagonal, and its output side spans the
programmes whatever the noise of single genes, where PCA turns towards noisy genes and the input
side away from them. With few cells another effect rules: B has a bulk of negative eigenvalues,
larger than the programmes where n is near d or the ratio low. Singular vectors follow the larger,
eigenvectors of ``(B + B') / 2`` the positive ones; in between, the errors of both sides average
out. Read B by its symmetric part, then, unless there are many cells and genes of very unequal
noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from scipy import linalg

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.risk._risk import check_setting
from r2mae_bio.theory.simulate._draws import Population, draw_ratios, mask
from r2mae_bio.theory.simulate._joint import MaskNoise, check_square, fit_joint_predictor, joint_predictor_with_residuals

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory.risk._groups import Float, MaskRatio

    Bases: TypeAlias = dict[str, Float]
    Method: TypeAlias = Callable[[Float, int], Float]

_BATCH = 64
"""Cells that share a ratio under a law that draws one per batch."""
_MAX_FILLS = 200
_FILLED = 1e-6


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Overlaps of several estimates of a subspace with the true one, draw by draw."""

    per_draw: Mapping[str, Float]
    """Overlap of every draw, by the name of the estimate (draws,)."""

    @property
    def names(self) -> list[str]:
        """Names of the estimates."""
        return list(self.per_draw)

    def mean(self, name: str) -> float:
        """Mean over draws.

        Parameters
        ----------
        name
            One of ``names``.

        Returns
        -------
        The mean.
        """
        return float(self.per_draw[name].mean())

    def standard_error(self, name: str) -> float:
        """Standard error of the mean.

        Parameters
        ----------
        name
            One of ``names``.

        Returns
        -------
        The standard error.
        """
        return float(self.per_draw[name].std(ddof=1) / np.sqrt(self.per_draw[name].size))


def subspace_overlap(basis: ArrayLike, programmes: ArrayLike) -> float:
    """Overlap of two subspaces, ``||P_programmes P_basis||_F^2 / rank``.

    Parameters
    ----------
    basis
        Columns that span the estimate (d, rank); they need not be orthonormal.
    programmes
        Columns that span the truth (d, r).

    Returns
    -------
    1 if the estimate lies in the truth, 0 if it is orthogonal to it, r / d for a random one.
    """
    estimate = orthonormal(np.asarray(basis, np.float64))
    truth = orthonormal(np.asarray(programmes, np.float64))
    return float(np.sum((truth.T @ estimate) ** 2) / max(estimate.shape[1], 1))


def simulate_overlap(
    covariance: ArrayLike,
    programmes: ArrayLike,
    *,
    n: int,
    mask_ratio: MaskRatio,
    rank: int | None = None,
    masks_per_row: int | None = 1,
    rescale: bool = True,
    ridge: float = 0.0,
    draws: int = 20,
    seed: int = 0,
    others: Mapping[str, Method] | None = None,
) -> Overlaps:
    """Overlap of the joint predictor's leading subspaces with the true programmes, and that of PCA
    of the same, unmasked cells.

    Parameters
    ----------
    covariance
        Covariance of the Gaussian cells (d, d).
    programmes
        Columns that span the true subspace (d, r).
    n
        Number of cells.
    mask_ratio
        Share of hidden entries: a number, a pair or a law.
    rank
        Dimension of the estimates; r if None.
    masks_per_row
        Fresh masks of every cell, as epochs would draw them; None for the limit of infinitely many.
    rescale, ridge
        As in :func:`joint_predictor`.
    draws, seed
        Number of training sets; draw i uses the stream ``(seed, i)``.
    others
        Further estimates to compare, by name: functions of cells (n, d) and rank that return a
        basis (d, rank).

    Returns
    -------
    Overlaps by name. Of the joint predictor B: ``left`` (inputs) and ``right`` (outputs) singular
    vectors; ``symmetrised``, eigenvectors of ``(B + B') / 2``; with residual variances T,
    ``scaled``, those of T B, which is symmetric in the limit; ``whitened``, those of
    ``T^1/2 B T^-1/2`` brought back by ``T^1/2``; ``filled``, the same with the diagonal made
    consistent with the rank. Of the cells: ``pca``; ``pca_standardised`` of genes brought to
    variance 1, brought back; ``pca_filled`` of the covariance with its diagonal made consistent.

    Raises
    ------
    DataError
        The covariance is none, or the programmes do not fit.
    ConfigError
        A setting is out of range.

    Notes
    -----
    The question is that of arXiv 2601.23208. Filling the diagonal is HeteroPCA (Zhang, Cai and Wu
    2022). With finitely many masks T is estimated on the cells in which a gene was visible: its
    predictor never saw them.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import simulate_overlap
    >>> L = np.full((30, 1), 0.6)
    >>> settings = {"n": 200, "mask_ratio": 0.5, "masks_per_row": None, "draws": 4}
    >>> found = simulate_overlap(L @ L.T + 0.64 * np.eye(30), L, **settings)
    >>> found.mean("symmetrised") > 0.9, found.mean("pca") > 0.9
    (True, True)
    """
    S, L = check_programmes(covariance, programmes)
    rank = check_rank(L.shape[1] if rank is None else rank, len(S))
    noise = MaskNoise.of(mask_ratio, rescale=rescale, ridge=ridge)
    n, draws = int(check_setting("n", n, 1)), int(check_setting("draws", draws, 2))
    if masks_per_row is not None:
        check_setting("masks_per_row", masks_per_row, 1)
    population = Population.of(S, None, None)
    found: dict[str, list[float]] = {}
    for draw in range(draws):
        generator = derive_generator(seed, "theory.overlap", draw)
        rows = population.draw(n, generator)[0]
        B, T = (
            joint_predictor_with_residuals(rows.T @ rows / n, noise)
            if masks_per_row is None
            else _fit_on_masks(rows, mask_ratio, masks_per_row, noise, generator, rescale=rescale, ridge=ridge)
        )
        bases = predictor_subspaces(B, T, rank) | pca_subspaces(rows, rank)
        bases |= {name: method(rows, rank) for name, method in (others or {}).items()}
        for name, basis in bases.items():
            found.setdefault(name, []).append(subspace_overlap(basis, L))
    return Overlaps({name: np.array(values) for name, values in found.items()})


def predictor_subspaces(B: Float, T: Float, rank: int) -> Bases:
    """Leading subspaces of a joint predictor.

    Parameters
    ----------
    B
        Joint predictor (d, d).
    T
        Residual variances (d,).
    rank
        Dimension.

    Returns
    -------
    Bases (d, rank) by name; see :func:`simulate_overlap`.
    """
    left, _, right = linalg.svd(B)
    spread = np.sqrt(T)
    white = _symmetric(spread[:, None] * B / spread)
    return {
        "left": left[:, :rank],
        "right": right[:rank].T,
        "symmetrised": _leading(_symmetric(B), rank),
        "scaled": _leading(_symmetric(T[:, None] * B), rank),
        "whitened": spread[:, None] * _leading(white, rank),
        "filled": spread[:, None] * _leading(filled_diagonal(white, rank), rank),
    }


def pca_subspaces(rows: Float, rank: int) -> Bases:
    """Leading subspaces of cells.

    Parameters
    ----------
    rows
        Cells with mean 0 (n, d).
    rank
        Dimension.

    Returns
    -------
    Bases (d, rank) by name; see :func:`simulate_overlap`.
    """
    covariance = rows.T @ rows / len(rows)
    spread = np.sqrt(np.diag(covariance))
    return {
        "pca": _leading(covariance, rank),
        "pca_standardised": spread[:, None] * _leading(covariance / np.outer(spread, spread), rank),
        "pca_filled": _leading(filled_diagonal(covariance, rank), rank),
    }


def filled_diagonal(W: Float, rank: int) -> Float:
    """A symmetric matrix with its diagonal replaced by that of its best approximation of the given
    rank, until both agree.

    Parameters
    ----------
    W
        Symmetric; its diagonal is ignored (d, d).
    rank
        Rank of the approximation.

    Returns
    -------
    The matrix (d, d).
    """
    W = W - np.diag(np.diag(W))
    for _ in range(_MAX_FILLS):
        values, vectors = linalg.eigh(W, subset_by_index=[len(W) - rank, len(W) - 1])
        diagonal = np.maximum((vectors**2 * values).sum(1), 0)
        change = np.abs(diagonal - np.diag(W)).max()
        np.fill_diagonal(W, diagonal)
        if change <= _FILLED * np.abs(values).max():
            break
    return W


def orthonormal(basis: Float) -> Float:
    """An orthonormal basis of the span of the columns (d, r)."""
    return np.asarray(linalg.orth(basis))


def check_programmes(covariance: ArrayLike, programmes: ArrayLike) -> tuple[Float, Float]:
    """A covariance (d, d) and programmes (d, r) that fit it.

    Raises
    ------
    DataError
        They do not.
    """
    S, L = check_square(covariance), np.asarray(programmes, np.float64)
    if L.ndim != 2 or len(L) != len(S) or not np.isfinite(L).all() or np.linalg.matrix_rank(L) < L.shape[1] or L.shape[1] == 0:
        message = f"programmes have shape {L.shape}; needed are finite, linearly independent columns of length {len(S)}."
        raise DataError(message)
    return S, L


def check_rank(rank: int, d: int) -> int:
    """A rank of 1 to d - 1.

    Raises
    ------
    ConfigError
        It is not.
    """
    if not 1 <= rank < d:
        message = f"rank is {rank}; needed is a whole number from 1 to {d - 1}, the number of genes less one."
        raise ConfigError(message)
    return int(rank)


def _fit_on_masks(
    rows: Float,
    mask_ratio: MaskRatio,
    masks: int,
    noise: MaskNoise,
    generator: np.random.Generator,
    *,
    rescale: bool,
    ridge: float,
) -> tuple[Float, Float]:
    """The fitted predictor (d, d), and residual variances T (d,)."""
    rows = np.repeat(rows, masks, axis=0)
    ratios = draw_ratios(mask_ratio, len(rows), generator, batch_size=_BATCH)
    masked, hidden = mask(rows, ratios, generator, rescale=rescale)
    B = fit_joint_predictor(rows, masked, hidden, ridge=ridge)
    return B, _residual_variances(rows, ~hidden, B, noise)


def _residual_variances(rows: Float, visible: NDArray[np.bool_], B: Float, noise: MaskNoise) -> Float:
    """``T_j = N_jj - b_j' S_j / gain`` with both terms estimated where gene j was visible, within
    its bounds.
    """
    count = np.maximum(visible.sum(0), 1)
    variance = np.where(visible.any(0), (visible * rows**2).sum(0) / count, (rows**2).mean(0))
    explained = (visible * rows * (rows @ B)).sum(0) / count / noise.gain
    added = noise.added(variance)
    return np.asarray(np.clip(variance + added - explained, added, variance + added))


def _symmetric(W: Float) -> Float:
    return np.asarray((W + W.T) / 2)


def _leading(W: Float, rank: int) -> Float:
    return np.asarray(linalg.eigh(W, subset_by_index=[len(W) - rank, len(W) - 1])[1])
