"""The categorical likelihood of hidden bases, in nats."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def base_nll(logits: Tensor, codes: Tensor, hidden: Tensor) -> Tensor:
    """Negative log-likelihood of every hidden base.

    Parameters
    ----------
    logits
        Logits of A C G T, or their log-probabilities, (B, L, 4) or, for a prediction that is the
        same everywhere, (4,).
    codes
        The bases, 0 to 3 wherever ``hidden`` is true, integers (B, L).
    hidden
        True where a base is to be predicted, bool (B, L).

    Returns
    -------
    Nats, float32 (B, L), zero where nothing is hidden.
    """
    chosen = logits[hidden] if logits.dim() > 1 else logits.expand(int(hidden.sum()), -1)
    nats = F.cross_entropy(chosen.float(), codes[hidden].long(), reduction="none")
    return torch.zeros(hidden.shape, device=nats.device).masked_scatter(hidden, nats)
