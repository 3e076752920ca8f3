"""From visible genes to classes of cells: a gene encoder and a head that begins at a linear
probe.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.tokens import TokenBatch

__all__ = ["CellClassifierNetwork"]

_LEAST_SHARE = 1e-4
"""A smaller visible share of the counts makes predictions no softer."""


class CellClassifierNetwork(nn.Module):
    """Encoder of visible genes, standardisation, and a linear or one-hidden-layer head.

    The embedding is that of :meth:`GeneMaskedAutoencoder.embed`, whose spread is the same however
    few genes are visible; that few genes say less is told to the head apart: logits are multiplied
    by ``exp(a + b log s)``, s the share of an average cell's counts that the visible genes would
    hold. At b = 0 that is one temperature; it changes no prediction, only how sure it is.

    Parameters
    ----------
    autoencoder
        Its content and encoder are used, not copied; its decoder is not needed.
    n_latent
        Dimensions Z of the embedding.
    n_classes
        Number of classes K.
    n_hidden
        Features of the hidden layer, whose logits are added to the linear ones and begin at zero; 0
        leaves it out.
    dropout
        Probability of dropping a feature of the hidden layer.
    """

    mean: Tensor
    scale: Tensor

    def __init__(
        self, autoencoder: GeneMaskedAutoencoder, n_latent: int, n_classes: int, *, n_hidden: int = 0, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.content, self.encoder = autoencoder.content, autoencoder.encoder
        self.register_buffer("mean", torch.zeros(n_latent))
        self.register_buffer("scale", torch.ones(n_latent))
        self.linear = nn.Linear(n_latent, n_classes)
        self.sharpness = nn.Parameter(torch.zeros(2))
        self.hidden: nn.Sequential | None = None
        if n_hidden:
            last = nn.Linear(n_hidden, n_classes, bias=False)
            nn.init.zeros_(last.weight)
            self.hidden = nn.Sequential(nn.Linear(n_latent, n_hidden), nn.GELU(), nn.Dropout(dropout), last)

    def embed(self, visible: TokenBatch) -> Tensor:
        """Embedding (B, Z) of visible tokens, as :meth:`GeneMaskedAutoencoder.embed` gives it."""
        return self.encoder.embed(self.content(visible), visible, self.content.units())

    def log_share(self, visible: TokenBatch) -> Tensor:
        """Logarithm of the share of an average cell's counts that the visible genes would hold,
        (B,).
        """
        return self.content.exposure(visible).share.clamp(min=_LEAST_SHARE).log()

    def classify(self, embedding: Tensor) -> Tensor:
        """Logits (B, K) of embeddings (B, Z), before they are sharpened or softened."""
        x = (embedding - self.mean) / self.scale
        logits = self.linear(x)
        return logits if self.hidden is None else logits + self.hidden(x)

    def forward(self, visible: TokenBatch) -> Tensor:
        """Logits (B, K) of visible tokens."""
        sharp = torch.exp(self.sharpness[0] + self.sharpness[1] * self.log_share(visible))
        return self.classify(self.embed(visible)) * sharp[:, None]
