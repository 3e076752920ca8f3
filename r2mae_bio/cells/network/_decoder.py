"""Decoder: latent vector, covariates and visible depth in; distribution of every gene out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from r2mae_bio.likelihoods import GeneParams
from r2mae_bio.likelihoods._linear import Linear

if TYPE_CHECKING:
    from r2mae_bio.cells.network._content import Exposure, GeneContent
    from r2mae_bio.config import GeneConfig
    from r2mae_bio.tokens import TokenBatch

_SHARE_FLOOR = 1e-8
_LARGEST_LOG_THETA = 9.0


class GeneDecoder(nn.Module):
    """Predicts every gene of the vocabulary from the latent vector; it never sees a gene's content.

    A softmax over the vocabulary gives the composition p of the cell. The depth is estimated from
    what is visible as (visible total + a) / (sum of p over visible genes + a / mean depth), a
    learned: the posterior mean of the depth of a cell of that composition under a gamma prior. With
    ``use_observed_lib_size`` the total over all measured genes, hidden ones included, is used
    instead: counts of hidden genes then leak into their prediction through their sum.

    Of a panel, a is multiplied by the share of an average cell's counts that its genes hold
    (``prior_share``). A prior of a counts would outweigh the few counts of a small panel, and pull
    cells of a shallower study up to the depth of the training cells.

    Parameters
    ----------
    content
        Gives shares, means and the mean depth of the training cells.
    n_context
        Width C of the covariates.
    config
        Sizes and likelihood.
    """

    def __init__(self, content: GeneContent, n_context: int, config: GeneConfig) -> None:
        super().__init__()
        n_genes = content.share.shape[0]
        self.counts = content.counts
        self.hidden = nn.Sequential(
            Linear(config.n_latent + n_context, config.n_hidden),
            nn.LayerNorm(config.n_hidden),
            nn.GELU(),
            nn.Dropout(config.dropout),
        )
        self.location = Linear(config.n_hidden, n_genes)
        self.location_linear = Linear(config.n_latent + n_context, n_genes, bias=False)
        self.dropout_logit = Linear(config.n_hidden, n_genes) if config.gene_likelihood == "zinb" else None
        start = torch.log(content.share + _SHARE_FLOOR) if self.counts else content.mean
        spread = torch.zeros(n_genes) if self.counts else torch.log(content.sd)
        self.dispersion = nn.Parameter(spread[None].clone()) if config.gene_likelihood != "poisson" else None
        if self.counts:
            self.log_prior_counts = nn.Parameter(torch.tensor(math.log(10.0)))
        self._start_at_mean(start)

    def _start_at_mean(self, start: Tensor) -> None:
        """Begin at the mean profile of the training cells."""
        with torch.no_grad():
            self.location.bias.copy_(start)
        nn.init.normal_(self.location.weight, std=0.02)
        nn.init.normal_(self.location_linear.weight, std=0.02)
        if self.dropout_logit is not None:
            nn.init.normal_(self.dropout_logit.weight, std=0.02)
            nn.init.constant_(self.dropout_logit.bias, -2.0)

    def forward(
        self,
        latent: Tensor,
        context: Tensor,
        batch: TokenBatch,
        exposure: Exposure,
        mean_depth: Tensor,
        prior_share: Tensor | None = None,
    ) -> GeneParams:
        """Predict all genes.

        Parameters
        ----------
        latent
            (B, Z).
        context
            Covariates, (B, C).
        batch
            The visible tokens; only ``ids`` and ``visible`` are used.
        exposure
            Visible totals, or those of all measured genes on request.
        mean_depth
            Mean depth of the training cells, scalar.
        prior_share
            What the prior of the depth is multiplied by, (1,) or (B,); 1 if None.

        Returns
        -------
        Parameters of shape (B, G).
        """
        inputs = torch.cat([latent, context], 1)
        hidden = self.hidden(inputs)
        location = (self.location(hidden) + self.location_linear(inputs)).float()
        if self.counts:
            log_share, seen = _Composition.apply(location, self._seen(batch))  # (B, G), (B,)
            prior = self.log_prior_counts.exp() * (1 if prior_share is None else prior_share)
            log_depth = torch.log(exposure.total + prior) - torch.log(seen + prior / mean_depth)
            location = log_share + log_depth[:, None]
        dropout = None if self.dropout_logit is None else self.dropout_logit(hidden).float()
        return GeneParams(location, None if self.dispersion is None else self.bounded(self.dispersion), dropout)

    def bounded(self, dispersion: Tensor) -> Tensor:
        """Dispersions as they are used, of the same shape: beyond a log theta of 9 counts are
        Poisson for all purposes, and float32 cancels in lgamma(x + theta) - lgamma(theta).
        """
        return dispersion.clamp(max=_LARGEST_LOG_THETA) if self.counts else dispersion

    def _seen(self, batch: TokenBatch) -> Tensor:
        """1 where a gene is visible, float32 (B or 1, G)."""
        if batch.full:
            return batch.seen
        empty = torch.zeros(batch.seen.shape[0], self.location.out_features, device=batch.seen.device)
        return empty.scatter_add(1, batch.ids.expand(empty.shape[0], -1), batch.seen)  # padding adds zeros to gene 0


class _Composition(torch.autograd.Function):
    """Logarithms of a softmax over genes, and the share of the visible ones; the gradient by hand
    passes over (B, G) less often than the composed one.
    """

    @staticmethod
    def forward(ctx: Any, location: Tensor, visible: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """(B, G) and (B or 1, G) to (B, G) and (B,)."""
        log_share, share = torch.log_softmax(location, 1), torch.softmax(location, 1)
        seen = (share * visible).sum(1)
        ctx.save_for_backward(share, visible, seen)
        return log_share, seen

    @staticmethod
    @once_differentiable  # type: ignore[untyped-decorator]
    def backward(ctx: Any, grad: Tensor, grad_seen: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        """Gradient of the location, (B, G)."""
        share, visible, seen = ctx.saved_tensors
        slope = visible * grad_seen[:, None] - (grad.sum(1) + seen * grad_seen)[:, None]
        return torch.addcmul(grad, share, slope), None
