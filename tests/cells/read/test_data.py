"""What is an AnnData, and how it becomes one that can be written to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from r2mae_bio._errors import DataError
from r2mae_bio.cells.read._data import check_anndata, make_actual, writable

from .conftest import N_CELLS, make

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")  # mudata 0.3
@pytest.mark.filterwarnings("ignore:The inplace keyword in DataFrame.drop")  # mudata beside pandas 3.1
def test_parts_of_a_mudata_are_named(counts: np.ndarray) -> None:
    mudata = pytest.importorskip("mudata", reason="needs mudata")
    proteins = make(counts)[:, :3].copy()
    proteins.var_names = ["CD3", "CD4", "CD8"]
    both = mudata.MuData({"rna": make(counts), "prot": proteins})
    with pytest.raises(DataError, match=r"type MuData; .* such as data\.mod\['rna'\]; it has 'rna', 'prot'"):
        check_anndata(both)
    check_anndata(both.mod["rna"])


def test_tables_of_a_spatial_data_set_are_named() -> None:
    class SpatialData:
        tables = {"cells": None}

    with pytest.raises(DataError, match=r"type SpatialData; .* such as data\.tables\['cells'\]; it has 'cells'"):
        check_anndata(SpatialData())


@pytest.mark.parametrize("data", [np.ones((2, 2)), pd.DataFrame({"GENE1": [1]}), "cells.h5ad", None])
def test_what_is_no_anndata_is_refused(data: object) -> None:
    with pytest.raises(DataError, match=rf"of type {type(data).__name__}; an AnnData is needed.*read_h5ad"):
        check_anndata(data)


@pytest.mark.parametrize("form", [np.asarray, sparse.csr_matrix])
def test_backed_data_and_views_of_them_are_copied_into_memory(counts: np.ndarray, tmp_path: Path, form: type) -> None:
    make(form(counts)).write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    whole, part, view = writable(backed, copy=True), writable(backed[3:9], copy=True), backed[3:9]
    make_actual(view)
    assert writable(backed, copy=False) is backed
    assert (backed.isbacked, whole.isbacked, part.isbacked, view.isbacked, view.is_view) == (True, False, False, False, False)
    for adata, cells in ((whole, slice(N_CELLS)), (part, slice(3, 9)), (view, slice(3, 9))):
        found = adata.X.toarray() if sparse.issparse(adata.X) else adata.X
        np.testing.assert_array_equal(found, counts[cells])
        adata.obsm["new"] = np.zeros((adata.n_obs, 1))
    assert "new" not in backed.obsm
    backed.file.close()


def test_a_copy_leaves_the_original_and_no_copy_is_it(counts: np.ndarray) -> None:
    adata = make(counts)
    copied = writable(adata, copy=True)
    copied.uns["new"] = 1
    assert "new" not in adata.uns
    view = adata[:3]
    assert writable(view, copy=False) is view
    assert not view.is_view
