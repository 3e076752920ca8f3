"""Rows of a file are read in runs, as few as are worth while, and damage is found."""

from __future__ import annotations

import anndata as ad
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


pytestmark = pytest.mark.filterwarnings("ignore:Consolidated metadata")


def write_zarr(matrix, path, **more):
    sharding = {"auto_shard_zarr_v3": False} if hasattr(ad.settings, "auto_shard_zarr_v3") else {}
    with ad.settings.override(zarr_write_format=3, **sharding):
        make(matrix).write_zarr(path, **more)
    return FileBlocks(CellFile(path), "X")


@pytest.fixture(params=["h5ad", "zarr", "dense zarr"])
def any_blocks(counts, tmp_path, request):
    if request.param == "h5ad":
        make(sparse.csr_matrix(counts)).write_h5ad(tmp_path / "any.h5ad")
        return FileBlocks(CellFile(tmp_path / "any.h5ad"), "X")
    matrix = counts if "dense" in request.param else sparse.csr_matrix(counts)
    return write_zarr(matrix, tmp_path / "any.zarr", chunks=(5, N_GENES))


@pytest.mark.parametrize(("bridged", "together"), [(0, 1 << 22), (20, 1 << 22), (1 << 13, 1 << 22), (20, 60), (0, 1)])
def test_some_rows_are_those_rows(any_blocks, counts, monkeypatch, bridged, together):
    monkeypatch.setattr(_file_matrix, "_BRIDGED", bridged)
    monkeypatch.setattr(_file_matrix, "_TOGETHER", together)
    blocks = any_blocks

    @given(st.sets(st.integers(0, N_CELLS - 1), min_size=1))
    def check(chosen):
        places = np.array(sorted(chosen))
        np.testing.assert_array_equal(sparse.csr_array(blocks.rows(places)).toarray(), counts[places])

    check()


def test_neighbours_are_read_in_one_piece(blocks, monkeypatch):
    asked, read = [], FileBlocks._read
    monkeypatch.setattr(FileBlocks, "_read", lambda self, runs: asked.extend(runs) or read(self, runs))
    monkeypatch.setattr(_file_matrix, "_BRIDGED", 12)
    blocks.rows(np.array([3, 4, 5, 7, 30, 31]))
    assert asked == [(3, 8), (30, 32)]


def test_rows_of_one_chunk_are_one_piece(counts, tmp_path, monkeypatch):
    """A chunk of zarr is decoded whole, however few of its rows are wanted."""
    blocks = write_zarr(sparse.csr_matrix(counts), tmp_path / "cells.zarr")
    asked, read = [], FileBlocks._read
    monkeypatch.setattr(FileBlocks, "_read", lambda self, runs: asked.append(runs) or read(self, runs))
    monkeypatch.setattr(_file_matrix, "_BRIDGED", 0)
    blocks.rows(np.array([3, 30]))
    assert asked == [[(3, 31)]]
    monkeypatch.setattr(blocks, "_unit", 1)
    asked.clear()
    blocks.rows(np.array([3, 30]))
    assert asked == [[(3, 4), (30, 31)]]
    monkeypatch.setattr(_file_matrix, "_TOGETHER", 1)
    asked.clear()
    blocks.rows(np.array([3, 30]))
    assert asked == [[(3, 4)], [(30, 31)]]


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
