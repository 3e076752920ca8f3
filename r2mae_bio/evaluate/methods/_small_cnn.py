"""A small convolutional network without pretraining, the control that a fine-tuned model has to
beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import nn
from torch.nn import functional as F

from r2mae_bio._rng import derive_seed
from r2mae_bio.core._seeded import seeded

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["SmallCNN"]


@dataclass(frozen=True)
class _Width:
    d_model: int


class SmallCNN(nn.Module):
    """Two layers of convolution over one-hot bases; its states are classified by the head of
    fine-tuned models.

    Parameters
    ----------
    d_model
        Filters of each layer.
    width
        Bases that a filter of the first layer spans, odd.
    seed
        Of the weights.
    """

    def __init__(self, *, d_model: int = 64, width: int = 13, seed: int = 0) -> None:
        super().__init__()
        self.config = _Width(d_model)
        with seeded(derive_seed(seed, "small-cnn")):
            self.first = nn.Conv1d(4, d_model, width, padding=width // 2)
            self.second = nn.Conv1d(d_model, d_model, 5, padding=2)

    def states(self, codes: Tensor) -> Tensor:
        """States (B, L, D) of codes int64 (B, L); an unknown base is all zeros."""
        bases = F.one_hot(codes, 5)[..., :4].transpose(1, 2).to(self.first.weight.dtype)
        x = F.relu(self.first(bases))
        return (x + F.relu(self.second(x))).transpose(1, 2)
