"""Minibatches of cells."""

from __future__ import annotations

import numpy as np

from r2mae_bio.cells.fit._batch import collate
from r2mae_bio.io import CSRRows


def test_a_batch_holds_its_cells(table, counts):
    index = np.array([5, 600, 5, 0])
    tokens = table.batch(index).tokens()
    np.testing.assert_array_equal(tokens.values.numpy(), counts[index])
    assert tokens.visible.all()
    empty = collate(
        CSRRows(np.zeros(3, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), 25),
        tokens.visible,
        np.zeros((2, 0), np.float32),
    )
    assert not empty.tokens().values.any()
