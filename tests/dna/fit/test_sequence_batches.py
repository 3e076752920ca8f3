"""Sequences in minibatches of one length."""

from __future__ import annotations

import numpy as np

from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups

from ..toy_sequences import random_codes


def test_batches_hold_every_row_once_and_one_length():
    codes = [random_codes(1, length, seed=i)[0] for i, length in enumerate([5, 9, 5, 7, 9, 5, 5])]
    groups = SequenceGroups(codes)
    for batches in (list(groups.shuffled(2, derive_generator(0, "x"))), list(groups.in_order(2))):
        assert sorted(np.concatenate([rows for rows, _ in batches])) == list(range(7))
        assert len(batches) == groups.n_batches(2) == 4
        assert all((codes[row] == line).all() for rows, block in batches for row, line in zip(rows, block, strict=True))
