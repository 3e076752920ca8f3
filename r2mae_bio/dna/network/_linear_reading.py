"""A linear reading of bases: a weight for every k-mer, counted anywhere or standing at its
position.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from r2mae_bio._errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["LinearReading"]


class LinearReading(nn.Module):
    """Logits that are sums of fixed weights of k-mers, the "wide" part of Cheng et al. (2016),
    "Wide & Deep Learning".

    The weights are buffers: they are saved and moved with the module and are not trained. They
    begin at zero, see :meth:`fill`. A k-mer that holds an unknown base has no weight.

    Parameters
    ----------
    n_classes
        Number of classes K.
    k
        Length of the k-mers that count wherever they stand, bp.
    position_k
        Length of the k-mers that have weights at each position, bp; None if none have.
    length
        Length L of all sequences in bp, needed with ``position_k``.
    """

    bias: Tensor
    by_word: Tensor
    by_position: Tensor

    def __init__(self, n_classes: int, k: int, *, position_k: int | None = None, length: int | None = None) -> None:
        super().__init__()
        self.k, self.position_k, self.length = k, position_k, length
        self.register_buffer("bias", torch.zeros(n_classes))
        # One row beyond the words, of zeros: what holds an unknown base is looked up there.
        self.register_buffer("by_word", torch.zeros(4**k + 1, n_classes))
        if position_k is not None:
            assert length is not None
            self.register_buffer("by_position", torch.zeros(length - position_k + 1, 4**position_k + 1, n_classes))

    def fill(self, bias: Tensor, by_word: Tensor, by_position: Tensor | None = None) -> None:
        """Set the weights.

        Parameters
        ----------
        bias
            Logits of a sequence without any k-mer (K,).
        by_word
            Weights of the k-mers (4**k, K); a k-mer is a row by its bases as digits to the base
            four, the first base the highest.
        by_position
            Weights of the k-mers at each position (L - position_k + 1, 4**position_k, K).
        """
        self.bias.copy_(bias)
        self.by_word[:-1].copy_(by_word)
        if by_position is not None:
            self.by_position[:, :-1].copy_(by_position)

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (B, K) of codes int64 (B, L)."""
        logits = self.bias + F.embedding(_words(codes, self.k), self.by_word).sum(dim=1)
        if self.position_k is None:
            return logits
        if codes.shape[1] != self.length:
            message = f"The sequences have {codes.shape[1]} bp; needed are the {self.length} bp whose positions have weights."
            raise DataError(message)
        positions, words, n_classes = self.by_position.shape
        at = torch.arange(positions, device=codes.device) * words
        rows = at + _words(codes, self.position_k)
        return logits + F.embedding(rows, self.by_position.view(-1, n_classes)).sum(dim=1)


def _words(codes: Tensor, k: int) -> Tensor:
    """The k-mer that begins at each base, int64 (B, L - k + 1); 4**k where a base is unknown."""
    n = max(codes.shape[1] - k + 1, 0)
    words, known = codes.new_zeros(len(codes), n), torch.ones(len(codes), n, dtype=torch.bool, device=codes.device)
    for offset in range(k):
        base = codes[:, offset : offset + n]
        words = words * 4 + base.clamp(max=3)
        known = known & (base < 4)
    return words.where(known, 4**k)
