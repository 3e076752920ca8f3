"""Rows that a thread read ahead are the rows of the source, and few are held."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from r2mae_bio.cells.fit._buffer import BufferedRows
from r2mae_bio.cells.fit._loader import cell_loaders
from r2mae_bio.cells.fit._plan import BlockShuffledCells
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.cells.read._file_matrix import BufferSize

from .conftest import Source


class Slow(Source):
    """Remembers who read what."""

    def __init__(self, matrix):
        super().__init__(matrix)
        self.buffer, self.read = BufferSize(7, 5), []

    def rows(self, index):
        self.read.append((threading.current_thread() is threading.main_thread(), index))
        return super().rows(index)


@pytest.fixture
def source(counts):
    return Slow(counts)


def to_dense(rows, n_genes=25):
    dense = np.zeros((rows.indptr.size - 1, n_genes), np.float32)
    dense[np.repeat(np.arange(rows.indptr.size - 1), np.diff(rows.indptr)), rows.genes] = rows.values
    return dense


def test_batches_that_cross_buffers_are_right_and_read_by_the_thread(source, counts):
    plan = BlockShuffledCells(np.arange(3, 700), 64, 7, 5)
    with BufferedRows(source, plan.buffers(2, 1)) as rows:
        for batch in range(plan.n_batches):
            index = plan.place(2, 1, batch)
            np.testing.assert_array_equal(to_dense(rows.rows(index)), counts[index])
            assert len(rows._held) == 1
    assert not any(main for main, _ in source.read)
    assert sorted(np.concatenate([index for _, index in source.read])) == list(range(3, 700))


def test_a_cell_that_was_let_go_or_never_held_is_refused(source):
    with BufferedRows(source, [np.arange(10), np.arange(10, 20)]) as rows:
        rows.rows(np.array([4, 15]))
        with pytest.raises(IndexError, match="in no buffer"):
            rows.rows(np.array([4]))


def test_an_error_of_the_thread_is_raised(source, monkeypatch):
    monkeypatch.setattr(Slow, "rows", lambda *_: 1 / 0)
    with BufferedRows(source, [np.arange(10)]) as rows, pytest.raises(ZeroDivisionError):
        rows.rows(np.arange(3))


def test_a_loader_can_begin_anywhere(source, counts):
    table = CellTable(source, np.zeros((700, 0), np.float32))
    loaders = cell_loaders(table, np.arange(600), np.arange(600, 700), 50)
    whole = [batch.tokens().values.numpy() for batch in loaders.train]
    np.testing.assert_array_equal(np.sort(np.concatenate(whole), 0), np.sort(counts[:600], 0))
    loaders.train.shuffle_by(lambda: (0, 0, 7))
    rest = [batch.tokens().values.numpy() for batch in loaders.train]
    assert all(np.array_equal(a, b) for a, b in zip(whole[7:], rest, strict=True))
    held_out = np.concatenate([batch.tokens().values.numpy() for batch in loaders.validation])
    np.testing.assert_array_equal(held_out, counts[600:])


def test_a_walk_that_is_left_ends_its_thread(source):
    table = CellTable(source, np.zeros((700, 0), np.float32))
    walk = table.batches(64)
    next(walk)
    walk.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("r2mae cells")]
