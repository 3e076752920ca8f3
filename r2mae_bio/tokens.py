"""Token batches: identity is visible, content may be hidden.

Axes used in this package: B rows (cells or windows), L slots (genes or positions), K visible slots,
C context features, M latent tokens, D model width, Z latent dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

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

    def hide(self, plan: MaskPlan) -> TokenBatch:
        """Replace: keep every slot, erase the content of the hidden ones.

        Parameters
        ----------
        plan
            A plan over the L slots of this batch.

        Returns
        -------
        A batch of the same shape in which hidden slots are zero and not visible.
        """
        visible = self.visible & ~plan.hidden
        return replace(self, values=self.values.masked_fill(~visible, 0), visible=visible)

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
        return TokenBatch(ids, self.values.gather(1, keep).masked_fill(~visible, 0), visible)
