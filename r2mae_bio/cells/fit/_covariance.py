"""Spread of embeddings within groups of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["within_covariance"]


def within_covariance(groups: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    """Covariance of embeddings about the mean of their group, pooled and shrunk after Ledoit and
    Wolf, (Z, Z).

    Shrinking keeps it invertible when the cells are few, or when the model leaves dimensions of its
    embedding unused.

    Parameters
    ----------
    groups
        Embeddings of the cells of each group, (n, Z).
    """
    from sklearn.covariance import ledoit_wolf

    centred = np.concatenate([latent - latent.mean(0, dtype=np.float64) for latent in groups])
    covariance: NDArray[np.float64] = ledoit_wolf(centred, assume_centered=True)[0]
    return covariance
