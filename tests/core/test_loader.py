"""A loader joins a plan and a reader: resumed epochs, ranks, nothing read without need."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.core._loader import OrderedRows, PlannedLoader, ShuffledRows, batches_per_epoch, epoch_batches


class Tens:
    """Batch b of epoch e under seed s holds the ten numbers from 1000 s + 100 e + 10 b."""

    n_batches = 4

    def __init__(self):
        self.asked = []

    def place(self, seed, epoch, batch):
        self.asked.append(batch)
        return np.arange(10) + 1000 * seed + 100 * epoch + 10 * batch


def test_an_epoch_begins_where_the_run_stands():
    plan = Tens()
    loader = PlannedLoader(lambda rows: rows.tolist(), plan)
    assert len(loader) == len(list(loader)) == 4
    loader.shuffle_by(lambda: (2, 3, 1))
    plan.asked.clear()
    batches = list(loader)
    assert plan.asked == [1, 2, 3]  # what was trained on before is not made again
    assert len(loader) == len(batches) == 3
    assert batches[0] == list(range(2310, 2320))
    assert loader.batch(2, 3, 1) == batches[0]


@pytest.mark.parametrize("world_size", [1, 2, 3, 11])
def test_ranks_share_every_batch(world_size):
    shares = []
    for rank in range(world_size):
        loader = PlannedLoader(lambda rows: rows.tolist(), Tens())
        loader.rank, loader.world_size = rank, world_size
        shares.append(loader.batch(0, 0, 2))
    assert sorted(sum(shares, [])) == list(range(20, 30))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_batches_are_counted_up():
    assert [batches_per_epoch(n, 8) for n in (0, 1, 8, 9, 16)] == [1, 1, 1, 2, 2]


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 5), st.integers(1, 4))
def test_an_epoch_is_a_partition_whatever_the_ranks(n_rows, batch_size, epoch, world_size):
    where = {"seed": 3, "epoch": epoch}
    whole = list(epoch_batches(n_rows, batch_size, **where))
    assert sorted(np.concatenate(whole)) == list(range(n_rows))
    assert max(map(len, whole)) <= batch_size
    assert max(map(len, whole)) - min(map(len, whole)) <= 1
    shares = [list(epoch_batches(n_rows, batch_size, rank=r, world_size=world_size, **where)) for r in range(world_size)]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert sorted(batch) == sorted(np.concatenate(parts))


def test_an_epoch_can_begin_anywhere_and_differs_from_the_next():
    whole, rest = (list(epoch_batches(100, 9, seed=1, epoch=2, start=s)) for s in (0, 4))
    assert all(np.array_equal(a, b) for a, b in zip(whole[4:], rest, strict=True))
    assert not np.array_equal(whole[0], next(epoch_batches(100, 9, seed=1, epoch=3)))
    assert not np.array_equal(whole[0], next(epoch_batches(100, 9, seed=2, epoch=2)))


def test_shuffled_rows_are_those_of_the_epoch_in_whatever_order_they_are_asked_for():
    rows = np.arange(300, 400)
    plan = ShuffledRows(rows, 9)
    asked = [(1, 0, 4), (1, 1, 0), (1, 0, 4), (2, 0, 0), (1, 0, 0), (1, 1, 11)]
    for seed, epoch, batch in asked:
        expected = list(epoch_batches(100, 9, seed=seed, epoch=epoch))[batch]
        np.testing.assert_array_equal(plan.place(seed, epoch, batch), rows[expected])
    assert plan.n_batches == len(list(epoch_batches(100, 9, seed=1, epoch=0))) == 12


def test_ordered_rows_stay_in_order_whatever_seed_and_epoch():
    rows = np.arange(50, 81)
    plan = OrderedRows(rows, 8)
    for seed, epoch in ((0, 0), (3, 7)):
        batches = [plan.place(seed, epoch, batch) for batch in range(plan.n_batches)]
        np.testing.assert_array_equal(np.concatenate(batches), rows)
        assert max(map(len, batches)) <= 8


@given(st.integers(1, 200), st.integers(1, 40))
def test_ordered_batches_are_cut_evenly(n_rows, batch_size):
    plan = OrderedRows(np.arange(n_rows), batch_size)
    pieces = np.array_split(np.arange(n_rows), plan.n_batches)
    for batch, piece in enumerate(pieces):
        np.testing.assert_array_equal(plan.place(0, 0, batch), piece)
