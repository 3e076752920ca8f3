"""``r2mae impute``: all genes into a file, named ones into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import numpy as np
import pandas as pd
import pytest

from r2mae_bio import tl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_all_genes(folder: Path, r2mae: Any, suffix: str) -> None:
    query = anndata.read_h5ad("query.h5ad")
    assert r2mae("impute", "query.h5ad", "--model", "model", "--seed", "3", "--out", f"out.{suffix}")[0] == 0
    tl.impute(query, "model", seed=3)
    found = (anndata.read_h5ad if suffix == "h5ad" else anndata.read_zarr)(f"out.{suffix}")
    np.testing.assert_allclose(found.X, query.layers["r2mae_mean"], rtol=1e-5)
    np.testing.assert_allclose(found.layers["sd"], query.layers["r2mae_sd"], rtol=1e-5)


def test_named_genes_with_a_reference(folder: Path, r2mae: Any) -> None:
    query, cells = anndata.read_h5ad("query.h5ad")[:, :20].copy(), anndata.read_h5ad("cells.h5ad")
    query.write_h5ad("panel.h5ad")
    args = ["--reference", "cells.h5ad", "--genes", "G0", "--genes", "G25"]
    assert r2mae("impute", "panel.h5ad", "--model", "model", *args, "--out", "out.parquet")[0] == 0
    tl.impute(query, "model", genes=["G0", "G25"], reference=cells)
    found = pd.read_parquet("out.parquet")
    assert found.columns.tolist() == ["G0 mean", "G25 mean", "G0 sd", "G25 sd"]
    np.testing.assert_allclose(found.iloc[:, :2], query.obsm["r2mae_mean"], rtol=1e-5)


def test_sparse_layers(folder: Path, r2mae: Any) -> None:
    assert r2mae("impute", "query.h5ad", "--model", "model", "--threshold", "1", "--out", "out.h5ad")[0] == 0
    layer = anndata.read_h5ad("out.h5ad").layers["r2mae_mean"]
    assert layer.data.min() >= 1
