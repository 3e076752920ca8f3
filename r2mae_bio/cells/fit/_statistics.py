"""What is known about the training cells before the first step: shares, means, spreads, a
fingerprint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from r2mae_bio.cells.network._content import GeneContent, GeneStatistics
from r2mae_bio.likelihoods import GeneParams

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.fit._table import CellTable

_SD_FLOOR = 0.03
_TINY = 1e-8


@dataclass(frozen=True, eq=False)
class CellStatistics:
    """Statistics of training cells, G genes."""

    network: GeneStatistics
    """What the network is built from."""
    mean: Tensor
    """Mean of each gene as given (counts, or log-normalised), float32 (G,)."""
    variance: Tensor
    """Variance of each gene as given, float32 (G,)."""
    fingerprint: str
    """sha256 over the shape and the totals of genes and cells."""

    def blind(self, likelihood: str) -> GeneParams:
        """Parameters that predict each gene's training mean, whatever is visible; dispersion by
        moments.
        """
        if likelihood == "normal":
            return GeneParams(self.mean[None], (self.variance + _SD_FLOOR**2).log()[None] / 2)
        mean = self.mean + _TINY
        excess = (self.variance - mean).clamp(min=1e-3 * mean)
        dispersion = (mean.square() / excess).clamp(1e-3, 1e4).log()
        never = torch.full_like(mean, -30.0)[None] if likelihood == "zinb" else None
        return GeneParams(mean.log()[None], dispersion[None], never)


def scan_cells(table: CellTable, cells: NDArray[np.int64], *, counts: bool, transform: str = "sqrt") -> CellStatistics:
    """Read the training cells twice, a few hundred at a time.

    Parameters
    ----------
    table
        The cells.
    cells
        Positions of the training cells.
    counts
        False for log-normalised input.
    transform
        What the encoder will read of counts, see :class:`r2mae_bio.config.GeneConfig`.

    Returns
    -------
    The statistics.
    """
    digest = hashlib.sha256(f"{cells.size} x {table.source.measured.size}".encode())
    moments = _Moments(table.source.measured.size)
    for _, batch in table.batches(cells=cells):
        values = batch.tokens().values
        moments.add(values)
        digest.update(values.sum(1, dtype=torch.float64).numpy().tobytes())
    digest.update(moments.total.numpy().tobytes())
    mean, variance = moments.mean_and_variance()
    depth = float(mean.sum())
    share = mean.clamp(min=0) / max(float(mean.clamp(min=0).sum()), _TINY)
    unit = torch.ones_like(mean)
    content = GeneContent(
        GeneStatistics(share.float(), 0 * unit.float(), unit.float(), depth), counts=counts, transform=transform
    )
    content_mean, content_sd = _content_moments(table, cells, content)
    network = GeneStatistics(share.float(), content_mean, content_sd, depth)
    return CellStatistics(network, mean.float(), variance.float(), digest.hexdigest())


class _Moments:
    def __init__(self, n_genes: int) -> None:
        self.total = torch.zeros(n_genes, dtype=torch.float64)
        self.squares = torch.zeros(n_genes, dtype=torch.float64)
        self.n = 0

    def add(self, values: Tensor) -> None:
        values = values.double()
        self.total += values.sum(0)
        self.squares += values.square().sum(0)
        self.n += values.shape[0]

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        mean = self.total / self.n
        return mean, (self.squares / self.n - mean.square()).clamp(min=0)


def _content_moments(table: CellTable, cells: NDArray[np.int64], content: GeneContent) -> tuple[Tensor, Tensor]:
    moments = _Moments(table.source.measured.size)
    for _, batch in table.batches(cells=cells):
        tokens = batch.tokens()
        moments.add(content.expression(tokens, content.exposure(tokens)))
    mean, variance = moments.mean_and_variance()
    # a gene seen in one cell of a thousand must not turn into a huge standardised value
    return mean.float(), variance.sqrt().clamp(min=_SD_FLOOR).float()
