"""From per-base states to classes: a head that reads what occurs anywhere and what stands where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

import torch
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.dna.network._linear_reading import LinearReading

__all__ = ["SequenceClassifierHead", "SequenceClassifierNetwork", "SequenceEncoder"]


class SequenceEncoder(Protocol):
    """A network that gives every base a state; sequences of one call have one length."""

    def states(self, codes: Tensor) -> Tensor:
        """States (B, L, D) of codes int64 (B, L)."""
        ...


class SequenceClassifierHead(nn.Module):
    """Logits of classes from states.

    Two readings are joined. One forgets positions: features of the normalised states, averaged,
    maximised, and averaged under learned attention; it finds motifs wherever they stand. The other
    keeps them: a narrow projection of every state, each position with weights of its own; it reads
    splice sites and TATA boxes. The second needs sequences of one length.

    Parameters
    ----------
    d_model
        Width D of a state.
    n_classes
        Number of classes K.
    length
        Length L of all sequences in bp; None leaves the reading by position out.
    n_hidden
        Features of each reading.
    n_projected
        Width of the projection that is read by position.
    dropout
        Probability of dropping a feature.
    """

    def __init__(
        self,
        d_model: int,
        n_classes: int,
        *,
        length: int | None = None,
        n_hidden: int = 64,
        n_projected: int = 8,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.length = length
        self.norm = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)
        self.features = nn.Sequential(nn.Linear(d_model, n_hidden), nn.GELU())
        self.attention = nn.Linear(d_model, 1)
        n_read = 3 * n_hidden
        if length is not None:
            self.attention_by_position = nn.Parameter(torch.zeros(length))
            self.project = nn.Linear(d_model, n_projected)
            self.by_position = nn.Sequential(nn.Linear(length * n_projected, n_hidden), nn.GELU())
            n_read += n_hidden
        self.classify = nn.Linear(n_read, n_classes)

    def forward(self, states: Tensor) -> Tensor:
        """Logits (B, K) of states (B, L, D)."""
        x = self.dropout(self.norm(states))
        features = self.features(x)
        score = self.attention(x).squeeze(-1)
        if self.length is not None:
            score = score + self.attention_by_position
        attended = torch.einsum("bl,blh->bh", score.softmax(dim=1), features)
        read = [features.mean(dim=1), features.amax(dim=1), attended]
        if self.length is not None:
            read.append(self.by_position(self.project(x).flatten(1)))
        return self.classify(self.dropout(torch.cat(read, dim=1)))


class SequenceClassifierNetwork(nn.Module):
    """An encoder of bases and a head, with or without a linear reading of the bases beside them.

    Parameters
    ----------
    encoder
        A module that is a :class:`SequenceEncoder`.
    head
        The head.
    linear
        The linear reading.
    mix
        Weights of the head's logits and of the linear reading's; they are a buffer and are not
        trained.
    """

    mix: Tensor

    def __init__(
        self,
        encoder: nn.Module,
        head: SequenceClassifierHead,
        *,
        linear: LinearReading | None = None,
        mix: tuple[float, float] = (1.0, 1.0),
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.linear = encoder, head, linear
        if linear is not None:
            self.register_buffer("mix", torch.tensor(mix))

    def forward(self, codes: Tensor) -> Tensor:
        """Logits (B, K) of codes int64 (B, L)."""
        logits = self.head(cast("SequenceEncoder", self.encoder).states(codes))
        return logits if self.linear is None else self.mix[0] * logits + self.mix[1] * self.linear(codes)

    def states_alone(self) -> SequenceClassifierNetwork:
        """The same encoder and head, not copied, without the linear reading."""
        return SequenceClassifierNetwork(self.encoder, self.head)
