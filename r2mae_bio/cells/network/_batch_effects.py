"""Batch effects in latent space: offsets of each batch in each neighbourhood, taken off a cell's
latent vector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

SHARPNESS = 20.0
"""Scale of the cosine between a cell and a centroid in the softmax over neighbourhoods (2 / sigma
of Harmony, with its sigma of 0.1).
"""
_PASSES = 2
"""Times that neighbourhoods are found and their offsets taken off; further ones change nothing that
can be measured.
"""


class BatchEffects(nn.Module):
    r"""What batches add to latent vectors, and its removal.

    Cells belong softly to K neighbourhoods k, by the cosine of their latent vector, less what their
    batch b adds, with a centroid. The corrected vector is

        z' = z - sum_k r_k delta_{b,k},

    a mixture of linear corrections as in Harmony (Korsunsky et al. 2019,
    doi:10.1038/s41592-019-0619-0). Unlike Harmony it is a function of one cell and the name of its
    batch, so a cell is corrected alone as among others.

    Parameters
    ----------
    n_batches
        Number of batches B.
    n_clusters
        Number of neighbourhoods K.
    n_latent
        Dimensions Z.
    """

    centre: Tensor
    """Mean latent vector of the cells it was fitted on, (Z,)."""
    centroids: Tensor
    """Directions of the neighbourhoods, of length 1, (K, Z)."""
    means: Tensor
    """Mean corrected latent vector of each neighbourhood, less the centre, (K, Z)."""
    log_odds: Tensor
    """How much more a batch is to be expected in a neighbourhood than it was found, (B, K)."""
    shifts: Tensor
    """What a batch adds on average, (B, Z)."""
    offsets: Tensor
    """What a batch adds in each neighbourhood, its shift included, (B, K, Z)."""

    def __init__(self, n_batches: int, n_clusters: int, n_latent: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_latent))
        self.register_buffer("centroids", torch.zeros(n_clusters, n_latent))
        self.register_buffer("means", torch.zeros(n_clusters, n_latent))
        self.register_buffer("log_odds", torch.zeros(n_batches, n_clusters))
        self.register_buffer("shifts", torch.zeros(n_batches, n_latent))
        self.register_buffer("offsets", torch.zeros(n_batches, n_clusters, n_latent))

    def forward(self, latent: Tensor, batch: Tensor) -> Tensor:
        """Take batch effects off; cells of a batch that adds nothing stay as they are, to the bit.

        Parameters
        ----------
        latent
            (N, Z).
        batch
            Number of each cell's batch, int64 (N,).

        Returns
        -------
        (N, Z).
        """
        raw = latent - self.centre
        corrected = taken_off(raw, self.shifts[batch], lambda corrected: self._added(self.memberships(corrected, batch), batch))
        still = ~(self.offsets.flatten(1).any(1) | self.shifts.any(1))
        return torch.where(still[batch, None], latent, corrected + self.centre)

    def memberships(self, corrected: Tensor, batch: Tensor) -> Tensor:
        """Shares of cells in neighbourhoods, (N, K), from centred corrected vectors (N, Z)."""
        cosine = F.normalize(corrected, dim=1) @ self.centroids.T
        return torch.softmax(SHARPNESS * cosine + self.log_odds[batch], 1)

    def _added(self, memberships: Tensor, batch: Tensor) -> Tensor:
        """What their batches add to cells, (N, Z)."""
        added = torch.zeros(len(batch), self.offsets.shape[2], dtype=memberships.dtype, device=memberships.device)
        for number in torch.unique(batch):
            rows = batch == number
            added[rows] = memberships[rows] @ self.offsets[number]
        return added


def taken_off(raw: Tensor, shift: Tensor, added: Callable[[Tensor], Tensor]) -> Tensor:
    """Centred vectors (N, Z) without what their batches add.

    Parameters
    ----------
    raw
        Centred latent vectors (N, Z).
    shift
        What the batch adds on average, (Z,) or (N, Z): what is taken off to find neighbourhoods.
    added
        What batches add to cells where their corrected vectors are these (N, Z).

    Returns
    -------
    (N, Z).
    """
    corrected = raw - shift
    for _ in range(_PASSES):
        corrected = raw - added(corrected)
    return corrected
