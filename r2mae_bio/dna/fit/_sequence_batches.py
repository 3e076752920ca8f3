"""Batches of sequences of one length, and predictions for sequences of any."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import torch

from r2mae_bio.dna.genome._bases import reverse_complement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

__all__ = ["SequenceGroups", "predict_classes", "predict_logits"]

_PREDICT_BASES = 32_768
"""Bases read at once when nothing is learned: enough to keep the processor busy."""


class SequenceGroups:
    """Sequences sorted into groups of one length.

    Parameters
    ----------
    codes
        Codes of each sequence, uint8 (L,).
    """

    def __init__(self, codes: Sequence[NDArray[np.uint8]]) -> None:
        lengths = np.array([len(sequence) for sequence in codes], np.int64)
        self.n_sequences = len(lengths)
        self.lengths, group = np.unique(lengths, return_inverse=True)
        self.rows = [np.flatnonzero(group == i) for i in range(len(self.lengths))]
        self.codes = [np.stack([codes[int(row)] for row in rows]) for rows in self.rows]

    def n_batches(self, batch_size: int) -> int:
        """Batches of an epoch."""
        return sum(-(-len(rows) // batch_size) for rows in self.rows)

    def shuffled(self, batch_size: int, rng: np.random.Generator) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
        """Rows and their codes (B, L), every row once, in an order drawn from ``rng``."""
        batches = []
        for group, rows in enumerate(self.rows):
            order = rng.permutation(len(rows))
            batches += [(group, order[start : start + batch_size]) for start in range(0, len(rows), batch_size)]
        for i in rng.permutation(len(batches)):
            group, chosen = batches[i]
            yield self.rows[group][chosen], self.codes[group][chosen]

    def in_order(self, batch_size: int | None = None) -> Iterator[tuple[NDArray[np.intp], NDArray[np.uint8]]]:
        """Rows and their codes (B, L), every row once, shorter sequences first; by default as many
        as are quickly read at once.
        """
        for rows, codes in zip(self.rows, self.codes, strict=True):
            size = batch_size or max(1, _PREDICT_BASES // codes.shape[1])
            for start in range(0, len(rows), size):
                yield rows[start : start + size], codes[start : start + size]


def predict_classes(
    network: nn.Module, groups: SequenceGroups, *, both_strands: bool, batch_size: int | None = None
) -> NDArray[np.float32]:
    """Probabilities of classes.

    Parameters
    ----------
    network
        Logits (B, K) of codes int64 (B, L); it is put into evaluation mode for the call.
    groups
        The sequences.
    both_strands
        Take the mean over a sequence and its reverse complement.
    batch_size
        Sequences read at once.

    Returns
    -------
    Probabilities in the order of the sequences, float32 (sequences, K).
    """
    logits = predict_logits(network, groups, both_strands=both_strands, batch_size=batch_size)
    return torch.from_numpy(logits).softmax(dim=-1).mean(dim=0).numpy()


def predict_logits(
    network: nn.Module, groups: SequenceGroups, *, both_strands: bool, batch_size: int | None = None
) -> NDArray[np.float32]:
    """Logits of classes, strand by strand.

    Parameters
    ----------
    network, groups, batch_size
        See :func:`predict_classes`.
    both_strands
        Also read the reverse complements.

    Returns
    -------
    Logits in the order of the sequences, float32 (strands, sequences, K), one strand or two.
    """
    was_training = network.training
    network.eval()
    found: list[tuple[NDArray[np.intp], NDArray[np.float32]]] = []
    try:
        with torch.inference_mode():
            for rows, codes in groups.in_order(batch_size):
                strands = [codes, reverse_complement(codes)] if both_strands else [codes]
                logits = torch.stack([network(as_tensor(strand, network)) for strand in strands])
                found.append((rows, logits.float().cpu().numpy()))
    finally:
        network.train(was_training)
    n_strands, _, n_classes = found[0][1].shape
    result = np.empty((n_strands, groups.n_sequences, n_classes), np.float32)
    for rows, logits_sbk in found:
        result[:, rows] = logits_sbk
    return result


def as_tensor(codes: NDArray[np.uint8], network: nn.Module) -> Tensor:
    """Codes as int64 on the network's device."""
    return torch.from_numpy(codes.astype(np.int64)).to(next(chain(network.parameters(), network.buffers())).device)
