"""Windows read once and asked often: what a base would be if it were hidden, what states another
base would make.

Another base reaches, up to the first block that attends, only the bases that convolutions lead to;
what predicts a base depends, after the last such block, only on those around it. The rest is either
known from the window as it is, or not asked for. Results are those of whole readings, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from r2mae_bio.dna._aligned import ASKED, bases_of
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.network._mae import base_tokens
from r2mae_bio.dna.network._rotary import rotary_angles, rotate
from r2mae_bio.likelihoods._linear import product

if TYPE_CHECKING:
    from r2mae_bio.dna.network._base_block import BaseBlock
    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder

_PARTS = {"stem", "blocks", "norm", "head"}
"""Those of a network that keeps hidden slots; one with further parts is read as a whole."""


@dataclass(frozen=True, eq=False)
class Trace:
    """What is kept of windows that were read."""

    codes: Tensor
    """The windows, int64 (U, L), or (U, L, 1 + S) with what other species have there."""
    below: list[Tensor]
    """What enters each block up to the first that attends, and its attention, each (U, L, D)."""
    pairs: Tensor | None = None
    """Turned keys and values of that attention, (U, L, 2, D)."""


class Substitutions(Protocol):
    """A network that is asked about windows in which one base is another; 4 hides it, or its column
    in a network that predicts columns.
    """

    def trace(self, codes: Tensor) -> Trace:
        """Read windows, int64 (U, L)."""
        ...

    def states(self, trace: Trace) -> Tensor:
        """States of the windows as they are, (U, L, D)."""
        ...

    def states_with(self, trace: Trace, rows: Tensor, positions: Tensor, bases: Tensor) -> Tensor:
        """States (n, L, D) of the windows ``rows`` with ``bases`` at ``positions``, each (n,)."""
        ...

    def logits_with(self, trace: Trace, rows: Tensor, positions: Tensor, bases: Tensor) -> Tensor:
        """Logits (n, 4) at these positions of the same windows."""
        ...


def substitutions(network: DNAMaskedAutoencoder, length: int) -> Substitutions:
    """The quicker way to ask a network that can be asked so.

    Parameters
    ----------
    network
        The network, in evaluation mode.
    length
        Bases of a window.

    Returns
    -------
    What is asked, under ``torch.inference_mode``.
    """
    local = {name for name, _ in network.named_children()} == _PARTS
    return _LocalSubstitutions(network, length) if local else _WholeSubstitutions(network)


class _WholeSubstitutions:
    """Every question by a whole reading."""

    def __init__(self, network: DNAMaskedAutoencoder) -> None:
        self._network = network

    def trace(self, codes: Tensor) -> Trace:
        return Trace(codes, [])

    def states(self, trace: Trace) -> Tensor:
        return self._network.states(trace.codes)

    def states_with(self, trace: Trace, rows: Tensor, positions: Tensor, bases: Tensor) -> Tensor:
        return self._network.states(self._substituted(trace, rows, positions, bases))

    def logits_with(self, trace: Trace, rows: Tensor, positions: Tensor, bases: Tensor) -> Tensor:
        logits = self._network(base_tokens(self._substituted(trace, rows, positions, bases)))
        return logits[torch.arange(len(rows), device=rows.device), positions]

    def _substituted(self, trace: Trace, rows: Tensor, positions: Tensor, bases: Tensor) -> Tensor:
        codes, each = trace.codes[rows], torch.arange(len(rows), device=rows.device)
        if self._network.relatives is not None:
            asked = bases == UNKNOWN
            bases = torch.where(asked, bases_of(codes)[each, positions], bases)
            if codes.dim() > 2:
                codes[each[asked], positions[asked], 1:] += ASKED
        bases_of(codes)[each, positions] = bases
        return codes


@dataclass(frozen=True, eq=False)
class _Patch:
    """States around one position of each row."""

    values: Tensor
    """(n, 2 half + 1, D); beyond the ends of a window they mean nothing."""
    half: int
    """Bases on either side."""

    def narrowed(self, half: int) -> Tensor:
        return self.values[:, self.half - half : self.half + half + 1]


class _Places:
    """Windows and positions in them, whose surroundings are looked up."""

    def __init__(self, rows: Tensor, positions: Tensor, length: int) -> None:
        self.rows, self.positions, self._length = rows, positions, length
        # the farthest that a patch may go before it leaves a window
        self._room = min(int(positions.min()), length - 1 - int(positions.max())) if len(rows) else length

    def around(self, half: int) -> Tensor:
        """Positions, which may lie beyond the ends, (n, 2 half + 1)."""
        return self.positions[:, None] + torch.arange(-half, half + 1, device=self.positions.device)

    def beyond(self, half: int) -> Tensor | None:
        """Where :meth:`around` leaves the window, or None where it never does."""
        if half <= self._room:
            return None
        around = self.around(half)
        return (around < 0) | (around >= self._length)

    def states(self, base: Tensor, half: int, patch: _Patch | None = None) -> Tensor:
        """States of windows (U, L, D) around the positions, those of a patch where it reaches."""
        if patch is not None and patch.half >= half:
            return patch.narrowed(half)
        index = self.rows[:, None] * self._length + self.around(half).clamp(0, self._length - 1)
        found = base.view(-1, base.shape[-1]).index_select(0, index.view(-1)).view(*index.shape, -1)
        if patch is not None:
            found[:, half - patch.half : half + patch.half + 1] = patch.values
        return found

    def put(self, full: Tensor, patch: _Patch, values: Tensor) -> None:
        """Write values of a patch, (n, 2 half + 1, ...), into whole windows (n, L, ...)."""
        index = torch.arange(len(full), device=full.device)[:, None] * self._length + self.around(patch.half)
        beyond, flat = self.beyond(patch.half), full.view(-1, *full.shape[2:])
        if beyond is None:
            flat[index.view(-1)] = values.flatten(0, 1)
        else:
            flat[index[~beyond]] = values[~beyond]


class _LocalSubstitutions:
    """Only what differs, and only what is asked for."""

    def __init__(self, network: DNAMaskedAutoencoder, length: int) -> None:
        self._network, self._length = network, length
        self._blocks: list[BaseBlock] = list(network.blocks)  # type: ignore[arg-type]
        attending = [i for i, block in enumerate(self._blocks) if block.attention is not None]
        self._first = attending[0] if attending else len(self._blocks)
        self._last = attending[-1] if attending else -1
        self._reach = [_reach(block) for block in self._blocks]
        weight = network.head.weight
        self._angles = rotary_angles(
            torch.arange(length, device=weight.device)[None], network.config.d_model // network.config.n_heads
        )
        # what a base adds to the stem at each place around it, (5, taps, D)
        self._stem = network.stem.weight.permute(1, 2, 0).flip(1).contiguous()  # type: ignore[union-attr]

    def trace(self, codes: Tensor) -> Trace:
        below = [self._read(codes)]
        for block in self._blocks[: self._first]:
            below.append(block.feed(block.convolve(below[-1])))
        if self._first == len(self._blocks):
            return Trace(codes, below)
        block = self._blocks[self._first]
        below.append(block.convolve(below[-1]))
        return Trace(codes, below, self._pairs(block, below[-1], self._angles))

    def _read(self, codes: Tensor) -> Tensor:
        """What leaves the stem, (U, L, D), by a matrix product: taps of few letters are short
        vectors that lie side by side.
        """
        letters, taps, width = self._stem.shape
        side = taps // 2
        one_hot = F.pad(F.one_hot(codes, letters).to(self._stem.dtype), (0, 0, side, side))
        rows, slots = codes.shape
        strides = one_hot.stride(0), letters, 1
        surroundings = one_hot.as_strided((rows, slots, taps * letters), strides).contiguous()
        weight = self._network.stem.weight.permute(0, 2, 1).reshape(width, -1)  # type: ignore[union-attr]
        return product(surroundings, weight, self._network.stem.bias)  # type: ignore[union-attr]

    def states(self, trace: Trace) -> Tensor:
        return self._network.norm(self._above(trace.below[-1], len(self._blocks)))

    def states_with(self, trace: Trace, rows: Tensor, positions: Tensor, bases: Tensor) -> Tensor:
        places = _Places(rows, positions, self._length)
        full = self._whole(trace, places, self._changed(trace, places, bases))
        return self._network.norm(self._above(full, len(self._blocks)))

    def logits_with(self, trace: Trace, rows: Tensor, positions: Tensor, bases: Tensor) -> Tensor:
        places = _Places(rows, positions, self._length)
        patch = self._changed(trace, places, bases, alone=True)
        if self._last >= 0:
            patch = self._attend(trace, places, patch)
            for k in range(self._last + 1, len(self._blocks)):
                patch = self._local(self._blocks[k], None, places, patch, half=self._needed(k))
                patch = _Patch(self._blocks[k].feed(patch.values), patch.half)
        return self._network.head(self._network.norm(patch.narrowed(0)[:, 0])).float()

    def _needed(self, k: int) -> int:
        """How far around a base what leaves block ``k`` is needed to predict it."""
        return sum(self._reach[k + 1 :])

    def _changed(self, trace: Trace, places: _Places, bases: Tensor, *, alone: bool = False) -> _Patch:
        """What other bases make of the last states of ``trace.below``, as far as it differs; with
        ``alone``, in a network that does not attend, as far as the base itself needs it.
        """
        half = self._stem.shape[1] // 2
        known = trace.codes[places.rows, places.positions]
        patch = _Patch(places.states(trace.below[0], half) + (self._stem[bases] - self._stem[known]), half)
        for k, base in enumerate(trace.below[:-1]):
            half = patch.half + self._reach[k]
            if alone and self._last < 0:
                half = min(half, self._needed(k))
            patch = self._local(self._blocks[k], base, places, patch, half=half)
            if k < self._first:
                patch = _Patch(self._blocks[k].feed(patch.values), half)
        return patch

    def _local(self, block: BaseBlock, base: Tensor | None, places: _Places, patch: _Patch, *, half: int) -> _Patch:
        """The convolution of a block, up to ``half`` bases away."""
        reach = _reach(block)
        if base is None:
            wide = patch.narrowed(half + reach)
        else:
            wide = places.states(base, half + reach, patch)
        normed = block.norm_convolution(wide)  # type: ignore[misc]
        beyond = places.beyond(half + reach)
        if beyond is not None:  # ends of a window are padded with zeros
            normed = normed.masked_fill(beyond[..., None], 0)
        within = slice(reach, reach + 2 * half + 1)
        return _Patch(wide[:, within] + block.convolution(normed)[:, within], half)  # type: ignore[misc]

    def _whole(self, trace: Trace, places: _Places, patch: _Patch) -> Tensor:
        """Whole windows of what the patch changes, (n, L, D)."""
        full = trace.below[-1][places.rows]
        places.put(full, patch, patch.values)
        return full

    def _above(self, x: Tensor, end: int) -> Tensor:
        """What leaves the blocks before ``end``, from what enters the first attention."""
        for k in range(self._first, end):
            block = self._blocks[k]
            x = x if k == self._first else block.convolve(x)
            if block.attention is not None:
                x = x + block.attention(block.norm_attention(x), self._angles, None)  # type: ignore[misc]
            x = block.feed(x)
        return x

    def _pairs(self, block: BaseBlock, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Turned keys and values of states (B, L, D), as (B, L, 2, D)."""
        layer, width = block.attention.qkv, x.shape[-1]  # type: ignore[union-attr]
        found = product(block.norm_attention(x), layer.weight[width:], layer.bias[width:]).view(*x.shape[:2], 2, -1)  # type: ignore[misc]
        found[:, :, 0] = self._turned(block, found[:, :, 0], angles).flatten(2)
        return found

    def _turned(self, block: BaseBlock, x: Tensor, angles: tuple[Tensor, Tensor]) -> Tensor:
        """Queries or keys (B, L, D) turned, as (B, L, heads, D / heads)."""
        cosine, sine = (angle.transpose(1, 2) for angle in angles)
        return rotate(x.unflatten(-1, (block.attention.n_heads, -1)), (cosine, sine))  # type: ignore[union-attr]

    def _attend(self, trace: Trace, places: _Places, patch: _Patch) -> _Patch:
        """What leaves the last block that attends, as far around a base as it is needed."""
        block, half = self._blocks[self._last], self._needed(self._last)
        angles = self._angles_at(places, half)
        if self._first == self._last and trace.pairs is not None:
            asking = places.states(trace.below[-1], half, patch)
            pairs = trace.pairs[places.rows]
            places.put(pairs, patch, self._pairs(block, patch.values, self._angles_at(places, patch.half)))
        else:
            full = block.convolve(self._above(self._whole(trace, places, patch), self._last))
            each = torch.arange(len(full), device=full.device)
            asking = _Places(each, places.positions, self._length).states(full, half)
            pairs = self._pairs(block, full, self._angles)
        layer, width = block.attention.qkv, asking.shape[-1]  # type: ignore[union-attr]
        query = product(block.norm_attention(asking), layer.weight[:width], layer.bias[:width])  # type: ignore[misc]
        query = self._turned(block, query, angles).transpose(1, 2)  # (n, heads, 2 half + 1, D / heads)
        keys, values = pairs.unflatten(-1, (block.attention.n_heads, -1)).permute(2, 0, 3, 1, 4)  # type: ignore[union-attr]
        mixed = F.scaled_dot_product_attention(query, keys, values).transpose(1, 2).flatten(2)
        return _Patch(block.feed(asking + block.attention.out(mixed)), half)  # type: ignore[union-attr]

    def _angles_at(self, places: _Places, half: int) -> tuple[Tensor, Tensor]:
        index = places.around(half).clamp(0, self._length - 1)
        cosine, sine = (angle[0, 0][index][:, None] for angle in self._angles)
        return cosine, sine


def _reach(block: BaseBlock) -> int:
    """Bases on either side that the convolution of a block reads."""
    assert block.convolution is not None
    return block.convolution.dilation * (block.convolution.filters.kernel_size[1] // 2)
