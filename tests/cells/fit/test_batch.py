"""Epochs and minibatches of cells."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.cells.fit._batch import collate
from r2mae_bio.cells.fit._plan import epoch_batches
from r2mae_bio.io import CSRRows


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 5), st.integers(1, 4))
def test_an_epoch_is_a_partition_whatever_the_ranks(n_cells, batch_size, epoch, world_size):
    where = {"seed": 3, "epoch": epoch}
    whole = list(epoch_batches(n_cells, batch_size, **where))
    assert sorted(np.concatenate(whole)) == list(range(n_cells))
    assert max(map(len, whole)) <= batch_size
    assert max(map(len, whole)) - min(map(len, whole)) <= 1
    shares = [list(epoch_batches(n_cells, batch_size, rank=r, world_size=world_size, **where)) for r in range(world_size)]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert sorted(batch) == sorted(np.concatenate(parts))


def test_an_epoch_can_begin_anywhere_and_differs_from_the_next():
    whole, rest = (list(epoch_batches(100, 9, seed=1, epoch=2, start=s)) for s in (0, 4))
    assert all(np.array_equal(a, b) for a, b in zip(whole[4:], rest, strict=True))
    assert not np.array_equal(whole[0], next(epoch_batches(100, 9, seed=1, epoch=3)))
    assert not np.array_equal(whole[0], next(epoch_batches(100, 9, seed=2, epoch=2)))


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
