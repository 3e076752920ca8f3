"""Small count data in every kind of storage."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

N_CELLS, N_GENES = 40, 23


@pytest.fixture
def counts() -> np.ndarray:
    """Counts, shape (40, 23), about two thirds zeros, no empty cell."""
    rng = np.random.default_rng(7)
    dense = rng.poisson(0.4, (N_CELLS, N_GENES)).astype(np.float32)
    dense[:, 0] += 1
    return dense


def names() -> tuple[pd.DataFrame, pd.DataFrame]:
    obs = pd.DataFrame(index=[f"cell{i}" for i in range(N_CELLS)])
    return obs, pd.DataFrame(index=[f"GENE{i}" for i in range(N_GENES)])


def make(matrix: object) -> ad.AnnData:
    obs, var = names()
    return ad.AnnData(matrix, obs=obs, var=var)


def _with_zeros(dense: np.ndarray) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(np.ones_like(dense))
    matrix.data[:] = dense.ravel()  # every zero is stored
    return matrix


def _unsorted(dense: np.ndarray) -> sparse.csr_matrix:
    matrix = sparse.csr_matrix(dense[:, ::-1])
    indices = (dense.shape[1] - 1 - matrix.indices).astype(matrix.indices.dtype)
    return sparse.csr_matrix((matrix.data, indices, matrix.indptr), shape=dense.shape)


def _twice(dense: np.ndarray) -> sparse.csr_matrix:
    """Each entry is stored as two that add up."""
    once = sparse.csr_matrix(dense)
    data = np.stack([once.data - 1, np.ones_like(once.data)], axis=1).ravel()
    return sparse.csr_matrix((data, np.repeat(once.indices, 2), once.indptr * 2), shape=dense.shape)


def _view(dense: np.ndarray, form: Callable[[np.ndarray], object]) -> ad.AnnData:
    tall = np.concatenate([np.zeros_like(dense), dense])[:, ::-1]
    obs, var = names()
    obs = pd.concat([obs.rename(index=lambda name: f"other-{name}"), obs])
    adata = ad.AnnData(form(tall), obs=obs, var=var[::-1])
    return adata[N_CELLS:, ::-1]


MEMORY: dict[str, Callable[[np.ndarray], ad.AnnData]] = {
    "dense": make,
    "fortran": lambda x: make(np.asfortranarray(x)),
    "csr_matrix": lambda x: make(sparse.csr_matrix(x)),
    "csr_array": lambda x: make(sparse.csr_array(x)),
    "csc_matrix": lambda x: make(sparse.csc_matrix(x)),
    "csc_array": lambda x: make(sparse.csc_array(x)),
    "float64": lambda x: make(sparse.csr_matrix(x.astype(np.float64))),
    "int32": lambda x: make(sparse.csr_matrix(x.astype(np.int32))),
    "uint8": lambda x: make(x.astype(np.uint8)),
    "explicit_zeros": lambda x: make(_with_zeros(x)),
    "unsorted": lambda x: make(_unsorted(x)),
    "stored_twice": lambda x: make(_twice(x)),
    "view_dense": lambda x: _view(x, np.asarray),
    "view_csr": lambda x: _view(x, sparse.csr_matrix),
    "view_csc": lambda x: _view(x, sparse.csc_matrix),
}
BACKED: dict[str, Callable[[np.ndarray], object]] = {
    "backed_dense": np.asarray,
    "backed_csr": sparse.csr_matrix,
    "backed_csc": sparse.csc_matrix,
}


def _lazily(dense: np.ndarray, form: Callable[[np.ndarray], object], chunks: tuple[int, int]) -> object:
    array = pytest.importorskip("dask.array", reason="needs dask")
    lazy, meta = array.from_array(dense, chunks=chunks), form(np.zeros((0, 0), dense.dtype))
    return lazy if form is np.asarray else lazy.map_blocks(form, dtype=dense.dtype, meta=meta)


def _dask(dense: np.ndarray, form: Callable[[np.ndarray], object], chunks: tuple[int, int]) -> ad.AnnData:
    return make(_lazily(dense, form, chunks))


DASK: dict[str, Callable[[np.ndarray], ad.AnnData]] = {
    "dask_dense": lambda x: _dask(x, np.asarray, (7, N_GENES)),
    "dask_dense_tiles": lambda x: _dask(x.astype(np.int32), np.asarray, (16, 5)),
    "dask_csr": lambda x: _dask(x, sparse.csr_matrix, (11, N_GENES)),
    "dask_csr_tiles": lambda x: _dask(x, sparse.csr_array, (16, 9)),
    "dask_csc": lambda x: _dask(x, sparse.csc_matrix, (40, N_GENES)),
    "dask_with_zeros": lambda x: _dask(x, _with_zeros, (13, N_GENES)),
    "dask_view": lambda x: _view(x, lambda tall: _lazily(tall, sparse.csr_matrix, (9, N_GENES))),
}


def _lazy(adata: ad.AnnData, folder: Path) -> ad.AnnData:
    for name in ("dask", "xarray"):
        pytest.importorskip(name, reason="anndata's read_lazy needs it")
    adata.write_h5ad(folder / "cells.h5ad")
    return ad.experimental.read_lazy(folder / "cells.h5ad")


def _zarr(adata: ad.AnnData, folder: Path) -> ad.AnnData:
    group = zarr.open_group(folder / "cells.zarr", mode="w")
    ad.io.write_elem(group, "X", adata.X)
    return make(ad.io.sparse_dataset(group["X"]) if sparse.issparse(adata.X) else group["X"])


STORES: dict[str, Callable[[np.ndarray, Path], ad.AnnData]] = {
    "lazy_dense": lambda x, folder: _lazy(make(x), folder),
    "lazy_csr": lambda x, folder: _lazy(make(sparse.csr_matrix(x)), folder),
    "lazy_csc": lambda x, folder: _lazy(make(sparse.csc_matrix(x)), folder),
    "zarr_dense": lambda x, folder: _zarr(make(x), folder),
    "zarr_csr": lambda x, folder: _zarr(make(sparse.csr_matrix(x)), folder),
    "zarr_csc": lambda x, folder: _zarr(make(sparse.csc_matrix(x)), folder),
}
"""Made in a folder, and read there."""


@pytest.fixture(params=[*MEMORY, *DASK, *STORES, *BACKED, "backed_view"])
def stored(request: pytest.FixtureRequest, counts: np.ndarray, tmp_path: Path) -> Iterator[ad.AnnData]:
    """The same data, stored in one of many ways."""
    kind = request.param
    if kind in STORES:
        with warnings.catch_warnings():  # anndata 0.12 says what a later version will do
            warnings.filterwarnings("ignore", message="zarr v3 autosharding will be the default")
            yield STORES[kind](counts, tmp_path)
        return
    if kind in MEMORY or kind in DASK:
        yield {**MEMORY, **DASK}[kind](counts)
        return
    if kind == "backed_view":
        make_twice = ad.concat(
            [make(sparse.csr_matrix(counts)), make(sparse.csr_matrix(counts))], keys=["a", "b"], index_unique="-"
        )
        make_twice.write_h5ad(tmp_path / "cells.h5ad")
        adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
        yield adata[N_CELLS:]
        adata.file.close()
        return
    make(BACKED[kind](counts)).write_h5ad(tmp_path / "cells.h5ad")
    adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    yield adata
    adata.file.close()
