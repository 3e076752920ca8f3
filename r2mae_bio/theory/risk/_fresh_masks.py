"""Risk of the masked linear autoencoder whose cells are masked anew for ever, as in training over
many epochs.

Endless masks of n cells leave their second moment and a diagonal, ``S_hat + c D`` (Bishop 1995;
Wager, Wang and Liang 2013; ``joint_predictor``): the law of the ratio acts as a ridge penalty c
and through nothing else. What n does is then known from ridge regression (Dobriban and Wager 2018,
theorem 2.1; Hastie et al. 2022, section 5): the penalty is felt as the larger kappa,

    c = kappa (1 - tr[S K] / n),   K = (S + kappa I)^-1,

and every second moment below follows from the diagonals of K and of its square (Schur complement).
With ``g = K_jj``, ``h = (K^2)_jj`` and a test input of second moment ``S + t I``, gene j has

    mean predictor m = -K_-j,j / g,    m'm = (h - g^2) / g^2
    error of m, unmasked = (g - kappa h) / g^2
    tau = error of m, unmasked / (1 - tr[S K S K] / n)      error of one fit, unmasked
    variance = tau (tr[S K S K] + t tr[S K^2]) / n          over training sets, at the test input.

Traces leave no gene out, an error of 1/d; cells are taken as Gaussian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from scipy import linalg, optimize

from r2mae_bio._errors import DataError
from r2mae_bio.theory.risk._decompose import Eigendecomposition, decompose
from r2mae_bio.theory.risk._groups import HasQuadrature, hidden_share, ratio_nodes
from r2mae_bio.theory.risk._risk import check_setting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory.risk._groups import Float, MaskRatio

_TINY = 1e-12


class Resolvent(Protocol):
    """A correlation matrix S of d genes, known by ``K = (S + kappa I)^-1``."""

    @property
    def n_features(self) -> int:
        """Number of genes d."""
        ...

    def trace(self, kappa: float) -> float:
        """``tr K``."""
        ...

    def diagonals(self, kappa: float) -> tuple[Float, Float]:
        """Diagonals of K and of its square (d,)."""
        ...


class Spectral:
    """From eigenvalues and eigenvectors."""

    def __init__(self, eigen: Eigendecomposition) -> None:
        if eigen.vectors is None:
            message = "The autoencoder needs eigenvectors: every gene's own row of them. Pass the covariance itself."
            raise DataError(message)
        self.values, self.squares = eigen.values, eigen.vectors**2

    @property
    def n_features(self) -> int:
        """Number of genes d."""
        return self.values.size

    def trace(self, kappa: float) -> float:
        """``tr K``."""
        return float((1 / (self.values + max(kappa, _TINY))).sum())

    def diagonals(self, kappa: float) -> tuple[Float, Float]:
        """Diagonals of K and of its square (d,)."""
        k = 1 / (self.values + max(kappa, _TINY))
        return self.squares @ k, self.squares @ k**2


@dataclass(frozen=True, eq=False)
class FactorCorrelation:
    """A correlation matrix of few factors, ``L L' + diag(u)``: O(d k^2) where a full one would cost
    O(d^3) and d^2 numbers.
    """

    loadings: Float
    """L (d, k)."""
    unique: Float
    """Variance u of every gene beside the factors, above 0 (d,)."""

    @property
    def n_features(self) -> int:
        """Number of genes d."""
        return self.unique.size

    @property
    def effective_rank(self) -> float:
        """Participation ratio of the eigenvalues, from 1 to d."""
        common = (self.loadings**2).sum(1)
        gram = self.loadings.T @ self.loadings
        squares = np.vdot(gram, gram) + 2 * common @ self.unique + self.unique @ self.unique
        return float((common + self.unique).sum() ** 2 / squares)

    def trace(self, kappa: float) -> float:
        """``tr K``."""
        p, weighted, inverse = self._woodbury(kappa)
        return float(p.sum() - np.vdot(weighted.T @ weighted, inverse))

    def diagonals(self, kappa: float) -> tuple[Float, Float]:
        """Diagonals of K and of its square (d,)."""
        p, weighted, inverse = self._woodbury(kappa)
        left = weighted @ inverse
        taken = np.einsum("ij,ij->i", left, weighted)
        twice = np.einsum("ij,ij->i", left @ (weighted.T @ weighted), left)
        return p - taken, p**2 - 2 * p * taken + twice

    def _woodbury(self, kappa: float) -> tuple[Float, Float, Float]:
        """``P = (diag(u) + kappa)^-1`` (d,), ``P L``, and ``(I + L'P L)^-1``."""
        p = 1 / (self.unique + kappa)
        weighted = p[:, None] * self.loadings
        return p, weighted, np.asarray(linalg.inv(np.eye(weighted.shape[1]) + self.loadings.T @ weighted))


@dataclass(frozen=True, eq=False)
class FreshMaskRisk:
    """Risk with fresh masks, mean over genes, in units of a gene's variance."""

    error: float
    """Prediction error, ``bias + variance + floor``."""
    bias: float
    """Squared distance of the mean predictor from the best linear one, at the test input."""
    variance: float
    """Variance over training sets."""
    floor: float
    """Error of the best linear predictor on the test input."""
    level: float
    """Variance c that masks add to an input, in units of a gene's variance."""
    penalty: float
    """The penalty kappa as which c is felt with n cells; c itself with endless cells."""
    inflation: float
    """Factor ``tau / (tau with endless cells)`` of the unmasked error."""


def mask_level(mask_ratio: MaskRatio, n_features: int) -> float:
    """Variance that fresh masks add to a visible input, in units of the gene's variance.

    Masks hide ``round(p d)`` genes, at least one and at most d - 1, and divide visible ones by
    their share. Without the bound a law that reaches 1 would have no finite level.

    Parameters
    ----------
    mask_ratio
        A number, a pair ``(low, high)`` for a uniform ratio, or a law.
    n_features
        Number of genes d.

    Returns
    -------
    ``E[p^2 / (1 - p)] / E[p]`` over what is drawn; ``p / (1 - p)`` for a fixed ratio.

    Raises
    ------
    ConfigError
        It is none of these, or hides nothing or everything.
    """
    d = check_setting("n_features", n_features, 2)
    nodes, weights = ratio_nodes(mask_ratio)
    hidden_share(mask_ratio)  # refuses a law that hides nothing
    if isinstance(mask_ratio, tuple | list) and mask_ratio[0] < mask_ratio[1]:
        hidden = np.arange(0, d + 1)
        borders = np.clip((np.concatenate([hidden - 0.5, [d + 0.5]]) / d - mask_ratio[0]) / (mask_ratio[1] - mask_ratio[0]), 0, 1)
        nodes, weights = hidden / d, np.diff(borders)
    elif isinstance(mask_ratio, HasQuadrature):
        nodes = np.rint(nodes * d) / d
    nodes = np.clip(nodes, 1 / d, 1 - 1 / d) if len(nodes) > 1 else nodes
    return float(weights @ (nodes**2 / (1 - nodes)) / (weights @ nodes))


def fresh_mask_risk(
    correlation: ArrayLike | Any, *, n: float, mask_ratio: MaskRatio, test: MaskRatio | None = None
) -> FreshMaskRisk:
    """Risk of the masked linear autoencoder in the limit of many masks of n cells.

    Gene j is predicted from the others by :func:`joint_predictor` of the second moment of n cells;
    visible entries are divided by 1 - ratio in training and test.

    Parameters
    ----------
    correlation
        Correlation matrix of the genes (d, d), the result of :func:`decompose`, or a
        ``FactorCorrelation``.
    n
        Number of training cells; ``inf`` for the population.
    mask_ratio
        A number in (0, 1), a pair ``(low, high)``, or a law.
    test
        How the other genes of a test cell are masked; not at all if None.

    Returns
    -------
    The risk and its parts.

    Raises
    ------
    DataError
        The covariance is none, or its diagonal is not constant.
    ConfigError
        A setting is out of range.

    Notes
    -----
    Masks as a ridge: Bishop (1995), Wager, Wang and Liang (2013). Ridge regression with n rows:
    Dobriban and Wager (2018), Hastie et al. (2022). A law of the ratio acts through its
    :attr:`FreshMaskRisk.level` alone: in this model a random ratio is the fixed one of equal level.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import fresh_mask_risk
    >>> S = 0.5 * np.eye(60) + 0.5
    >>> few, many = (fresh_mask_risk(S, n=n, mask_ratio=0.5) for n in (100, np.inf))
    >>> few.level, few.error > many.error, many.variance
    (1.0, True, 0.0)
    """
    model = as_resolvent(correlation)
    seen = 0.0 if test is None else seen_level(test)
    return risk_at_level(model, n if n == np.inf else check_setting("n", n, 1), mask_level(mask_ratio, model.n_features), seen)


def as_resolvent(correlation: ArrayLike | Any) -> Resolvent:
    """A matrix, an eigendecomposition or a factor model, as :class:`Resolvent`."""
    if isinstance(correlation, FactorCorrelation | Spectral):
        return correlation
    return Spectral(correlation if isinstance(correlation, Eigendecomposition) else decompose(correlation))


def seen_level(test: MaskRatio) -> float:
    """Variance that masks add to a test input: ``E[p / (1 - p)]``."""
    p, w = ratio_nodes(test)
    return float(w @ (p / (1 - p)))


def risk_at_level(model: Resolvent, n: float, level: float, seen: float) -> FreshMaskRisk:
    """Risk for masks of one level, at a test input of another; see :func:`fresh_mask_risk`."""
    kappa = felt_penalty(model, n, level)
    g, h = model.diagonals(kappa)
    d, trace, trace2 = model.n_features, float(g.sum()), float(h.sum())
    alone = (g - kappa * h) / g**2  # error of the mean predictor, unmasked
    freedom, inputs = (d - 2 * kappa * trace + kappa**2 * trace2) / n, (trace - kappa * trace2) / n
    inflation = 1 / max(1 - freedom, _TINY)
    variance = alone * inflation * (freedom + seen * inputs)
    mean_error = alone + seen * (h - g**2) / g**2
    floor = 1 / model.diagonals(seen)[0] - seen
    error = float((mean_error + variance).mean())
    bias, own = float((mean_error - floor).mean()), float(floor.mean())
    return FreshMaskRisk(error, bias, float(variance.mean()), own, level, kappa, inflation)


def felt_penalty(model: Resolvent, n: float, level: float) -> float:
    """Penalty kappa of ``level = kappa (1 - tr[S K] / n)``; it lies between ``level`` and
    ``level + d / n``.
    """
    d = model.n_features
    if n == np.inf:
        return level

    def excess(kappa: float) -> float:
        return kappa * (1 - (d - kappa * model.trace(kappa)) / n) - level

    return float(optimize.brentq(excess, level, (level + d / n) * (1 + 1e-9), rtol=1e-10))
