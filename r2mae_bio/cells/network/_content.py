"""Content of a gene token: depth-scaled, standardised expression, from visible counts alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from r2mae_bio.cells.network._depth_moments import DepthMoments
from r2mae_bio.cells.network._panel_depth import RootUnits

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.tokens import TokenBatch


def _root(x: Tensor) -> Tensor:
    """The square root; of zeros, which most counts are, NumPy's takes a fifth of the time."""
    if x.device.type == "cpu" and not x.requires_grad:
        return torch.from_numpy(np.sqrt(x.numpy()))
    return torch.sqrt(x)


TRANSFORMS: dict[str, Callable[[Tensor], Tensor]] = {"sqrt": _root, "log": torch.log1p}
"""What is read of a depth-scaled count."""
PRIOR_COUNTS = 10.0
"""Weight, in counts, of the training mean depth when a depth is estimated from few visible
counts.
"""


@dataclass(frozen=True, eq=False)
class GeneStatistics:
    """What the network knows about the training cells before it starts."""

    share: Tensor
    """Share of all training counts that fall on each gene, float32 (G,); sums to 1."""
    mean: Tensor
    """Mean of each gene's content over training cells, float32 (G,)."""
    sd: Tensor
    """Standard deviation of each gene's content, float32 (G,); positive."""
    mean_depth: float
    """Mean counts per training cell."""


@dataclass(frozen=True, eq=False)
class Exposure:
    """How much was sequenced, as far as visible content tells."""

    total: Tensor
    """Visible counts of each row, float32 (B,)."""
    share: Tensor
    """Share of an average cell's counts that the visible genes would hold, float32 (B,)."""


class GeneContent(nn.Module):
    """Turns visible counts into what the encoder reads.

    Counts are scaled to the depth of an average cell, and the square root taken, which gives counts
    of all sizes much the same sampling noise, or the logarithm of one more: sqrt(x d / d') or log(1
    + x d / d'). The depth d' of the cell is estimated from its visible counts as (visible total +
    a) / (visible share + a / d), the posterior mean under a gamma prior worth a = 10 counts.
    Content is then centred and scaled by the training mean and standard deviation of the gene.
    Log-normalised input (``counts=False``) is only centred and scaled. With ``depth_moments`` mean
    and deviation of a root are those expected at the depth of the cell, see
    :class:`~r2mae_bio.cells.network._depth_moments.DepthMoments`.
    """

    share: Tensor
    mean: Tensor
    sd: Tensor
    mean_depth: Tensor

    def __init__(
        self,
        statistics: GeneStatistics,
        *,
        counts: bool = True,
        transform: str = "sqrt",
        depth_moments: bool = False,
        panel_depth: bool = True,
    ) -> None:
        super().__init__()
        self.counts = counts
        self.transform = TRANSFORMS[transform]
        self.register_buffer("share", statistics.share.clone())
        self.register_buffer("mean", statistics.mean.clone())
        self.register_buffer("sd", statistics.sd.clone())
        self.register_buffer("mean_depth", torch.tensor(float(statistics.mean_depth)))
        self.depth_moments = DepthMoments(self.share * self.mean_depth, self.mean) if depth_moments else None
        self._has_units = panel_depth and counts and self.transform is _root and not depth_moments

    def exposure(self, batch: TokenBatch) -> Exposure:
        """Visible total and visible share of every row."""
        total = batch.values.sum(1)
        share = (self.share[batch.ids] * batch.seen).sum(1)
        return Exposure(total, share.expand_as(total))

    def measured_share(self, measured: Tensor) -> Tensor:
        """Share of an average cell's counts that measured genes hold, (1,) or (B,). All genes
        hold exactly 1.

        Parameters
        ----------
        measured
            Bool (1, G) or (B, G).
        """
        return (self.share * measured).sum(1) / self.share.sum()

    def forward(self, batch: TokenBatch) -> Tensor:
        """What the encoder reads of visible tokens: standardised content, (B, L), zero where not
        visible.
        """
        exposure = self.exposure(batch)
        return self.standardize(self.expression(batch, exposure), batch, exposure)

    def units(self) -> RootUnits | None:
        """What standardised content stands for; None if it is no root of counts, centred alike at
        all depths, or the depth of a panel is to stay that of an average cell.
        """
        if not self._has_units:
            return None
        return RootUnits(self.mean / self.sd, self.sd, self.share, self.mean_depth, PRIOR_COUNTS)

    def expression(self, batch: TokenBatch, exposure: Exposure) -> Tensor:
        """Root or logarithm of depth-scaled counts, (B, L); zero where the count is zero or not
        visible.
        """
        if not self.counts:
            return batch.values
        return self.transform(batch.values * self.depth_factor(exposure)[:, None])

    def expression_of_entries(self, values: Tensor, rows: Tensor, exposure: Exposure) -> tuple[Tensor, Tensor | None]:
        """:meth:`expression` of non-zero entries (n,), given the row of each, int64 (n,), as a
        number for each entry and one for each row (B,) by which those of its entries are to be
        multiplied; 1 if None.

        A root is the product of those of count and depth, so that a sum over the entries of a row
        is multiplied once.
        """
        if not self.counts:
            return values, None
        factor = self.depth_factor(exposure)
        if self.transform is _root:
            return _root(values), _root(factor)
        return self.transform(values * factor[rows]), None

    def depth_factor(self, exposure: Exposure) -> Tensor:
        """Mean depth over estimated depth, (B,)."""
        expected = self.mean_depth * exposure.share + PRIOR_COUNTS
        return expected / (exposure.total + PRIOR_COUNTS)

    def standardize(self, expression: Tensor, batch: TokenBatch, exposure: Exposure) -> Tensor:
        """Centred and scaled content, (B, L); zero where not visible."""
        mean, scale = self.mean[batch.ids], 1 / self.sd[batch.ids]  # (1, L), or (B, L) where rows have ids of their own
        if self.depth_moments is not None:
            depth = exposure.total / (self.mean_depth * exposure.share).clamp(min=1e-8)
            shift, ratio = self.depth_moments(depth, self.depth_factor(exposure))
            if not batch.full:
                ids = batch.ids.expand(shift.shape[0], -1)
                shift, ratio = shift.gather(1, ids), ratio.gather(1, ids)
            mean, scale = mean + shift, scale / ratio
        return torch.addcmul(-mean * scale, expression, scale) * batch.seen
