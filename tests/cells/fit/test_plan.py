"""Which cells each batch: pure functions of seed, epoch and number of the batch."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.cells.fit._plan import BlockShuffledCells


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
