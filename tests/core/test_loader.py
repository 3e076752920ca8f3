"""A loader joins a plan and a reader: resumed epochs, ranks, nothing read without need."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.core._loader import PlannedLoader, batches_per_epoch


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
