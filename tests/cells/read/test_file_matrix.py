"""Rows of a file are read in runs, as few as are worth while, and damage is found."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from r2mae_bio.cells.read import _file_matrix
from r2mae_bio.cells.read._file_matrix import BufferSize, CellFile, FileBlocks, FileMatrix
from r2mae_bio.errors import DataError

from .conftest import N_CELLS, N_GENES, make


@pytest.fixture
def path(counts, tmp_path):
    make(sparse.csr_matrix(counts)).write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


@pytest.fixture
def blocks(path):
    return FileBlocks(CellFile(path), "X")


@pytest.mark.parametrize("bridged", [0, 20, 1 << 13])
def test_some_rows_are_those_rows(blocks, counts, monkeypatch, bridged):
    monkeypatch.setattr(_file_matrix, "_BRIDGED", bridged)

    @given(st.sets(st.integers(0, N_CELLS - 1), min_size=1))
    def check(chosen):
        places = np.array(sorted(chosen))
        np.testing.assert_array_equal(blocks.rows(places).toarray(), counts[places])

    check()


def test_neighbours_are_read_in_one_piece(blocks, monkeypatch):
    asked, read = [], FileBlocks._read
    monkeypatch.setattr(FileBlocks, "_read", lambda self, runs: asked.extend(runs) or read(self, runs))
    monkeypatch.setattr(_file_matrix, "_BRIDGED", 12)
    blocks.rows(np.array([3, 4, 5, 7, 30, 31]))
    assert asked == [(3, 8), (30, 32)]


def test_pieces_are_all_of_it(path, counts):
    files = [FileBlocks(CellFile(path), "X") for _ in range(2)]
    matrix = FileMatrix(files, [np.arange(N_GENES)] * 2, N_GENES, BufferSize(4, 2))
    pieces = list(matrix.pieces(60))
    assert len(pieces) > 6
    np.testing.assert_array_equal(np.concatenate([part.toarray() for _, part, _ in pieces]), np.concatenate([counts] * 2))
    assert [first for first, _, _ in pieces] == np.cumsum([0, *(part.shape[0] for _, part, _ in pieces)])[:-1].tolist()


def test_few_files_are_open_at_once(path, monkeypatch):
    monkeypatch.setattr(_file_matrix, "_MOST_OPEN", 2)
    files = [FileBlocks(CellFile(path), "X") for _ in range(5)]
    assert len(CellFile._opened) <= 2
    rows = [file.read(1, 4).toarray() for file in files]
    assert all(np.array_equal(row, rows[0]) for row in rows)
    assert len(CellFile._opened) <= 2


@pytest.mark.parametrize(
    ("where", "value", "match"),
    [("X/indptr", 10**6, "pointers .* promise"), ("X/indices", N_GENES, "index is 0 or 23"), ("X/indices", -1, "index is -1")],
)
def test_damage_is_found(path, where, value, match):
    with h5py.File(path, "r+") as file:
        file[where][5] = value
    blocks = FileBlocks(CellFile(path), "X")
    with pytest.raises(DataError, match=match):
        blocks.read(0, N_CELLS)
