"""Encoders of visible gene tokens into a latent vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from r2mae_bio.cells.network._block import TransformerBlock
from r2mae_bio.cells.network._read import LeastSquaresRead
from r2mae_bio.likelihoods._linear import Linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.config import GeneConfig
    from r2mae_bio.tokens import TokenBatch


class GeneTransformer(nn.Module):
    """Gene tokens, read by least-squares attention into M latent tokens, which a transformer
    refines.

    The latent vector is a linear map of the read plus what the transformer adds to it; that
    addition starts at zero, so training begins at a linear model of the visible genes and departs
    from it as far as the data carry.

    Parameters
    ----------
    n_genes
        Vocabulary size G.
    config
        Sizes.
    """

    def __init__(self, n_genes: int, config: GeneConfig) -> None:
        super().__init__()
        assert config.n_layers is not None  # settings choose it
        self.n_tokens, self.d_model = config.n_tokens, config.d_model
        self.read = LeastSquaresRead(n_genes, config.n_factors)
        self.linear = Linear(config.n_factors, config.n_latent)
        self.to_tokens = Linear(config.n_factors, config.n_tokens * config.d_model)
        self.blocks = nn.Sequential(
            *(TransformerBlock(config.d_model, config.n_heads, dropout=config.dropout) for _ in range(config.n_layers))
        )
        self.norm = nn.LayerNorm(config.d_model)
        self.refine = Linear(config.n_tokens * config.d_model, config.n_latent)
        nn.init.zeros_(self.refine.weight)
        nn.init.zeros_(self.refine.bias)

    def forward(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """Encode standardised content (B, L) of the visible slots of ``batch`` into (B, Z)."""
        return self._refined(self.read(content, batch))

    def embed(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """As :meth:`forward`, with the read stretched to the spread that it has when every gene is
        visible.
        """
        return self._refined(self.read.stretched(content, batch))

    def table(self) -> Tensor:
        """What :meth:`embed` first multiplies content by, (G, F)."""
        return self.read.weights(self.read.summed_in)

    def after_table(self, seen: Tensor) -> Callable[[Tensor], Tensor]:
        """The rest of :meth:`embed` as a function of that product (B, F), where genes (G,) are
        seen.
        """
        matrix = self.read.stretched_inverse(seen)
        return lambda product: self._refined((product @ matrix).float())

    def _refined(self, read: Tensor) -> Tensor:
        tokens = self.to_tokens(read).view(-1, self.n_tokens, self.d_model)  # (B, M, D)
        tokens = self.norm(self.blocks(tokens))
        return self.linear(read) + self.refine(tokens.flatten(1))


class MLPEncoder(nn.Module):
    """The control: a plain network that reads all content, and which genes are visible, as one long
    vector.

    Parameters
    ----------
    n_genes
        Vocabulary size G.
    config
        Sizes.
    """

    def __init__(self, n_genes: int, config: GeneConfig) -> None:
        super().__init__()
        assert config.n_layers is not None  # settings choose it
        self.n_genes = n_genes
        width = config.n_hidden
        self.read_content = Linear(n_genes, width)
        self.read_visible = Linear(n_genes, width, bias=False)
        layers: list[nn.Module] = []
        for _ in range(config.n_layers):
            layers += [nn.LayerNorm(width), nn.GELU(), nn.Dropout(config.dropout), Linear(width, width)]
        layers[-1] = Linear(width, config.n_latent)
        self.layers = nn.Sequential(*layers)

    def forward(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """Encode standardised content (B, L) of the visible slots of ``batch`` into (B, Z)."""
        return self.layers(self.read_content(self._spread(content, batch)) + self.read_visible(self._spread(batch.seen, batch)))

    def embed(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """The same as :meth:`forward`: a plain network does not know how much it shrinks."""
        return self(content, batch)

    def table(self) -> Tensor:
        """What :meth:`embed` first multiplies content by, (G, H)."""
        return self.read_content.weight.T

    def after_table(self, seen: Tensor) -> Callable[[Tensor], Tensor]:
        """The rest of :meth:`embed` as a function of that product (B, H), where genes (G,) are
        seen.
        """
        constant = self.read_content.bias + self.read_visible(seen)
        return lambda product: self.layers(product + constant)

    def _spread(self, x: Tensor, batch: TokenBatch) -> Tensor:
        """Put slots in vocabulary order, (B, L) to (B, G); padding adds zeros to gene 0."""
        if batch.full:
            return x
        empty = torch.zeros(x.shape[0], self.n_genes, dtype=x.dtype, device=x.device)
        return empty.scatter_add(1, batch.ids.expand(x.shape[0], -1), x)
