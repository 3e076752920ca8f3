"""Cells in files of every format, and a model of them."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest

from r2mae_bio.model import GeneMAE

from ..toy_cells import SIZES, make_cells

FORMATS = ["h5ad", "zarr v2", "zarr v3"]


@pytest.fixture(scope="module")
def small_model():
    cells = make_cells(90, 30)
    GeneMAE.setup_anndata(cells)
    model = GeneMAE(cells, seed=3, **SIZES)
    model.train(max_epochs=1, batch_size=16, progress_bar=False)
    return model


@pytest.fixture
def quiet_anndata():
    with warnings.catch_warnings():  # anndata 0.12 says what a later version will do
        warnings.filterwarnings("ignore", message="zarr v3 autosharding will be the default|.*zarr v2|Consolidated metadata")
        yield


@pytest.fixture
def whole():
    """The cells of all files."""
    cells = make_cells(90, 30, seed=5)
    cells.obsm["X_other"], cells.uns["kept"] = np.arange(180.0).reshape(90, 2), {"a": 1}
    return cells


@pytest.fixture(params=FORMATS)
def three_files(request, whole, tmp_path, quiet_anndata):
    suffix = ".h5ad" if request.param == "h5ad" else ".zarr"
    return [write(whole[30 * i : 30 * i + 30].copy(), tmp_path / f"part{i}{suffix}", request.param) for i in range(3)]


def write(cells, path, kind):
    if kind == "h5ad":
        cells.write_h5ad(path)
    else:
        with ad.settings.override(zarr_write_format=int(kind[-1])):
            cells.write_zarr(path)
    return path


def read(path):
    return ad.read_zarr(path) if path.is_dir() else ad.read_h5ad(path)
