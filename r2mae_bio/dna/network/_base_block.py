"""A block over single bases: local convolution, rotary attention, feed-forward."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from torch import nn
from torch.nn import functional as F

from r2mae_bio.dna.network._depthwise import DepthwiseConvolution
from r2mae_bio.dna.network._rotary import rotate
from r2mae_bio.likelihoods._linear import Linear, product

if TYPE_CHECKING:
    from torch import Tensor

_WIDE = 1 << 21
"""Numbers of the widest states that are computed together on a processor, 8 MiB: so much memory is
used again, and more has to be asked of the system anew each time, which takes as long as the
products.
"""


class RotaryAttention(nn.Module):
    """Self-attention in which positions enter as rotations of queries and keys.

    Parameters
    ----------
    d_model
        Features D, a multiple of twice the heads.
    n_heads
        Attention heads.
    """

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.qkv = Linear(d_model, 3 * d_model)
        self.out = Linear(d_model, d_model)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], present: Tensor | None) -> Tensor:
        """(B, L, D) to (B, L, D); ``present`` is false at slots that nobody may read, bool (B,
        L).
        """
        rows, slots, width = x.shape
        qkv = self.qkv(x).view(rows, slots, 3, self.n_heads, width // self.n_heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, L, D / heads)
        mask = None if present is None else present[:, None, None, :]
        mixed = F.scaled_dot_product_attention(rotate(query, angles), rotate(key, angles), value, attn_mask=mask)
        return self.out(mixed.transpose(1, 2).reshape(rows, slots, width))


class BaseBlock(nn.Module):
    """Branches on the normalised residual stream: convolution and attention where asked for, and a
    feed-forward layer.

    Parameters
    ----------
    d_model, n_heads
        Width D and attention heads.
    kernel
        Taps of the convolution; 0 for none.
    dilation
        Distance between its taps, bp.
    attention
        Whether the block attends.
    expansion
        Width of the feed-forward layer in units of D.
    dropout
        Probability of dropping a feature of a branch.
    """

    def __init__(
        self, d_model: int, n_heads: int, *, kernel: int, dilation: int, attention: bool, expansion: int, dropout: float
    ) -> None:
        super().__init__()
        self.convolution = DepthwiseConvolution(d_model, kernel, dilation) if kernel else None
        self.norm_convolution = nn.LayerNorm(d_model) if kernel else None
        self.attention = RotaryAttention(d_model, n_heads) if attention else None
        self.norm_attention = nn.LayerNorm(d_model) if attention else None
        self.norm_feed_forward = nn.LayerNorm(d_model)
        self.feed_forward = nn.Sequential(Linear(d_model, expansion * d_model), nn.SiLU(), Linear(expansion * d_model, d_model))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, angles: tuple[Tensor, Tensor], present: Tensor | None = None) -> Tensor:
        """Update the state of every base.

        Parameters
        ----------
        x
            (B, L, D).
        angles
            From :func:`~r2mae_bio.dna.network._rotary.rotary_angles`.
        present
            False at padding, bool (B, L); None where there is none.

        Returns
        -------
        (B, L, D).
        """
        x = self.convolve(x)
        if self.attention is not None and self.norm_attention is not None:
            x = x + self.dropout(self.attention(self.norm_attention(x), angles, present))
        return self.feed(x)

    def convolve(self, x: Tensor) -> Tensor:
        """The first branch added to its input, (B, L, D), where the block has one."""
        if self.convolution is None or self.norm_convolution is None:
            return x
        return x + self.dropout(self.convolution(self.norm_convolution(x)))

    def feed(self, x: Tensor) -> Tensor:
        """The last branch added to its input, (..., D), base by base."""
        if self.training or torch.is_grad_enabled() or torch.is_autocast_enabled(x.device.type):
            return x + self.dropout(self.feed_forward(self.norm_feed_forward(x)))
        rows = x.reshape(-1, x.shape[-1])
        step = len(rows) if x.is_cuda else max(_WIDE // cast("Linear", self.feed_forward[0]).out_features, 1)
        fed = [self._feed_rows(rows[first : first + step]) for first in range(0, len(rows), step)]
        return (torch.cat(fed) if len(fed) > 1 else fed[0] if fed else rows).view(x.shape)

    def _feed_rows(self, x: Tensor) -> Tensor:
        into, out = (cast("Linear", self.feed_forward[i]) for i in (0, 2))
        inner = product(self.norm_feed_forward(x), into.weight, into.bias, activation="swish")
        return product(inner, out.weight, out.bias, added=x)
