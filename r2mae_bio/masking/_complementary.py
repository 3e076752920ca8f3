"""Masks that together hide every slot equally often."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray


def complementary_masks(
    valid: NDArray[np.bool_], n_masks: int, *, hide: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """Masks in sets, each of which hides every valid slot once.

    The valid slots are dealt at random into 1 / ``hide`` parts of nearly equal size, one mask hides
    one part, and this is repeated until there are ``n_masks`` masks; the last set is completed.

    Parameters
    ----------
    valid
        Slots that carry content, bool (L,).
    n_masks
        Smallest number of masks.
    hide
        Share of the valid slots that a mask hides, above 0 and at most 0.5; the nearest 1 / k, k a
        whole number, is used.
    generator
        The masks are a pure function of its state.

    Returns
    -------
    True = hidden, bool (M, L), M the multiple of k that is not below ``n_masks``. With fewer than k
    valid slots, k is their number.

    Raises
    ------
    ConfigError
        ``n_masks`` is not positive, or ``hide`` is out of range.
    """
    if n_masks < 1:
        message = f"n_masks is {n_masks}; needed is a positive number of masks."
        raise ConfigError(message)
    if not 0 < hide <= 0.5:
        message = f"hide is {hide}; needed is a share above 0 and at most 0.5, for what is hidden is predicted from the rest."
        raise ConfigError(message)
    slots = np.flatnonzero(valid)
    n_parts = max(1, min(round(1 / hide), slots.size))
    masks = np.zeros((-(-n_masks // n_parts) * n_parts, valid.size), bool)
    for first in range(0, len(masks), n_parts):
        for part, hidden in enumerate(np.array_split(generator.permutation(slots), n_parts)):
            masks[first + part, hidden] = True
    return masks
