"""What other species have at a position, as a network reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional as F

from r2mae_bio.dna._aligned import N_SYMBOLS, UNALIGNED

if TYPE_CHECKING:
    from torch import Tensor

_PSEUDO: Final = 0.5
_SCALE: Final = 0.3  # of what is added to the state of a base at the start, about that of the stem


class ColumnReading(nn.Module):
    """Turns the letters of a column into a part of the state of a slot, and into log-probabilities
    of its base that need nothing else.

    The latter, the readout, are log-linear: the logarithms of the shares of A, C, G and T with a
    pseudocount of one half, and a number for each base, species and symbol. Unfitted, they are the
    logarithms of the shares alone.

    Parameters
    ----------
    n_species
        Species, S.
    width
        Width of a state, D.
    """

    def __init__(self, n_species: int, width: int) -> None:
        super().__init__()
        self.letters = nn.Parameter(_SCALE / n_species**0.5 * torch.randn(n_species * N_SYMBOLS, width))
        self.shares = nn.Linear(4, width, bias=False)
        self.readout_letters = nn.Parameter(torch.zeros(n_species * N_SYMBOLS, 4))
        self.readout_shares = nn.Parameter(torch.ones(()))
        self.readout_bias = nn.Parameter(torch.zeros(4))
        first = torch.arange(n_species) * N_SYMBOLS
        self.register_buffer("_first", first, persistent=False)

    def forward(self, context: Tensor) -> Tensor:
        """What is added to the state of each slot.

        Parameters
        ----------
        context
            Codes, see :mod:`r2mae_bio.dna._aligned`, (B, L, S).

        Returns
        -------
        (B, L, D).
        """
        return self._sum(context, self.letters) + self.shares(log_shares(context).to(self.shares.weight.dtype))

    def readout(self, context: Tensor) -> Tensor:
        """Logits of A, C, G and T by the column alone.

        Parameters
        ----------
        context
            As for :meth:`forward`.

        Returns
        -------
        (B, L, 4).
        """
        return self._sum(context, self.readout_letters) + self.readout_shares * log_shares(context) + self.readout_bias

    def readout_parameters(self) -> list[nn.Parameter]:
        """The parameters of :meth:`readout`."""
        return [self.readout_letters, self.readout_shares, self.readout_bias]

    @torch.no_grad()
    def start_at(self, other: ColumnReading) -> None:
        """Take the readout of another.

        Parameters
        ----------
        other
            Of as many species.
        """
        for mine, theirs in zip(self.readout_parameters(), other.readout_parameters(), strict=True):
            mine.copy_(theirs)

    def _sum(self, context: Tensor, table: Tensor) -> Tensor:
        """Sum over species of the row of the table for each one's symbol, (B, L, width)."""
        rows = (context + self.get_buffer("_first")).view(-1, context.shape[-1])  # whole numbers of 64 bits
        return F.embedding_bag(rows, table, mode="sum").view(*context.shape[:-1], -1)


def log_shares(context: Tensor, weights: Tensor | None = None, pseudo: float = _PSEUDO) -> Tensor:
    """Logarithms of the shares of A, C, G and T among the species of each column.

    Parameters
    ----------
    context
        Codes (..., S).
    weights
        How often each species is counted, (S,); once if None.
    pseudo
        Added to each of the four counts.

    Returns
    -------
    float32 (..., 4); all log 1/4 where no species has a base.
    """
    each = [(context == base).float() for base in range(4)]
    counts = torch.stack([one.sum(-1) if weights is None else one @ weights for one in each], -1) + pseudo
    return counts.log() - counts.sum(-1, keepdim=True).log()


def hide_species(context: Tensor, hidden: Tensor, n_hidden: Tensor, nearness: Tensor) -> Tensor:
    """Take the species nearest to the reference away where its base is hidden.

    Parameters
    ----------
    context
        Codes (B, L, S).
    hidden
        Hidden slots, bool (B, L).
    n_hidden
        How many species are hidden in each row, (B,).
    nearness
        Rank of each species, 0 the nearest, (S,).

    Returns
    -------
    (B, L, S).
    """
    gone = hidden[..., None] & (nearness < n_hidden[:, None, None])
    return context.masked_fill(gone, UNALIGNED)
