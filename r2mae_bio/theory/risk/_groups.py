"""Groups of rows that were masked alike, and the moments of their masked inputs.

A row of scale t whose entries are hidden with probability p (q = 1 - p) and whose visible entries
are multiplied by a gain s has second moment ``a S + c D``, ``D = diag(S)``, with
``a = t^2 s^2 q^2`` and ``c = t^2 s^2 p q``, and covariance ``h S b`` with the target,
``h = t^2 s q``. A random ratio is a mixture of groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    Float: TypeAlias = NDArray[np.float64]

N_NODES = 32
"""Nodes of the quadrature over a continuous law."""
_LARGEST_MEAN = 1 - 1e-6
_SMALLEST_VISIBLE = 1e-9


@runtime_checkable
class HasQuadrature(Protocol):
    """A law of the mask ratio, such as those of :mod:`r2mae_bio.masking`."""

    def quadrature(self, n_nodes: int = N_NODES) -> tuple[Float, Float]:
        """Ratios and weights, (K,) each, whose weighted sums are means over the law."""
        ...


MaskRatio: TypeAlias = "float | tuple[float, float] | HasQuadrature"
"""A number is a fixed ratio, a pair ``(low, high)`` is uniform, a law brings its own quadrature."""


@dataclass(frozen=True, eq=False)
class Groups:
    """Rows by how they were masked. K groups."""

    weight: Float
    """Share of the rows; sums to 1 (K,)."""
    p: Float
    """Probability that an entry is hidden (K,)."""
    gain: Float
    """Factor of a visible entry (K,)."""
    scale2: Float
    """Square of the scale of the whole row, target included (K,)."""

    @property
    def q(self) -> Float:
        """Probability that an entry is visible (K,)."""
        return 1 - self.p

    @property
    def a(self) -> Float:
        """Coefficient of S in the second moment (K,)."""
        return self.scale2 * (self.gain * self.q) ** 2

    @property
    def c(self) -> Float:
        """Coefficient of D in the second moment (K,)."""
        return self.scale2 * self.gain**2 * self.p * self.q

    @property
    def h(self) -> Float:
        """Coefficient of the covariance with the target (K,)."""
        return self.scale2 * self.gain * self.q

    @property
    def moment(self) -> Float:
        """``c`` and ``a`` (2, K)."""
        return np.stack([self.c, self.a])

    @property
    def mean_size(self) -> float:
        """Mean square of an entry, for features of variance 1."""
        return float(self.weight @ (self.a + self.c))


def mask_groups(
    mask_ratio: MaskRatio,
    *,
    rescale: bool,
    only_hidden: bool = False,
    row_scales: ArrayLike | None = None,
    n_nodes: int = N_NODES,
) -> Groups:
    """Groups of rows for a mask ratio.

    Parameters
    ----------
    mask_ratio
        A number in [0, 1), a pair, or a law.
    rescale
        Divide visible entries by 1 - ratio ("inverted dropout"), so that the masked input is
        unbiased.
    only_hidden
        Keep the rows in which one given entry is hidden: the law of the ratio is weighted by the
        ratio.
    row_scales
        Equally likely scales of whole rows (M,), for data with rows of unequal size; brought to
        mean square 1.
    n_nodes
        Nodes for a continuous law.

    Returns
    -------
    The groups, one for each pair of node and scale.
    """
    p, w = ratio_nodes(mask_ratio, n_nodes)
    if only_hidden:
        w = w * p / hidden_share(mask_ratio, n_nodes)
    gain = 1 / (1 - p) if rescale else np.ones_like(p)
    t2 = np.ones(1) if row_scales is None else squared_scales(row_scales)
    one = np.ones_like(t2)
    return Groups(*(np.outer(x, y).ravel() for x, y in ((w, one / t2.size), (p, one), (gain, one), (np.ones_like(p), t2))))


def hidden_share(mask_ratio: MaskRatio, n_nodes: int = N_NODES) -> float:
    """Mean ratio: the share of rows in which a given entry is hidden, and so a target.

    Raises
    ------
    ConfigError
        Nothing is ever hidden.
    """
    p, w = ratio_nodes(mask_ratio, n_nodes)
    share = float(w @ p)
    if share <= 0:
        message = f"mask_ratio is {mask_ratio!r}: nothing is ever hidden, so there is nothing to predict. Give a ratio above 0."
        raise ConfigError(message)
    return share


def squared_scales(row_scales: ArrayLike) -> Float:
    """Squares of the scales, brought to mean 1 (M,).

    Raises
    ------
    ConfigError
        They are not finite, or all 0.
    """
    squares = np.asarray(row_scales, np.float64).reshape(-1) ** 2
    if not squares.size or not np.isfinite(squares).all() or not squares.any():
        message = f"row_scales is {row_scales!r}; needed are finite numbers, not all of them 0."
        raise ConfigError(message)
    return np.asarray(squares / squares.mean())


def ratio_nodes(mask_ratio: MaskRatio, n_nodes: int = N_NODES) -> tuple[Float, Float]:
    """Quadrature of a mask ratio.

    Parameters
    ----------
    mask_ratio
        A number in [0, 1), a pair, or a law.
    n_nodes
        Nodes for a continuous law.

    Returns
    -------
    Ratios and weights, (K,) each.

    Raises
    ------
    ConfigError
        It is none of these, or everything would be hidden.
    """
    ratios, weights = _quadrature(mask_ratio, n_nodes)
    if not ((ratios >= 0) & (ratios <= 1)).all() or weights @ ratios > _LARGEST_MEAN:
        message = f"mask_ratio {mask_ratio!r} is out of range or hides everything; needed are ratios in [0, 1)."
        raise ConfigError(message)
    return np.minimum(ratios, 1 - _SMALLEST_VISIBLE), weights


def _quadrature(mask_ratio: MaskRatio, n_nodes: int) -> tuple[Float, Float]:
    if isinstance(mask_ratio, HasQuadrature):
        ratios, weights = mask_ratio.quadrature(n_nodes)
        return np.asarray(ratios, np.float64), np.asarray(weights, np.float64)
    if isinstance(mask_ratio, float | int | np.floating) and not isinstance(mask_ratio, bool):
        return np.array([float(mask_ratio)]), np.ones(1)
    if isinstance(mask_ratio, tuple | list) and len(mask_ratio) == 2 and mask_ratio[0] <= mask_ratio[1]:
        low, high = map(float, mask_ratio)
        nodes, weights = np.polynomial.legendre.leggauss(n_nodes if high > low else 1)
        return low + (high - low) * (nodes + 1) / 2, weights / 2
    message = f"mask_ratio is {mask_ratio!r}; needed is a number in [0, 1), a pair (low, high) or a law such as masking.Uniform."
    raise ConfigError(message)
