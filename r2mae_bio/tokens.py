"""Token batches: identity is visible, content may be hidden.

Axes used in this package: B rows (cells or windows), L slots (genes or positions), K visible slots,
C context features of a slot, M latent tokens, D model width, Z latent dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from r2mae_bio.masking._numbers import as_numbers

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.masking import MaskPlan

__all__ = ["TokenBatch"]


@dataclass(frozen=True, eq=False)
class TokenBatch:
    """A minibatch of tokens, each a pair (which slot, how much)."""

    ids: Tensor
    """Identity of each slot, int64 (B, L), or (1, L) when all rows share it."""
    values: Tensor
    """Content of each slot, (B, L); zero wherever ``visible`` is false."""
    visible: Tensor
    """True where content is known to the reader of this batch, bool (B, L) or (1, L)."""
    full: bool = False
    """Whether the slots are the whole vocabulary in its order, so that nothing need be gathered by
    ``ids``.
    """
    context: Tensor | None = None
    """What is known of each slot whether its content is hidden or not, (B, L, C), such as what
    other species have at a position of a genome; None if there is nothing.
    """

    @cached_property
    def seen(self) -> Tensor:
        """``visible`` as numbers, 1 where content is known, float32 (B, L) or (1, L)."""
        return as_numbers(self.visible)

    def hide(self, plan: MaskPlan) -> TokenBatch:
        """Replace: keep every slot, erase the content of the hidden ones.

        Parameters
        ----------
        plan
            A plan over the L slots of this batch.

        Returns
        -------
        A batch of the same shape in which hidden slots are zero and not visible; their context
        stays.
        """
        visible = self.visible & ~plan.hidden
        return replace(self, values=_kept(self.values, visible), visible=visible)

    def take(self, plan: MaskPlan) -> TokenBatch:
        """Drop: keep only the visible slots, gathered to the front.

        Parameters
        ----------
        plan
            A plan over the L slots of this batch.

        Returns
        -------
        A batch of K slots; rows with fewer visible slots are padded with zero content that is not
        visible.
        """
        keep, keep_valid = plan.kept()
        ids = self.ids.expand(keep.shape[0], -1).gather(1, keep)
        visible = self.visible.expand(keep.shape[0], -1).gather(1, keep) & keep_valid
        context = self.context
        if context is not None:
            context = context.gather(1, keep[..., None].expand(-1, -1, context.shape[-1]))
        return TokenBatch(ids, _kept(self.values.gather(1, keep), visible), visible, context=context)


def _kept(values: Tensor, visible: Tensor) -> Tensor:
    """Values where visible and zero elsewhere, (B, L)."""
    if values.requires_grad:  # a root's infinite slope at zero, times zero, would be no number
        return values.masked_fill(~visible, 0)
    return values * as_numbers(visible, values.dtype)
