"""Matrices on a damaged disk: one class of error, whatever the library says; nothing is misread."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import h5py
import numpy as np
import pytest
import zarr
from scipy import sparse

from r2mae_bio import pp
from r2mae_bio._errors import DataError, SetupError
from r2mae_bio.cells.read._align import align_genes
from r2mae_bio.cells.read._cells import open_cells
from r2mae_bio.cells.read._genes import GeneVocabulary
from r2mae_bio.cells.read._stored import check_compressed, known_indices, reading

from .conftest import N_CELLS, N_GENES, make

if TYPE_CHECKING:
    from collections.abc import Callable

FORMS: dict[str, Callable[[np.ndarray], Any]] = {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "dense": np.asarray}


def rows_of(adata: ad.AnnData) -> np.ndarray:
    names = tuple(map(str, adata.var_names))
    alignment = align_genes(GeneVocabulary(names, {}, np.zeros(len(names))), names)
    return open_cells(adata, alignment=alignment).rows(np.arange(adata.n_obs)).to_dense()


def refused(adata: ad.AnnData, match: str) -> None:
    for call in (pp.check_counts, rows_of):
        with pytest.raises(DataError, match=match):
            call(adata)
    assert "r2mae" not in adata.uns


def garbled(file: h5py.File, name: str) -> None:
    """The compressed bytes of the first chunk are no longer what the filter wrote."""
    chunk = file[name].id.get_chunk_info(0)
    path = Path(file.filename)
    file.close()
    data = bytearray(path.read_bytes())
    data[chunk.byte_offset : chunk.byte_offset + chunk.size] = b"\xa5" * chunk.size
    path.write_bytes(data)


@pytest.mark.parametrize("form", FORMS)
def test_a_chunk_that_does_not_decompress(form: str, counts: np.ndarray, tmp_path: Path) -> None:
    make(FORMS[form](counts)).write_h5ad(tmp_path / "cells.h5ad", compression="gzip")
    garbled(h5py.File(tmp_path / "cells.h5ad", "r"), "X" if form == "dense" else "X/data")
    adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    refused(adata, r"adata\.X of .*cells\.h5ad cannot be read \(OSError: .*Copy or write it again")
    adata.file.close()


@pytest.mark.parametrize("form", FORMS)
def test_a_dask_array_over_a_chunk_that_does_not_decompress(form: str, counts: np.ndarray, tmp_path: Path) -> None:
    for name in ("dask", "xarray"):
        pytest.importorskip(name, reason="anndata's read_lazy needs it")
    make(FORMS[form](counts)).write_h5ad(tmp_path / "cells.h5ad", compression="gzip")
    garbled(h5py.File(tmp_path / "cells.h5ad", "r"), "X" if form == "dense" else "X/data")
    refused(ad.experimental.read_lazy(tmp_path / "cells.h5ad"), "Block 0 of a dask array cannot be read")


@pytest.mark.parametrize("form", FORMS)
def test_a_zarr_chunk_that_does_not_decompress(form: str, counts: np.ndarray, tmp_path: Path) -> None:
    with warnings.catch_warnings():  # anndata 0.12 says what a later version will do
        warnings.filterwarnings("ignore", message="zarr v3 autosharding will be the default")
        group = zarr.open_group(tmp_path / "cells.zarr", mode="w")
        ad.io.write_elem(group, "X", FORMS[form](counts))
    array = tmp_path / "cells.zarr" / "X" / ("" if form == "dense" else "data")
    chunks = [file for file in array.rglob("*") if file.is_file() and not file.name.startswith(".z") and file.suffix != ".json"]
    for chunk in chunks:
        chunk.write_bytes(b"\xa5" * chunk.stat().st_size)
    stored = group["X"]
    refused(make(stored if form == "dense" else ad.io.sparse_dataset(stored)), r"of .*cells\.zarr.* cannot be read")


def _without(name: str) -> Callable[[h5py.File], None]:
    return lambda file: file.__delitem__(name)


def _with(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        values, attributes = change(file[name][()]), dict(file[name].attrs)
        del file[name]
        file[name] = values
        file[name].attrs.update(attributes)

    return damage


def _outside(indices: np.ndarray) -> np.ndarray:
    indices[7] = 10**6
    return indices


def _swapped(pointers: np.ndarray) -> np.ndarray:
    pointers[[3, 5]] = pointers[[5, 3]]
    return pointers


DAMAGES = {
    "csr: no matrix": (_without("X"), r"adata\.X of .* cannot be read \(KeyError"),
    "csr: no data": (_without("X/data"), "cannot be read"),
    "csr: no pointers": (_without("X/indptr"), "cannot be read"),
    "csc: no indices": (_without("X/indices"), "cannot be read"),
    "csr: pointers for more rows": (_with("X/indptr", lambda x: np.append(x, x[-1])), "has 42 pointers for 40 rows"),
    "csr: pointers of a lost chunk": (_with("X/indptr", lambda x: x * 0), "which promise 0 entries, and .* indices"),
    "csr: fewer indices": (_with("X/indices", lambda x: x[:-3]), "indices and .* values"),
    "csr: fractional indices": (_with("X/indices", lambda x: x + 0.5), "indices are of int32 and float64"),
    "csr: an index outside": (_with("X/indices", _outside), "an index is 0 or 1000000; needed are 0 to 22"),
    "csc: an index outside": (_with("X/indices", _outside), "an index is 0 or 1000000; needed are 0 to 39"),
    "csr: a negative index": (_with("X/indices", lambda x: x - 1), "an index is -1"),
    "csr: pointers that descend": (_with("X/indptr", _swapped), "damaged sparse matrix|cannot be read"),
    "dense: fewer cells": (_with("X", lambda x: x[:-2]), r"has the shape \(38, 23\), and there are 40 cells and 23 genes"),
    "dense: text": (_with("X", lambda x: x.astype("S4")), r"dtype \|S4; a two-dimensional matrix of real numbers"),
}


@pytest.mark.parametrize("case", DAMAGES)
def test_a_file_of_the_wrong_arrays(case: str, counts: np.ndarray, tmp_path: Path) -> None:
    damage, match = DAMAGES[case]
    path = tmp_path / "cells.h5ad"
    make(FORMS[case.partition(":")[0]](counts)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        damage(file)
    adata = ad.read_h5ad(path, backed="r")
    refused(adata, match)
    adata.file.close()


BROKEN: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray], str]] = {
    "outside": ("indices", _outside, "an index is 0 or 1000000"),
    "negative": ("indices", lambda x: -x, "an index is -"),
    "descending": ("indptr", _swapped, "do not ascend from 0"),
    "late": ("indptr", lambda x: x + 1, "do not ascend from 0"),
    "long": ("indptr", lambda x: np.append(x[:-1], 10**6).astype(x.dtype), "pointers promise 1000000 entries"),
    "left over": ("indptr", lambda x: x * 0, "promise 0 entries"),
    "few": ("data", lambda x: x[:-1], "values"),
    "fractions": ("indices", lambda x: x.astype(np.float64), "float64"),
    "text": ("indptr", lambda x: x.astype("S8"), "S8"),
}


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csr_array, sparse.csc_matrix, sparse.csc_array])
@pytest.mark.parametrize("case", BROKEN)
def test_a_matrix_in_memory_whose_indices_lead_astray(case: str, form: type, counts: np.ndarray) -> None:
    """Compiled loops would read and write wherever they say."""
    name, change, match = BROKEN[case]
    matrix = form(counts)
    check_compressed(matrix)
    setattr(matrix, name, change(getattr(matrix, name).copy()))
    adata = make(form(counts))
    adata.X = matrix
    refused(adata, rf"adata\.X is a damaged sparse matrix: .*{match}")


@pytest.mark.parametrize("kind", [np.uint64, np.uint8, np.int16])
def test_indices_of_types_that_loops_do_not_know_are_read(kind: type, counts: np.ndarray) -> None:
    matrix = sparse.csr_matrix(counts)
    matrix.indices = matrix.indices.astype(kind)
    assert known_indices(matrix).indices.dtype in (np.int32, np.int64)
    adata = make(matrix)
    assert pp.check_counts(adata).total == counts.sum()
    np.testing.assert_array_equal(rows_of(adata), counts)
    assert adata.X.indices.dtype == kind


def test_what_is_said_of_an_error() -> None:
    with pytest.raises(DataError, match=r"adata\.X cannot be read \(ValueError: two lines\)") as caught, reading(None, "adata.X"):
        raise ValueError("two\nlines")
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(DataError, match="no reason was given"), reading(None):
        raise AssertionError
    for error in (SetupError("ours"), MemoryError("none left")):  # neither says that a file is damaged
        with pytest.raises(type(error), match=str(error)), reading(None):
            raise error


def test_sizes_of_the_fixture() -> None:
    """Messages above count on them."""
    assert (N_CELLS, N_GENES) == (40, 23)
