"""Which cells make up each batch: pure functions of seed, epoch and number of the batch."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.cells.fit._plan import BlockShuffledCells, OrderedCells, ShuffledCells, epoch_batches


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


def test_shuffled_cells_are_those_of_the_epoch_in_whatever_order_they_are_asked_for():
    cells = np.arange(300, 400)
    plan = ShuffledCells(cells, 9)
    asked = [(1, 0, 4), (1, 1, 0), (1, 0, 4), (2, 0, 0), (1, 0, 0), (1, 1, 11)]
    for seed, epoch, batch in asked:
        expected = list(epoch_batches(100, 9, seed=seed, epoch=epoch))[batch]
        np.testing.assert_array_equal(plan.place(seed, epoch, batch), cells[expected])
    assert plan.n_batches == len(list(epoch_batches(100, 9, seed=1, epoch=0))) == 12


def test_ordered_cells_stay_in_order_whatever_seed_and_epoch():
    cells = np.arange(50, 81)
    plan = OrderedCells(cells, 8)
    for seed, epoch in ((0, 0), (3, 7)):
        batches = [plan.place(seed, epoch, batch) for batch in range(plan.n_batches)]
        np.testing.assert_array_equal(np.concatenate(batches), cells)
        assert max(map(len, batches)) <= 8


@given(st.integers(1, 200), st.integers(1, 40))
def test_ordered_batches_are_cut_evenly(n_cells, batch_size):
    plan = OrderedCells(np.arange(n_cells), batch_size)
    pieces = np.array_split(np.arange(n_cells), plan.n_batches)
    for batch, piece in enumerate(pieces):
        np.testing.assert_array_equal(plan.place(0, 0, batch), piece)


def shuffled_by_blocks(n_cells=1000, batch_size=32, block=10, blocks=7):
    return BlockShuffledCells(np.arange(500, 500 + n_cells), batch_size, block, blocks)


@given(st.integers(1, 300), st.integers(1, 64), st.integers(1, 20), st.integers(1, 9), st.integers(0, 3))
def test_blocks_are_a_partition_cut_evenly(n_cells, batch_size, block, blocks, epoch):
    plan = shuffled_by_blocks(n_cells, batch_size, block, blocks)
    batches = [plan.place(3, epoch, batch) for batch in range(plan.n_batches)]
    assert sorted(np.concatenate(batches)) == list(range(500, 500 + n_cells))
    assert max(map(len, batches)) <= batch_size
    assert max(map(len, batches)) - min(map(len, batches)) <= 1
    np.testing.assert_array_equal(np.concatenate(batches), np.concatenate(plan.buffers(3, epoch)))
    for batch in (0, plan.n_batches - 1):
        later = np.concatenate(plan.buffers(3, epoch, batch))
        assert batches[batch][0] in plan.buffers(3, epoch, batch)[0]
        np.testing.assert_array_equal(later, np.concatenate(batches)[n_cells - later.size :])


def test_a_buffer_is_some_blocks_and_shuffled():
    plan = shuffled_by_blocks()
    buffers = plan.buffers(1, 0)
    assert len(buffers) == 15  # of 100 blocks, at most 7 in each
    for cells in buffers:
        blocks, sizes = np.unique((cells - 500) // 10, return_counts=True)
        assert 6 <= len(blocks) <= 7
        assert (sizes == 10).all()
        assert np.abs(np.diff(cells)).mean() > 20
    assert not np.array_equal(np.concatenate(buffers), np.concatenate(plan.buffers(1, 1)))
    again = shuffled_by_blocks()
    np.testing.assert_array_equal(again.place(1, 0, 9), plan.place(1, 0, 9))
    assert not np.array_equal(again.place(2, 0, 9), plan.place(1, 0, 9))
