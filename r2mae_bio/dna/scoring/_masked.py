"""Log-likelihood ratios with other bases hidden, too: how far a score hangs on single bases of its
context.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import LikelihoodModel
    from r2mae_bio.masking._ratio import RatioLaw

_NUMBERS_AT_ONCE: Final = 1 << 22
"""Log-probabilities that a model is asked for at once, 16 MiB of float32."""


def draw_masks(n_masks: int, length: int, law: RatioLaw) -> NDArray[np.bool_]:
    """Masks that are the same for all windows, so that windows can be compared.

    Every second one is the mirror image of the one before: a variant then has the masks that it
    would have on the other strand. The pairs have ratios that are spread evenly over the law.

    Parameters
    ----------
    n_masks
        How many, an even number.
    length
        Bases of a window.
    law
        Law of the share of bases that is hidden.

    Returns
    -------
    True where a base is hidden, (n_masks, length).
    """
    masks = np.zeros((n_masks, length), np.bool_)
    n_pairs = n_masks // 2
    for pair, ratio in enumerate(law.quantile((np.arange(n_pairs) + 0.5) / n_pairs).tolist()):
        order = derive_generator(0, "masks of scores", pair).permutation(length)
        masks[2 * pair, order[: round(ratio * length)]] = True
        masks[2 * pair + 1] = masks[2 * pair, ::-1]
    return masks


def masked_ratios(
    model: LikelihoodModel,
    windows: NDArray[np.uint8],
    positions: NDArray[np.int64],
    bases: tuple[NDArray[np.uint8], NDArray[np.uint8]],
    masks: NDArray[np.bool_],
    *,
    batch_size: int | None,
) -> NDArray[np.float64]:
    """Log-likelihood ratios of single bases under each mask.

    Parameters
    ----------
    model
        The model.
    windows
        Codes of the windows, (n, L) or (n, L, 1 + S).
    positions
        The base of each window that is asked about, hidden under every mask, (n,).
    bases
        Codes of the reference and of the alternative base, both (n,).
    masks
        From :func:`draw_masks`.
    batch_size
        Passed to the model.

    Returns
    -------
    Log-probability of the alternative base minus that of the reference, nats, (masks, n).
    """
    settings: dict[str, Any] = {"strand": "both", "batch_size": batch_size}
    found = np.empty((len(masks), len(windows)))
    step = max(1, _NUMBERS_AT_ONCE // (4 * windows.shape[1]))
    for first in range(0, len(windows), step):
        part = slice(first, first + step)
        codes, at, (ref, alt) = windows[part], positions[part], (bases[0][part], bases[1][part])
        each = np.arange(len(codes))
        for number, mask in enumerate(masks):
            hidden = np.repeat(mask[None], len(codes), axis=0)
            hidden[each, at] = True
            log_probs = model.log_probs(codes, hidden, **settings)[each, at].astype(np.float64)
            found[number, part] = log_probs[each, alt] - log_probs[each, ref]
    return found
