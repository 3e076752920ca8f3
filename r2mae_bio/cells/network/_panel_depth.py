"""How deeply a cell was sequenced, where only a panel of its genes tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["CellDepths", "RootUnits"]

_STEPS, _STEPS_IN_FULL = 8, 3
"""Solutions of the read, and those after which the scale goes half of the way: in full, one cell
in a hundred goes to and fro. Half of the cells of a panel then lie within .001 of the spread of
where they would end.
"""
_MOST = 5.0
"""Most that the share of a cell may differ from that of the average one, either way."""


@dataclass(frozen=True, eq=False)
class RootUnits:
    """What standardised roots of counts stand for."""

    centre: Tensor
    """Mean root of each gene, in its standard deviations (G,)."""
    sd: Tensor
    """Standard deviation of roots (G,)."""
    share: Tensor
    """Share of an average cell's counts (G,)."""
    mean_depth: Tensor
    """Counts of an average cell, scalar."""
    prior: float
    """Counts that the prior of a depth is worth."""

    def weight(self, share: Tensor) -> Tensor:
        """How far the depth of a cell follows its counts, and not the prior, where visible genes
        hold ``share`` (B,) of an average cell's, (B,).
        """
        expected = self.mean_depth * share
        return expected / (expected + self.prior)


class CellDepths:
    r"""The least-squares read of roots whose scale is known only as far as a panel tells.

    Counts are scaled by the total of the visible genes S over the share s of an average cell's
    counts that these would hold. A panel of markers holds twice the share of one type of cell and
    half that of another, so that all roots of the one are too small, and of the other too large.
    With loadings L, mean roots m and u = (f, 1) a cell of factors f has the share

        s(f) = u' A_S u / u' A u,    A_S = sum_S [L, m]' [L, m] and variance left to genes,

    of which the model reads roots y = a(f) (m + L f), a(f)^2 = s / s(f), softened by the prior of
    the depth. The read is its solution by Gauss-Newton steps, with the slope at the average cell,
    which one matrix inverts for all cells of a panel. With all genes visible a is 1, and this the
    read itself.

    Letters: F factors, and E = F + 1 with the mean; matrices have one row for each row of the
    minibatch, or one for all.

    Parameters
    ----------
    gram
        Sum over visible genes of products of keys, the centre as the last, over noise (B, E, E).
    size
        The same of loadings in units of roots, not over noise, with the variance that factors leave
        to genes added to the last element (B, E, E).
    whole
        ``size`` where all genes are visible (1, E, E).
    weight
        See :meth:`RootUnits.weight`, (B,).
    """

    def __init__(self, gram: Tensor, size: Tensor, whole: Tensor, weight: Tensor) -> None:
        self._gram, self._size, self._whole, self._weight = gram, size, whole, weight
        held = torch.maximum(size[:, -1, -1], 1e-12 * whole[:, -1, -1])
        self._share = held / whole[:, -1, -1]
        slope = size[:, :-1, -1] / held[:, None] - whole[:, :-1, -1] / whole[:, -1, -1, None]  # of log s(f) / 2 by f
        n = slope.shape[1]
        eye = torch.eye(n, dtype=gram.dtype, device=gram.device)
        self._turn = torch.cat([eye.expand(len(slope), n, n), -(weight[:, None] * slope)[:, None]], 1)  # (B, E, F)
        self._turned_gram = self._turn.mT @ gram @ self._turn
        self.precision = eye + self._turned_gram
        """Posterior precision of the factors (B, F, F)."""
        self._covariance = torch.linalg.inv(self.precision)

    def means(self, evidence: Tensor) -> Tensor:
        """Factors of cells, (B, F).

        Parameters
        ----------
        evidence
            Sum over visible genes of centred content times keys over noise (B, E).
        """
        scale, factors = torch.ones_like(evidence[:, :1]), torch.zeros_like(evidence[:, :-1])
        for step in range(_STEPS):
            if step:
                found = self._scale(factors)[:, None]
                scale = found if step < _STEPS_IN_FULL else (scale + found) / 2
            left = evidence + self._gram[:, -1] - scale * _times(_with_one(factors), self._gram)
            factors = _times(_times(left, self._turn) + _times(factors, self._turned_gram), self._covariance)
        return factors

    def _scale(self, factors: Tensor) -> Tensor:
        """a(f), (B,)."""
        u = _with_one(factors)
        share = (_times(u, self._size) * u).sum(1) / (_times(u, self._whole) * u).sum(1)
        relative = (share / self._share).clamp(1 / _MOST, _MOST)
        return torch.rsqrt(self._weight * relative + (1 - self._weight))


def _with_one(factors: Tensor) -> Tensor:
    return torch.cat([factors, torch.ones_like(factors[:, :1])], 1)


def _times(rows: Tensor, matrices: Tensor) -> Tensor:
    """Each row (B, J) times its matrix (B or 1, J, K), (B, K)."""
    if matrices.shape[0] == 1:
        return rows @ matrices[0]
    return (rows[:, None] @ matrices)[:, 0]
