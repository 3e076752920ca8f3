"""The one way to walk over cells."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.cells.fit._table import cells_at_a_time
from r2mae_bio.errors import ConfigError


@pytest.mark.parametrize("step", [1, 7, 700, 5000])
def test_every_cell_comes_once_and_in_order(table, counts, step):
    found = np.full(counts.shape, -1.0)
    for some, batch in table.batches(step):
        assert batch.context.shape[0] == some.stop - some.start <= step
        found[some] = batch.tokens().values.numpy()
    np.testing.assert_array_equal(found, counts)


def test_chosen_cells_come_as_they_were_chosen(table, counts):
    cells = np.array([5, 600, 5, 0, 44])
    parts = list(table.batches(2, cells=cells))
    assert [(some.start, some.stop) for some, _ in parts] == [(0, 2), (2, 4), (4, 5)]
    found = np.concatenate([batch.tokens().values.numpy() for _, batch in parts])
    np.testing.assert_array_equal(found, counts[cells])
    assert not list(table.batches(cells=np.zeros(0, np.int64)))


def test_a_number_of_cells_at_a_time_is_positive():
    assert cells_at_a_time(None) == 256
    assert cells_at_a_time(3) == 3
    with pytest.raises(ConfigError, match="batch_size is 0; needed is a positive number of cells, or None"):
        cells_at_a_time(0)
