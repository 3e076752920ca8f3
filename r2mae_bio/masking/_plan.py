"""Mask plans: which slots are hidden, drawn outside the network from an explicit generator. True =
hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch import Tensor

from r2mae_bio._errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

Generator: TypeAlias = "np.random.Generator | torch.Generator"


@dataclass(frozen=True, eq=False)
class MaskPlan:
    """Which slots of a minibatch are hidden. B rows, L slots."""

    hidden: Tensor
    """True where content is hidden and to be predicted, bool (B, L). Never true where ``valid`` is
    false.
    """
    valid: Tensor
    """True where there is content at all (measured gene, real base), bool (B, L) or (1, L) when all
    rows agree.
    """

    @property
    def visible(self) -> Tensor:
        """True where content may be seen, bool (B, L)."""
        return self.valid & ~self.hidden

    @property
    def ratio(self) -> Tensor:
        """Realised ratio of each row, hidden / valid, float32 (B,)."""
        return self.n_hidden / self.valid.sum(1)

    @cached_property
    def n_hidden(self) -> Tensor:
        """Number of hidden slots of each row, int64 (B,)."""
        return self.hidden.sum(1)

    def kept(self) -> tuple[Tensor, Tensor]:
        """Positions of the visible slots, for encoders that drop the hidden ones.

        Returns
        -------
        keep
            Slot positions in ascending order, int64 (B, K); K is the largest number of visible
            slots of a row.
        keep_valid
            False where a row has fewer than K, bool (B, K); ``keep`` is 0 there.
        """
        visible = self.visible
        count = visible.sum(1)
        width = int(count.max())
        keep = torch.argsort(visible, dim=1, descending=True, stable=True)[:, :width]  # (B, K)
        keep_valid = torch.arange(width, device=keep.device) < count[:, None]
        return keep * keep_valid, keep_valid


def draw_plan(valid: Tensor, ratio: Tensor | NDArray[np.float64], generator: Generator, *, rectangle: bool = False) -> MaskPlan:
    """Hide a uniformly random subset of the valid slots of every row.

    Row b hides ``round(ratio[b] * n)`` of its n valid slots, but at least one and at most n - 1, so
    that there is always something to predict and something to predict it from.

    Parameters
    ----------
    valid
        Slots that carry content, bool (B, L), or (1, L) when all rows agree.
    ratio
        Wanted ratio of each row in [0, 1], (B,).
    generator
        A NumPy generator (CPU), or a torch generator on the device of ``valid``. The plan is a pure
        function of its state.
    rectangle
        Draw one order of the slots for all rows, each of which hides its first valid ones: the same
        slots, where ratios and valid slots agree.

    Returns
    -------
    The plan, on the device of ``valid``.

    Raises
    ------
    DataError
        A row has fewer than two valid slots.
    """
    wanted = torch.as_tensor(ratio, dtype=torch.float64, device=valid.device)
    n_valid = valid.sum(1)
    if bool((n_valid < 2).any()):
        message = (
            f"{int((n_valid < 2).sum())} rows have fewer than two measured slots; masking needs one to hide and one to see. "
            "Remove them or measure more genes."
        )
        raise DataError(message)
    n_hidden = torch.minimum((wanted * n_valid).round().long().clamp(min=1), n_valid - 1)
    if rectangle:
        hidden = _first_in_one_order(valid, n_hidden, generator)
    elif isinstance(generator, torch.Generator):
        hidden = _smallest_on_device(valid, n_hidden, generator)
    else:
        hidden = torch.from_numpy(_smallest(valid.numpy(), n_hidden.numpy(), generator))
    return MaskPlan(hidden, valid)


def _first_in_one_order(valid: Tensor, n_hidden: Tensor, generator: Generator) -> Tensor:
    """Hide the first ``n_hidden`` valid slots of each row, in an order of the slots that all rows
    share.
    """
    n_slots = valid.shape[1]
    if isinstance(generator, torch.Generator):
        order = torch.randperm(n_slots, generator=generator, device=valid.device)
    else:
        order = torch.from_numpy(generator.permutation(n_slots))
    place = valid[:, order].cumsum(1)  # (B or 1, L): how many valid slots have come by then
    hidden = torch.empty((n_hidden.shape[0], n_slots), dtype=torch.bool, device=valid.device)
    hidden[:, order] = valid[:, order] & (place <= n_hidden[:, None])
    return hidden


def _smallest_on_device(valid: Tensor, n_hidden: Tensor, generator: torch.Generator) -> Tensor:
    """Hide the slots whose random keys are the ``n_hidden`` smallest."""
    shape = (n_hidden.shape[0], valid.shape[1])
    keys = torch.rand(shape, generator=generator, device=valid.device).masked_fill(~valid, 2.0)
    order = keys.argsort(dim=1)  # (B, L)
    chosen = torch.arange(shape[1], device=valid.device) < n_hidden[:, None]
    return torch.zeros(shape, dtype=torch.bool, device=valid.device).scatter_(1, order, chosen)


def _smallest(valid: NDArray[np.bool_], n_hidden: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.bool_]:
    """The same on the CPU with 16-bit keys, which are quick to draw and to sort but may tie."""
    shape = (n_hidden.size, valid.shape[1])
    n_keys = shape[0] * shape[1]
    words = generator.integers(0, 2**64, -(-n_keys // 4), np.uint64)  # the bits of generator.bytes(), in half the time
    keys = words.view(np.uint16)[:n_keys].reshape(shape)
    if not valid.all():
        keys = np.where(valid, np.minimum(keys, 65534), np.uint16(65535))
    last, following = _around_boundary(keys, n_hidden)
    hidden: NDArray[np.bool_] = keys <= last[:, None]
    doubtful = np.flatnonzero(last == following)  # few rows, or none: elsewhere the keys up to the last are as many as are hidden
    if doubtful.size:
        hidden[doubtful] = _split_ties(keys[doubtful], last[doubtful], n_hidden[doubtful], generator)
    return hidden


def _around_boundary(keys: NDArray[np.uint16], n_hidden: NDArray[np.int64]) -> tuple[NDArray[np.uint16], NDArray[np.uint16]]:
    """The largest key to be hidden in each row, and the smallest that is not."""
    row = np.arange(n_hidden.size)
    ordered = np.sort(keys.astype(np.uint32), axis=1)  # sorting 32 bits is vectorised by more processors than sorting 16 bits is
    return ordered[row, n_hidden - 1].astype(np.uint16), ordered[row, n_hidden].astype(np.uint16)


def _split_ties(
    keys: NDArray[np.uint16], last: NDArray[np.uint16], n_hidden: NDArray[np.int64], generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Hide all keys below the last one, and as many at random of those that equal it as are
    missing: no slot is favoured.
    """
    hidden = keys < last[:, None]
    row, slot = np.nonzero(keys == last[:, None])
    order = np.lexsort((generator.random(row.size), row))
    row, slot = row[order], slot[order]
    first = np.searchsorted(row, np.arange(n_hidden.size))
    missing = n_hidden - np.count_nonzero(hidden, axis=1)
    take = np.arange(row.size) - first[row] < missing[row]
    hidden[row[take], slot[take]] = True
    return hidden
