"""The joint predictor of the masked linear autoencoder: one matrix (d, d) that predicts every gene
from the others.

Column j predicts gene j and was fitted on the cells in which gene j is hidden, so the diagonal is
zero. The inputs of those cells have second moment ``a S + c D`` and covariance ``h S_j`` with the
gene (means over the law of the ratio, weighted by the ratio itself), hence

    B = gain (I - N^-1 T),   N = S + level D,   T = 1 / diag(N^-1),
    gain = h / a,   level = (c + ridge) / a.

T holds the residual variances: what the masked others leave of ``x_j + sqrt(level) noise``. Only
``level`` shapes B; for a fixed ratio with rescaling it is p / (1 - p). For ``S = L L' + Psi`` with
few programmes L, ``P = (Psi + level D)^-1`` and ``M = (I + L'P L)^-1`` it follows that
``B = gain P L M L'`` up to terms of order 1/d: the output side (right) spans L, the input side
(left) spans P L.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import linalg

from r2mae_bio._errors import DataError
from r2mae_bio.theory.risk._decompose import check_covariance
from r2mae_bio.theory.risk._groups import mask_groups
from r2mae_bio.theory.risk._risk import check_setting
from r2mae_bio.theory.simulate._draws import minimum_norm

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory.risk._groups import Float, MaskRatio


@dataclass(frozen=True)
class MaskNoise:
    """What masking does to the input of a gene's predictor, as scalars."""

    gain: float
    """Factor of the whole predictor."""
    level: float
    """Variance that masking adds to an input, in units of the variance of the gene."""
    ridge: float
    """Ridge penalty in units of ``a``, the factor of S in the second moment."""

    @classmethod
    def of(cls, mask_ratio: MaskRatio, *, rescale: bool, ridge: float) -> MaskNoise:
        """Means over the cells in which a gene is hidden.

        Raises
        ------
        ConfigError
            Nothing is ever hidden, or the ridge is negative.
        """
        groups = mask_groups(mask_ratio, rescale=rescale, only_hidden=True)
        a, c, h = (float(groups.weight @ x) for x in (groups.a, groups.c, groups.h))
        return cls(h / a, c / a, check_setting("ridge", ridge, 0) / a)

    def added(self, variances: Float) -> Float:
        """What stands on the diagonal of N beside S (d,)."""
        return self.level * variances + self.ridge


def joint_predictor(covariance: ArrayLike, *, mask_ratio: MaskRatio, rescale: bool = True, ridge: float = 0.0) -> Float:
    """Joint predictor of the masked linear autoencoder in the limit of many masks.

    With the population covariance it is the limit of many cells; with the second moment of a
    sample, the limit of many masks of these cells, as in training over many epochs.

    Parameters
    ----------
    covariance
        Covariance of the genes, any diagonal (d, d).
    mask_ratio
        Share of hidden entries: a number, a pair ``(low, high)`` for a uniform ratio, or a law of
        :mod:`r2mae_bio.masking`.
    rescale
        Divide visible entries by 1 - ratio. A law that reaches 1 then has inputs of infinite
        variance and no such limit: what is returned is that of its quadrature.
    ridge
        Ridge penalty in units of the covariance.

    Returns
    -------
    B (d, d): ``x @ B`` predicts every gene from the others; its diagonal is zero.

    Raises
    ------
    DataError
        The covariance is none.
    ConfigError
        A setting is out of range.

    Notes
    -----
    The law of the ratio acts through one number, the variance that masks add to an input: a random
    ratio has the subspaces of a fixed one. The block inverse of the normal equations of every gene;
    see the head of this file.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import joint_predictor
    >>> joint_predictor(np.array([[1.0, 0.6], [0.6, 1.0]]), mask_ratio=0.5)
    array([[0. , 0.3],
           [0.3, 0. ]])
    """
    S = check_square(covariance)
    noise = MaskNoise.of(mask_ratio, rescale=rescale, ridge=ridge)
    return noise.gain * _unscaled_predictor(S + np.diag(noise.added(np.diag(S))))[0]


def joint_predictor_with_residuals(S: Float, noise: MaskNoise) -> tuple[Float, Float]:
    """The predictor (d, d), and the residual variances T (d,)."""
    B, T = _unscaled_predictor(S + np.diag(noise.added(np.diag(S))))
    return noise.gain * B, T


def fit_joint_predictor(rows: Float, masked: Float, hidden: NDArray[np.bool_], *, ridge: float = 0.0) -> Float:
    """Fit every gene on the cells in which it is hidden, by minimum-norm or ridge regression.

    Parameters
    ----------
    rows
        Cells (n, d).
    masked
        The same, masked (n, d).
    hidden
        True = hidden (n, d).
    ridge
        Ridge penalty in units of the covariance; 0 is the minimum-norm solution.

    Returns
    -------
    B_hat (d, d); a column is zero if its gene was never hidden.
    """
    columns = [minimum_norm(masked[chosen], rows[chosen, j], ridge=ridge) for j, chosen in enumerate(hidden.T)]
    return np.stack(columns, axis=1)


def check_square(covariance: ArrayLike) -> Float:
    """A covariance (d, d).

    Raises
    ------
    DataError
        It is none, or eigenvalues alone.
    """
    S = check_covariance(covariance)
    if S.ndim != 2:
        message = f"The covariance has shape {S.shape}; the joint predictor needs the square matrix (d, d)."
        raise DataError(message)
    return S


def _unscaled_predictor(N: Float) -> tuple[Float, Float]:
    inverse = np.asarray(linalg.inv(N))
    T = 1 / np.diag(inverse)
    B = -inverse * T
    np.fill_diagonal(B, 0.0)
    return B, T
