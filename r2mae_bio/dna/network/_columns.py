"""What other species have at a position, as a network reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import torch
from torch import nn
from torch.nn import functional as F

from r2mae_bio.dna._aligned import ASKED, GAP, N_SYMBOLS, UNALIGNED

if TYPE_CHECKING:
    from torch import Tensor

N_KINDS: Final = 4
"""What :func:`agreement` tells apart."""
_PSEUDO: Final = 0.5
_SCALE: Final = 0.3  # of what is added to the state of a base at the start, about that of the stem


class ColumnReading(nn.Module):
    """Turns the letters of a column into a part of the state of a slot, and into log-probabilities
    of its base that need nothing else.

    Into the state goes what each species has, and whether that is the base of the genome: sums over
    letters alone do not tell a layer that adds where species differ.

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
        self.agreement = nn.Parameter(_SCALE / n_species**0.5 * torch.randn(n_species * N_KINDS, width))
        self.shares = nn.Linear(4, width, bias=False)
        self.readout_letters = nn.Parameter(torch.zeros(n_species * N_SYMBOLS, 4))
        self.readout_shares = nn.Parameter(torch.ones(()))
        self.readout_bias = nn.Parameter(torch.zeros(4))
        self.register_buffer("_species", torch.arange(n_species), persistent=False)

    def forward(self, context: Tensor, bases: Tensor) -> Tensor:
        """What is added to the state of each slot.

        Parameters
        ----------
        context
            Codes, see :mod:`r2mae_bio.dna._aligned`, (B, L, S).
        bases
            Of the genome, 0 to 3, 4 where they are not visible, int64 (B, L).

        Returns
        -------
        (B, L, D).
        """
        shares = self.shares(log_shares(context).to(self.shares.weight.dtype))
        return self._sum(context, self.letters) + self._sum(agreement(context, bases), self.agreement) + shares

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
        first = self.get_buffer("_species") * (len(table) // context.shape[-1])
        rows = (context + first).view(-1, context.shape[-1])  # whole numbers of 64 bits
        return F.embedding_bag(rows, table, mode="sum").view(*context.shape[:-1], -1)


def base_counts(context: Tensor, weights: Tensor | None = None) -> Tensor:
    """How many species have A, C, G and T in each column.

    Parameters
    ----------
    context
        Codes (..., S).
    weights
        How often each species is counted, (S,); once if None.

    Returns
    -------
    float32 (..., 4).
    """
    each = [(context == base).float() for base in range(4)]
    return torch.stack([one.sum(-1) if weights is None else one @ weights for one in each], -1)


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
    counts = base_counts(context, weights) + pseudo
    return counts.log() - counts.sum(-1, keepdim=True).log()


def agreement(context: Tensor, bases: Tensor) -> Tensor:
    """Which species have the base of the genome; where that is not visible, the base that most of
    them have, of equally frequent ones the first by the alphabet.

    Parameters
    ----------
    context
        Codes (..., S).
    bases
        0 to 3, 4 where they are not visible, (...).

    Returns
    -------
    int64 (..., S): 0 for that base, 1 for another letter, 2 for a gap, 3 where nothing is aligned.
    """
    own = torch.where(bases < 4, bases, base_counts(context).argmax(-1))
    differs = (context != own[..., None]).long()
    return differs.masked_fill(context == GAP, 2).masked_fill(context == UNALIGNED, 3)


def withheld(context: Tensor) -> Tensor:
    """Columns as a network may read them: those that are asked for are not aligned.

    Parameters
    ----------
    context
        Codes (..., S), with :data:`~r2mae_bio.dna._aligned.ASKED` added or not.

    Returns
    -------
    Codes (..., S).
    """
    return context.masked_fill(context >= ASKED, UNALIGNED)


class RelativesReadout(nn.Module):
    """What other species have where the genome has a base: what is expected of the base alone, and
    how what is seen of them is weighed with what is expected.

    Parameters
    ----------
    n_species
        Species, S.
    """

    def __init__(self, n_species: int) -> None:
        super().__init__()
        self.exchange = nn.Parameter(torch.zeros(5, 4))  # the last row is of unknown bases
        self.register_buffer("weights", torch.ones(n_species))

    @torch.no_grad()
    def start_at(self, exchange: Tensor, weights: Tensor) -> None:
        """Take what was measured.

        Parameters
        ----------
        exchange
            Logarithms of the shares of A, C, G and T in other species, by base of the genome, the
            last row of unknown bases, (5, 4).
        weights
            How often each species is counted, (S,).
        """
        self.exchange.copy_(exchange)
        self.get_buffer("weights").copy_(weights)

    def forward(self, bases: Tensor) -> Tensor:
        """Logits by the base alone.

        Parameters
        ----------
        bases
            0 to 3, 4 for unknown ones, int64 (B, L).

        Returns
        -------
        (B, L, 4).
        """
        return self.exchange[bases]

    def counts(self, context: Tensor) -> Tensor:
        """How often species have A, C, G and T, each by its weight.

        Parameters
        ----------
        context
            Codes (..., S), asked for or not.

        Returns
        -------
        float32 (..., 4).
        """
        return base_counts(context % ASKED, self.get_buffer("weights"))

    def weigh(self, logits: Tensor, context: Tensor) -> Tensor:
        """Take what is seen of the species, too: their counts, and one species that has what is
        expected.

        Parameters
        ----------
        logits
            What is expected, (B, L, 4).
        context
            Codes (B, L, S).

        Returns
        -------
        (B, L, 4), logarithms of sums.
        """
        return (logits.softmax(-1) + self.counts(context)).log()


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
