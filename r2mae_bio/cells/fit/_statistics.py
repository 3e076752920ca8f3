"""What is known about the training cells before the first step: shares, means, spreads, a
fingerprint.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from r2mae_bio.cells.network._content import Exposure, GeneContent, GeneStatistics
from r2mae_bio.likelihoods import GeneParams

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.fit._batch import CellBatch
    from r2mae_bio.cells.fit._table import CellTable, Panels

_SD_FLOOR = 0.03
_TINY = 1e-8
_ROUNDS, _STILL = 500, 1e-10


@dataclass(frozen=True, eq=False)
class CellStatistics:
    """Statistics of training cells, G genes."""

    network: GeneStatistics
    """What the network is built from."""
    mean: Tensor
    """Mean of each gene as given (counts, or log-normalised) over the cells that measured it,
    float32 (G,).
    """
    variance: Tensor
    """Variance of each gene as given, likewise, float32 (G,)."""
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

    Moments of a gene are taken over the cells that measured it.

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
    moments, totals = _Moments(table.source.measured.size), np.zeros(cells.size)
    for some, batch in table.batches(cells=cells):
        moments.add(batch, batch.values)
        totals[some] = np.bincount(batch.rows.numpy(), batch.values.numpy(), some.stop - some.start)
    digest.update(totals.tobytes())
    digest.update(moments.total.numpy().tobytes())
    mean, variance = moments.mean_and_variance()
    depth = float(mean.sum())
    share = mean.clamp(min=0) / max(float(mean.clamp(min=0).sum()), _TINY)
    panels: Panels | None = table.source.panels
    if panels is not None:
        codes = panels.codes[cells]
        digest.update(panels.measured.tobytes() + codes.tobytes())
        if counts:
            share, depth = _profile(moments.total.numpy(), totals, codes, panels.measured)
    unit = torch.ones_like(mean)
    content = GeneContent(
        GeneStatistics(share.float(), 0 * unit.float(), unit.float(), depth), counts=counts, transform=transform
    )
    content_mean, content_sd = _content_moments(table, cells, content)
    network = GeneStatistics(share.float(), content_mean, content_sd, depth)
    return CellStatistics(network, mean.float(), variance.float(), digest.hexdigest())


class _Moments:
    def __init__(self, n_genes: int) -> None:
        self.total, self.squares, self.n = (torch.zeros(n_genes, dtype=torch.float64) for _ in range(3))

    def add(self, batch: CellBatch, values: Tensor) -> None:
        """Add the entries of some cells, as given or as they will be read; what is not stored is
        zero either way.
        """
        genes, weights, n_genes = batch.genes.numpy(), values.double().numpy(), self.n.numel()
        self.total += torch.from_numpy(np.bincount(genes, weights, n_genes))
        self.squares += torch.from_numpy(np.bincount(genes, weights**2, n_genes))
        self.n += batch.measured.sum(0) * (batch.context.shape[0] // batch.measured.shape[0])

    def mean_and_variance(self) -> tuple[Tensor, Tensor]:
        n = self.n.clamp(min=1)
        mean = self.total / n
        return mean, (self.squares / n - mean.square()).clamp(min=0)


def _profile(
    genes: NDArray[np.float64], cells: NDArray[np.float64], codes: NDArray[np.int64], measured: NDArray[np.bool_]
) -> tuple[Tensor, float]:
    """Share of each gene (G,) in the counts of a cell of which all genes were measured, and the
    mean counts of such cells.

    Panels differ in depth, so that means over the cells that measured a gene do not compare. Shares
    s and depths d of panels p are those of greatest likelihood if the counts of gene g in the cells
    of panel p are Poisson with mean s_g d_p: each in turn, until they stand still.

    Parameters
    ----------
    genes
        Counts of each gene (G,).
    cells
        Counts of each cell (n_cells,).
    codes, measured
        Panel of each cell, and genes of each panel.
    """
    by_panel = np.bincount(codes, cells, len(measured))
    share = genes / max(genes.sum(), _TINY)
    for _ in range(_ROUNDS):
        depths = by_panel / np.maximum(measured @ share, _TINY)
        updated = genes / np.maximum(depths @ measured, _TINY)
        updated /= max(updated.sum(), _TINY)
        moved, share = np.abs(updated - share).sum(), updated
        if moved < _STILL:
            break
    depths = by_panel / np.maximum(measured @ share, _TINY)
    return torch.from_numpy(share), float(depths.sum() / codes.size)


def _content_moments(table: CellTable, cells: NDArray[np.int64], content: GeneContent) -> tuple[Tensor, Tensor]:
    moments = _Moments(table.source.measured.size)
    for _, batch in table.batches(cells=cells):
        moments.add(batch, entry_content(batch, content))
    mean, variance = moments.mean_and_variance()
    # a gene seen in one cell of a thousand must not turn into a huge standardised value
    return mean.float(), variance.sqrt().clamp(min=_SD_FLOOR).float()


def entry_content(batch: CellBatch, content: GeneContent) -> Tensor:
    """Content of the non-zero entries of some cells before it is centred and scaled, float32 (n,);
    that of the others is zero.

    Parameters
    ----------
    batch
        The cells.
    content
        Scales counts to depth.
    """
    if not content.counts:
        return batch.values
    total = torch.zeros(batch.context.shape[0], dtype=torch.float64).index_add_(0, batch.rows, batch.values.double()).float()
    share = (content.share * batch.measured).sum(1).expand_as(total)
    return content.transform(batch.values * content.depth_factor(Exposure(total, share))[batch.rows])
