"""What a frozen model says about whole sequences: its states, pooled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._rng import derive_seed
from r2mae_bio.core._bundle import checksum
from r2mae_bio.core._seeded import seeded
from r2mae_bio.dna._protocols import SequenceModel
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups
from r2mae_bio.dna.model._encoders import build_encoder, describe_encoder
from r2mae_bio.dna.model._strands import in_chunks, states

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["POOLINGS", "SequenceModel", "pool_states"]

N_BINS = 8
"""Stretches of equal length whose means keep the order of a sequence."""
POOLINGS = ("mean", "max", "mean+max", "bins")
"""Ways to pool: over all positions, or over stretches one by one; the last needs sequences of one
length.
"""


class NetworkModel:
    """A bare network of this package as a :class:`SequenceModel`.

    Parameters
    ----------
    network
        The network, such as :func:`build_encoder` makes.
    window
        Longest sequence read at once, bp.
    """

    def __init__(self, network: Any, window: int) -> None:
        self.network, self.window, self.n_dim = network.eval(), window, int(network.config.d_model)

    def checksum(self) -> str:
        """SHA-256 of configuration and weights."""
        return checksum(self.network, describe_encoder(self.network))

    def states(
        self, codes: NDArray[np.uint8], *, layer: int = -1, strand: str = "both", batch_size: int | None = None
    ) -> NDArray[np.float32]:
        """See :meth:`SequenceModel.states`."""
        network, both = self.network, strand == "both"
        return in_chunks(network, lambda piece: states(network, piece, layer=layer, both=both), codes, batch_size)


def untrained_form(model: SequenceModel, seed: int) -> SequenceModel:
    """A network of the same kind and sizes, with random weights.

    Parameters
    ----------
    model
        The model. Its own method ``untrained(seed=...)`` is used if it has one.
    seed
        Of the weights.

    Returns
    -------
    The control.

    Raises
    ------
    CheckpointError
        The network is not one of this package, so that it cannot be built anew.
    """
    if hasattr(model, "untrained"):
        return model.untrained(seed=seed)
    with seeded(derive_seed(seed, "weights")):
        return NetworkModel(build_encoder(describe_encoder(model.network)), model.window)


def pool_states(model: SequenceModel, codes: Sequence[NDArray[np.uint8]]) -> dict[str, NDArray[np.float32]]:
    """Mean, maximum and means of stretches of a model's states.

    A sequence longer than the model's window is read in pieces of nearly equal length.

    Parameters
    ----------
    model
        The model.
    codes
        Codes of each sequence, uint8 (L,).

    Returns
    -------
    Features by the names in :data:`POOLINGS`: ``"mean"`` and ``"max"`` (rows, D), ``"mean+max"``
    (rows, 2 D) and, where all sequences have one length of at least 8 bp, ``"bins"`` (rows, 8 D).
    """
    groups = SequenceGroups(codes)
    n_bins = N_BINS if len(groups.lengths) == 1 and groups.lengths[0] >= N_BINS else 0
    mean = np.empty((groups.n_sequences, model.n_dim), np.float32)
    top = np.empty_like(mean)
    bins = np.empty((groups.n_sequences, n_bins * model.n_dim), np.float32)
    for rows, batch in groups.in_order():
        of_bases = _states(model, batch)
        mean[rows], top[rows] = of_bases.mean(axis=1), of_bases.max(axis=1)
        if n_bins:
            stretches = [piece.mean(axis=1) for piece in np.array_split(of_bases, n_bins, axis=1)]
            bins[rows] = np.concatenate(stretches, axis=1)
    pooled = {"mean": mean, "max": top, "mean+max": np.concatenate([mean, top], axis=1)}
    return {**pooled, "bins": bins} if n_bins else pooled


def _states(model: SequenceModel, codes: NDArray[np.uint8]) -> NDArray[np.float32]:
    pieces = np.array_split(codes, -(-codes.shape[1] // model.window), axis=1)
    return np.concatenate([model.states(np.ascontiguousarray(piece), strand="both") for piece in pieces], axis=1)
