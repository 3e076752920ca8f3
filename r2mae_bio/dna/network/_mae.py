"""The masked autoencoder of DNA: read the visible bases, predict the hidden ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.nn import functional as F

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna._aligned import UNALIGNED
from r2mae_bio.dna.network._base_block import BaseBlock
from r2mae_bio.dna.network._columns import ColumnReading, RelativesReadout, withheld
from r2mae_bio.dna.network._rotary import rotary_angles
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.config import DNAConfig

N_BASES = 4
_UNKNOWN = 4  # hidden, or not A C G T: the network cannot tell one from the other


class DNAMaskedAutoencoder(nn.Module):
    """Encoder of single bases and a head that gives each position a distribution over A C G T.

    It takes a :class:`~r2mae_bio.tokens.TokenBatch` that holds visible bases only, so a hidden base
    cannot reach a prediction. A base that is not known (N) is read like one that is hidden. With
    ``hiding="replace"`` hidden bases stay as slots without content, which convolutions need; with
    ``"drop"`` the encoder sees the visible bases alone, without convolutions, and one more block
    puts the hidden slots back.

    With ``n_species`` it reads what so many other species have at each slot, hidden or not, as the
    context of the tokens. Its logits are then what it adds to those of the column alone, and it
    begins by adding nothing. Without a context nothing is aligned.

    With ``target="relatives"`` it predicts what these species have, and bases stay visible. It does
    not read the columns that are asked for (:data:`~r2mae_bio.dna._aligned.ASKED`); its logits are
    what it expects there, and beside it what the species have.

    Parameters
    ----------
    config
        Sizes.
    """

    def __init__(self, config: DNAConfig) -> None:
        super().__init__()
        self.config = config
        width, replace = config.d_model, config.hiding == "replace"
        self.stem = nn.Conv1d(N_BASES + 1, width, config.stem_kernel, padding=config.stem_kernel // 2) if replace else None
        self.embedding = None if replace else nn.Embedding(N_BASES + 1, width)
        self.blocks = nn.ModuleList([_block(config, i) for i in range(config.n_layers)])
        self.refill = None if replace else _block(config, 0)
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, N_BASES)
        self.columns = ColumnReading(config.n_species, width) if config.n_species else None
        if self.columns is not None:
            nn.init.zeros_(self.head.weight)
            nn.init.zeros_(self.head.bias)
        self.relatives = RelativesReadout(config.n_species) if config.target == "relatives" else None
        if self.columns is not None and self.relatives is not None:
            for parameter in self.columns.readout_parameters():
                parameter.requires_grad_(False)  # of the bases of the genome, which it does not predict

    def forward(self, visible: TokenBatch) -> Tensor:
        """Logits of A C G T at every slot.

        Parameters
        ----------
        visible
            Bases as values 0 to 3, of which only the visible ones are read.

        Returns
        -------
        (B, L, 4).
        """
        logits = self.expect(visible)
        return logits if self.relatives is None else self.relatives.weigh(logits, self._context(visible))

    def expect(self, visible: TokenBatch) -> Tensor:
        """Logits of A C G T; of columns that are asked for, without what is seen there.

        Parameters
        ----------
        visible
            As for :meth:`forward`.

        Returns
        -------
        (B, L, 4).
        """
        logits = self.head(self.encode(visible)).float()
        if self.relatives is not None:
            return logits + self.relatives(_bases(visible)).float()
        return logits if self.columns is None else logits + self.columns.readout(self._context(visible)).float()

    def encode(self, visible: TokenBatch, layer: int = -1) -> Tensor:
        """State of every slot.

        Parameters
        ----------
        visible
            Visible bases.
        layer
            0 is what enters the first block, k what leaves the k-th; negative numbers count from
            the end. The last, ``n_layers`` or -1, is normalised: the state that the head reads.

        Returns
        -------
        (B, L, D).

        Raises
        ------
        ConfigError
            There is no such layer, or the network drops hidden bases and was asked for an inner
            one.
        """
        n_blocks = self._n_blocks(layer)
        x = self._read(visible, n_blocks)
        return self.norm(x) if n_blocks == len(self.blocks) else x

    def states(self, codes: Tensor, layer: int = -1) -> Tensor:
        """State of every base of whole sequences, nothing hidden.

        Parameters
        ----------
        codes
            0 to 3 for A C G T, 4 for anything else, integers (B, L); or (B, L, 1 + S), see
            :mod:`r2mae_bio.dna._aligned`.
        layer
            As for :meth:`encode`.

        Returns
        -------
        (B, L, D).
        """
        return self.encode(base_tokens(codes), layer)

    def _n_blocks(self, layer: int) -> int:
        n = len(self.blocks)
        chosen = layer if layer >= 0 else n + 1 + layer
        if not 0 <= chosen <= n or (self.refill is not None and chosen != n):
            message = (
                f"layer={layer} of a network with {n} blocks and hiding={self.config.hiding!r}; needed is 0 to {n} or -1 to {-n - 1}, "
                "with 'drop' the last alone."
            )
            raise ConfigError(message)
        return chosen

    def _read(self, visible: TokenBatch, n_blocks: int) -> Tensor:
        bases = _bases(visible)
        if self.stem is None:
            return self._read_kept(visible, bases)
        angles = rotary_angles(visible.ids, self.config.d_model // self.config.n_heads)
        one_hot = F.one_hot(bases, N_BASES + 1).to(self.stem.weight.dtype)  # (B, L, 5)
        x = self.stem(one_hot.transpose(1, 2)).transpose(1, 2)
        if self.columns is not None:
            x = x + self.columns(withheld(self._context(visible)), bases)
        for block in self.blocks[:n_blocks]:
            x = block(x, angles)
        return x

    def _context(self, visible: TokenBatch) -> Tensor:
        """Codes of the other species, (B, L, S); tokens that have none stand where nothing is
        aligned.
        """
        if visible.context is not None:
            return visible.context.long()
        return torch.full((*visible.values.shape, self.config.n_species), UNALIGNED, device=visible.values.device)

    def _read_kept(self, visible: TokenBatch, bases: Tensor) -> Tensor:
        """Encode the visible slots alone, then let the hidden ones read them."""
        if self.embedding is None or self.refill is None:
            raise AssertionError
        rows, slots = bases.shape
        kept = visible.visible.expand(rows, -1)
        count = kept.sum(1)
        order = torch.argsort(kept, dim=1, descending=True, stable=True)[:, : max(1, int(count.max()))]  # (B, K)
        present = torch.arange(order.shape[1], device=bases.device) < count[:, None]
        ids, width = visible.ids.expand(rows, -1), self.config.d_model // self.config.n_heads
        x = self.embedding(bases.gather(1, order))
        unknown = self.embedding.weight[_UNKNOWN].expand(rows, slots, -1)
        if self.columns is not None:
            aligned = self.columns(withheld(self._context(visible)), bases)  # (B, L, D)
            x = x + aligned.gather(1, order[..., None].expand(-1, -1, x.shape[-1]))
            unknown = unknown + aligned
        angles = rotary_angles(ids.gather(1, order), width)
        # a row without a visible base reads one unknown slot, for attention over nothing is not a
        # number
        readable = present | (count == 0)[:, None]
        for block in self.blocks:
            x = block(x, angles, readable)
        index = order.masked_fill(~present, slots)[..., None].expand(-1, -1, x.shape[-1])  # padding goes behind the end
        full = F.pad(unknown.to(x.dtype), (0, 0, 0, 1)).scatter(1, index, x)[:, :slots]
        return self.refill(full, rotary_angles(visible.ids, width))


def _bases(visible: TokenBatch) -> Tensor:
    """0 to 3, and 4 for those that are not visible, int64 (B, L)."""
    return visible.values.long().masked_fill(~visible.visible, _UNKNOWN)


def base_tokens(codes: Tensor) -> TokenBatch:
    """Bases as tokens; those that are not A C G T are not visible.

    Parameters
    ----------
    codes
        0 to 3, or 4 for anything else, integers (B, L); or (B, L, 1 + S) with those of other
        species, which become the context.

    Returns
    -------
    Tokens whose ids are positions from 0.
    """
    ids = torch.arange(codes.shape[1], device=codes.device)[None]
    bases, context = (codes, None) if codes.dim() == 2 else (codes[..., 0], codes[..., 1:])
    return TokenBatch(ids, bases, bases < N_BASES, context=context)


def _block(config: DNAConfig, index: int) -> BaseBlock:
    replace = config.hiding == "replace"
    return BaseBlock(
        config.d_model,
        config.n_heads,
        kernel=config.kernel if replace else 0,
        dilation=config.dilations[index % len(config.dilations)],
        attention=not replace or index % config.attention_every == config.attention_every // 2,
        expansion=config.expansion,
        dropout=config.dropout,
    )
