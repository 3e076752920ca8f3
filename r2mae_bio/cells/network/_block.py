"""A pre-norm transformer block on plain Linear layers, for sets of few tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from r2mae_bio._errors import ConfigError
from r2mae_bio.likelihoods._linear import Linear

if TYPE_CHECKING:
    from torch import Tensor


class TransformerBlock(nn.Module):
    """Self-attention and a feed-forward layer, each on the normalised residual stream.

    Parameters
    ----------
    d_model
        Width D; a multiple of ``n_heads``.
    n_heads
        Attention heads.
    expansion
        Width of the feed-forward layer in units of D.
    dropout
        Probability of dropping a feature of either branch.
    """

    def __init__(self, d_model: int, n_heads: int, *, expansion: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        if d_model % n_heads:
            message = f"d_model={d_model} is not a multiple of n_heads={n_heads}; choose a width that the heads divide."
            raise ConfigError(message)
        self.n_heads = n_heads
        self.norm_attention = nn.LayerNorm(d_model)
        self.qkv = Linear(d_model, 3 * d_model)
        self.attention_out = Linear(d_model, d_model)
        self.norm_feed_forward = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(Linear(d_model, expansion * d_model), nn.GELU(), Linear(expansion * d_model, d_model))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Update latent tokens, (B, M, D) to (B, M, D)."""
        x = x + self.dropout(self._attend(self.norm_attention(x)))
        return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))

    def _attend(self, x: Tensor) -> Tensor:
        rows, tokens, width = x.shape
        qkv = self.qkv(x).view(rows, tokens, 3, self.n_heads, width // self.n_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).reshape(3, -1, tokens, width // self.n_heads)  # (B heads, M, D / heads)
        scores = torch.bmm(key * key.shape[2] ** -0.5, query.transpose(1, 2))  # a query a column
        # a softmax over eight numbers that lie side by side is not vectorised, one over rows is
        shares = torch.softmax(scores.transpose(0, 1).contiguous(), 0)  # (M keys, B heads, M queries)
        mixed = torch.bmm(shares.permute(1, 2, 0), value).view(rows, self.n_heads, tokens, -1)
        return self.attention_out(mixed.transpose(1, 2).reshape(rows, tokens, width))
