"""What a network expects of cells, gene by gene: means and variances over masks, and the totals of
genes that a panel lacks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, TypeVar

import torch

from r2mae_bio.likelihoods import mean_and_variance
from r2mae_bio.masking import MaskPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.likelihoods import GeneParams
    from r2mae_bio.tokens import TokenBatch

    Ask = Callable[[NDArray[np.bool_]], "Predictor"]
    """How a network is asked about cells in which certain genes were measured, (G,)."""

__all__ = ["Ask", "Predictor", "cache_by_panel", "total_factors"]

T = TypeVar("T")
_TOTAL_PRIOR: Final = 20.0
"""Counts that the belief in a predicted total is worth, so that few counts move it little."""


@dataclass(frozen=True, eq=False)
class Predictor:
    """A network in evaluation mode, and how it is asked."""

    network: GeneMaskedAutoencoder
    likelihood: str
    masks: Tensor
    """Genes that each mask hides, bool (M, G); a single one that hides nothing for no masks."""
    contexts: Tensor
    """Covariates to decode with, float32 (K, C); predictions are means over them."""
    own_counts: bool
    """Whether predictions of measured genes are weighed against their own counts."""
    factors: Tensor | None = None
    """What expected counts are multiplied by, float32 (G,), see :func:`total_factors`."""

    @torch.inference_mode()
    def moments(self, tokens: TokenBatch) -> tuple[Tensor, Tensor]:
        """Mean and variance of every gene, (B, G) each, of cells whose genes are all measured or
        not.

        Parameters
        ----------
        tokens
            Everything measured, ``visible`` (1, G).
        """
        mean, variance = self._from_other_genes(tokens)
        if self.factors is not None:
            # the rate scales; the noise of counting is that of the new mean
            mean, variance = mean * self.factors, mean * self.factors + (variance - mean) * self.factors.square()
        return _given_own_counts(mean, variance, tokens) if self.own_counts else (mean, variance)

    def _from_other_genes(self, tokens: TokenBatch) -> tuple[Tensor, Tensor]:
        """A measured gene as predicted by the masks that hide it, any other from all that is
        measured.
        """
        masked, several = _Moments(tokens.values), self.masks.shape[0] > 1
        for mask in self.masks:
            counts = (mask if several else torch.ones_like(mask)) | ~tokens.visible[0]
            for params in self._params(tokens, mask):
                masked.add(*mean_and_variance(params, self.likelihood), counts)
        if not several or tokens.visible.all():
            return masked.mean, masked.within + masked.between()
        whole, nothing = _Moments(tokens.values), torch.zeros_like(self.masks[0])
        for params in self._params(tokens, nothing):
            whole.add(*mean_and_variance(params, self.likelihood), ~nothing)
        mean = torch.where(tokens.visible, masked.mean, whole.mean)
        return mean, torch.where(tokens.visible, masked.within, whole.within) + masked.between()

    def _params(self, tokens: TokenBatch, mask: Tensor) -> Iterator[GeneParams]:
        """Distributions given what a mask (G,) leaves, one for each context."""
        visible = tokens.hide(MaskPlan(mask[None], tokens.visible))
        latent = self.network.encode(visible)
        for context in self.contexts:
            yield self.network.decode(latent, context.expand(latent.shape[0], -1), visible, measured=tokens.visible)


def cache_by_panel(make: Callable[[NDArray[np.bool_]], T]) -> Callable[[NDArray[np.bool_]], T]:
    """Make what is needed for the cells of a panel (G,) once for each panel."""
    made: dict[bytes, T] = {}

    def ask(measured: NDArray[np.bool_]) -> T:
        key = measured.tobytes()
        if key not in made:
            made[key] = make(measured)
        return made[key]

    return ask


def total_factors(predictor: Predictor, reference: CellTable, cells: NDArray[np.int64], panel: Tensor) -> Tensor:
    """By how much predicted totals of genes off a panel fall short of known ones.

    A network that is fitted by a negative binomial does not keep totals: cells that it expects to
    have many counts of a gene weigh less, and from few genes it expects average cells. Here cells
    in which the other genes are known are predicted from the panel, and totals compared, that of
    each gene drawn towards what was predicted by :data:`_TOTAL_PRIOR` counts.

    Parameters
    ----------
    predictor
        How predictions are made.
    reference
        Cells of which more is known, such as those trained on.
    cells
        Positions of those to use (n,).
    panel
        Genes of the panel, bool (G,).

    Returns
    -------
    Factors, float32 (G,); 1 for genes of the panel, and for those that the reference lacks.
    """
    whole = replace(predictor, masks=torch.zeros_like(panel)[None], own_counts=False, factors=None)
    known, predicted = (torch.zeros(panel.numel(), dtype=torch.float64) for _ in range(2))
    off = torch.from_numpy(reference.source.measured).to(panel.device) & ~panel
    for _, batch in reference.panel_batches(device=panel.device, cells=cells):
        tokens = batch.tokens()
        mean, _ = whole.moments(tokens.hide(MaskPlan(~panel[None], tokens.visible)))
        known += tokens.values.sum(0).double().cpu()
        predicted += torch.where(tokens.visible[0], mean.float().sum(0), 0).double().cpu()  # where the truth is known
    factors = ((known + _TOTAL_PRIOR) / (predicted + _TOTAL_PRIOR)).float().to(panel.device)
    return torch.where(off, factors, torch.ones_like(factors))


class _Moments:
    """Mean and variance of predictions, gene by gene, over those predictions of a gene that count
    (Welford's updates).
    """

    def __init__(self, like: Tensor) -> None:
        self.weight = torch.zeros(1, like.shape[1], device=like.device)
        self.mean, self.within, self.squares = (torch.zeros_like(like) for _ in range(3))

    def add(self, mean: Tensor, variance: Tensor, counts: Tensor) -> None:
        """Add a prediction (B, G) for the genes that count, bool (G,)."""
        self.weight += counts
        step = counts / self.weight.clamp(min=1)
        away = mean - self.mean
        self.mean += step * away
        self.within += step * (variance - self.within)
        self.squares += counts * away * (mean - self.mean)

    def between(self) -> Tensor:
        """Variance of the means (B, G), which the law of total variance adds to ``within``."""
        return self.squares / self.weight


def _given_own_counts(mean: Tensor, variance: Tensor, tokens: TokenBatch) -> tuple[Tensor, Tensor]:
    """Moments of a repeated measurement, given that the measured genes (1, G) once gave
    ``tokens.values`` (B, G).
    """
    count, spread = tokens.values, (variance - mean).clamp(min=0)  # of the rate
    shape = mean.square() + spread * count  # t + x, in units of the spread
    updated = mean * shape / (mean.square() + spread * mean).clamp(min=torch.finfo(mean.dtype).tiny)
    repeated = updated + updated.square() * spread / shape.clamp(min=torch.finfo(mean.dtype).tiny)
    return torch.where(tokens.visible, updated, mean), torch.where(tokens.visible, repeated, variance)
