"""Rotary positions: attention that knows how far apart two slots are (Su et al. 2021, arXiv
2104.09864).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

_BASE = 10_000.0


def rotary_angles(positions: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine by which features are turned.

    Parameters
    ----------
    positions
        Position of each slot, integers (R, L); R is the number of rows, or 1 when all rows agree.
    width
        Features of one head, even.

    Returns
    -------
    Both float32 (R, 1, L, width).
    """
    rates = _BASE ** (-torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width)
    angle = positions[:, None, :, None].float() * rates  # (R, 1, L, width / 2)
    return angle.cos().repeat(1, 1, 1, 2), angle.sin().repeat(1, 1, 1, 2)


def rotate(x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
    """Turn queries or keys by their positions.

    Parameters
    ----------
    x
        (B, heads, L, width).
    angles
        From :func:`rotary_angles`.

    Returns
    -------
    The same shape and type as ``x``.
    """
    cosine, sine = angles
    first, second = x.chunk(2, dim=-1)
    if not torch.is_grad_enabled() and x.dtype == cosine.dtype:
        return _rotate_into(torch.empty_like(x), first, second, cosine.chunk(2, -1)[0], sine.chunk(2, -1)[0])
    return (x * cosine + torch.cat([-second, first], -1) * sine).to(x.dtype)


def _rotate_into(out: Tensor, first: Tensor, second: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """The same, half by half into memory at hand, which takes a fraction of the time."""
    turned, other = out.chunk(2, dim=-1)
    torch.mul(first, cosine, out=turned).addcmul_(second, sine, value=-1)
    torch.mul(second, cosine, out=other).addcmul_(first, sine)
    return out
