"""``tl.export``: tables that hold what they say."""

from __future__ import annotations

import json
import time

import anndata as ad
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, SetupError

from ..toy_cells import SIZES, make_counted_cells


@pytest.fixture
def adata():
    return make_counted_cells()


@pytest.fixture
def model(adata):
    return rb.tl.pretrain(adata, layer="counts", model_kwargs={"seed": 2, **SIZES}, max_epochs=2, progress_bar=False)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".h5ad"])
def test_an_embedding_exported_twice_is_the_same_bytes(adata, model, tmp_path, monkeypatch, suffix):
    rb.tl.embed(adata, model)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    first = rb.tl.export_embedding(adata, tmp_path / f"first{suffix}").read_bytes()
    time.sleep(1.1)  # a time of writing in the file would have moved
    assert rb.tl.export_embedding(adata, f"~/second{suffix}") == tmp_path / f"second{suffix}"
    assert (tmp_path / f"second{suffix}").read_bytes() == first


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".npz", ".h5ad"])
def test_exports_hold_cells_values_and_provenance(adata, model, tmp_path, suffix):
    rb.tl.embed(adata, model)
    path = rb.tl.export_embedding(adata, tmp_path / f"out{suffix}")
    fingerprint = model.vocabulary.fingerprint()
    match suffix:
        case ".csv":
            frame = pd.read_csv(path, comment="#", index_col=0)
            assert f"# vocabulary: {fingerprint}" in path.read_text()
        case ".parquet":
            frame = pd.read_parquet(path)
            assert json.loads(pq.read_schema(path).metadata[b"r2mae"])["vocabulary"] == fingerprint
        case ".npz":
            arrays = np.load(path)
            frame = pd.DataFrame(arrays["embedding"], index=arrays["cells"])
            assert json.loads(str(arrays["provenance"]))["vocabulary"] == fingerprint
        case ".h5ad":
            exported = ad.read_h5ad(path)
            frame = exported.to_df()
            assert exported.uns["r2mae"]["embed"]["X_r2mae"]["vocabulary"] == fingerprint
    assert list(frame.index) == list(adata.obs_names)
    np.testing.assert_allclose(frame.to_numpy(), adata.obsm["X_r2mae"], rtol=1e-5)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_nullable_columns_are_exported(adata, model, tmp_path):
    adata.obs["donor"] = pd.array(["d1", pd.NA] * (adata.n_obs // 2), dtype="string")
    adata.obs["age"] = pd.array([3, pd.NA] * (adata.n_obs // 2), dtype="Int64")
    adata.obs_names = adata.obs_names.astype("string")
    rb.tl.embed(adata, model)
    exported = ad.read_h5ad(rb.tl.export_embedding(adata, tmp_path / "out.h5ad"))
    assert list(exported.obs_names) == list(adata.obs_names)
    for key in ("donor", "age"):
        assert exported.obs[key].isna().tolist() == [False, True] * (adata.n_obs // 2)


def test_exports_that_cannot_be(adata, model, tmp_path):
    with pytest.raises(SetupError, match=r"Call tl\.embed"):
        rb.tl.export_embedding(adata, tmp_path / "out.csv")
    rb.tl.embed(adata, model)
    with pytest.raises(ConfigError, match=r"known formats are \.csv"):
        rb.tl.export_embedding(adata, tmp_path / "out.xlsx")
    assert list(tmp_path.iterdir()) == []
