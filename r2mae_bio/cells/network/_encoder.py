"""Encoders of visible gene tokens into a latent vector."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from r2mae_bio.cells.network._block import TransformerBlock
from r2mae_bio.cells.network._panel_reader import PanelReader
from r2mae_bio.cells.network._read import LeastSquaresRead
from r2mae_bio.likelihoods._linear import Linear

if TYPE_CHECKING:
    from collections.abc import Callable

    from r2mae_bio.cells.network._panel_depth import RootUnits
    from r2mae_bio.cells.network._read import Stretched
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
        self.panel_reader = PanelReader(config.n_latent, config.n_factors) if config.panel_reader else None

    def forward(self, content: Tensor, batch: TokenBatch) -> Tensor:
        """Encode standardised content (B, L) of the visible slots of ``batch`` into (B, Z)."""
        return self._refined(self.read(content, batch))

    def embed(self, content: Tensor, batch: TokenBatch, units: RootUnits | None = None) -> Tensor:
        """As :meth:`forward`, with the read stretched to the spread that it has when every gene is
        visible, with units scaled to the depth that it tells of, and then what a whole cell's would
        be.
        """
        return self._as_whole(self.read.stretched(content, batch, units))

    def table(self, units: RootUnits | None = None) -> Tensor:
        """What :meth:`embed` first multiplies content by, (G, F), or with units (G, F + 1)."""
        return self.read.weights(self.read.summed_in, units)

    def after_table(self, seen: Tensor, units: RootUnits | None = None) -> Callable[[Tensor], Tensor]:
        """The rest of :meth:`embed` as a function of that product, where genes (G,) are seen."""
        stretched = self.read.stretched_from(seen, units)
        return lambda product: self._as_whole(stretched(product))

    def known(self, seen: Tensor, units: RootUnits | None = None) -> Tensor:
        """Share of the variance over whole cells that genes (G,) tell of each factor of the read,
        float32 (1, F).
        """
        weights = self.table(units)
        found = self.read.stretched_from(seen.to(weights.dtype), units)(torch.zeros_like(weights[:1])).known
        return weights.new_ones(1, self.read.n_factors, dtype=torch.float32) if found is None else found

    def _as_whole(self, stretched: Stretched) -> Tensor:
        latent = self._refined(stretched.factors)
        if self.panel_reader is None or stretched.known is None:
            return latent
        return self.panel_reader(latent, stretched.known)

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

    def embed(self, content: Tensor, batch: TokenBatch, units: RootUnits | None = None) -> Tensor:
        """The same as :meth:`forward`: a plain network does not know how much it shrinks."""
        return self(content, batch)

    def table(self, units: RootUnits | None = None) -> Tensor:
        """What :meth:`embed` first multiplies content by, (G, H)."""
        return self.read_content.weight.T

    def after_table(self, seen: Tensor, units: RootUnits | None = None) -> Callable[[Tensor], Tensor]:
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
