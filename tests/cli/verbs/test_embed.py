"""``r2mae embed``: every form of input and of output holds what Python gives."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest

from r2mae_bio import tl
from r2mae_bio.model import GeneMAE


def read(path: str) -> np.ndarray:
    match Path(path).suffix:
        case ".h5ad":
            return anndata.read_h5ad(path).obsm["X_r2mae"]
        case ".zarr":
            return anndata.read_zarr(path).obsm["X_r2mae"]
        case ".npy":
            return np.load(path)
        case ".npz":
            return np.load(path)["embedding"]
        case ".parquet":
            return pd.read_parquet(path).to_numpy()
    return pd.read_csv(path, comment="#", index_col=0).to_numpy()


@pytest.mark.parametrize("suffix", ["h5ad", "zarr", "npy", "npz", "parquet", "csv"])
def test_every_form_holds_the_embedding(folder: Path, r2mae: Any, suffix: str) -> None:
    query = anndata.read_h5ad("query.h5ad")
    assert r2mae("embed", "query.h5ad", "model", "--out", f"out.{suffix}")[0] == 0
    np.testing.assert_allclose(read(f"out.{suffix}"), GeneMAE.load("model").get_latent_representation(query), rtol=1e-6)


def test_zarr_is_read_and_replaced(folder: Path, r2mae: Any) -> None:
    assert r2mae("embed", "query.h5ad", "model", "--key-added", "X_before", "--out", "query.zarr")[0] == 0
    assert r2mae("embed", "query.zarr", "model", "--out", "query.zarr", "--overwrite")[0] == 0
    found = anndata.read_zarr("query.zarr").obsm
    np.testing.assert_array_equal(found["X_r2mae"], found["X_before"])


def test_from_standard_input_to_standard_output(folder: Path, r2mae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert r2mae("embed", "query.h5ad", "model", "--out", "out.csv")[0] == 0
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(Path("query.h5ad").read_bytes())))
    code, out, err = r2mae("embed", "-", "model", "--out", "-")
    assert (code, err) == (0, "")
    assert out == Path("out.csv").read_text()


@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
def test_cells_of_new_batches_are_mapped(folder: Path, r2mae: Any) -> None:
    query = anndata.read_h5ad("query.h5ad")
    query.obs["batch"] = "new"
    query.write_h5ad("new.h5ad")
    code, _, err = r2mae("embed", "new.h5ad", "model", "--out", "out.npy")
    assert code == 1
    assert "map_query" in err
    assert r2mae("embed", "new.h5ad", "model", "--map-query", "--batch-key", "batch", "--out", "out.npy")[0] == 0
    tl.map_query(query, "model", batch_key="batch")
    np.testing.assert_allclose(read("out.npy"), query.obsm["X_r2mae"], rtol=1e-6)


def test_sequences_and_regions(folder: Path, r2mae: Any) -> None:
    assert r2mae("embed", "promoters.fa", "dna_model", "--layer", "-1", "--strand", "+", "--out", "out.npy")[0] == 0
    expected = tl.embed_sequences(Path("promoters.fa"), "dna_model", strand="+").obsm["X_r2mae"]
    np.testing.assert_array_equal(read("out.npy"), expected)
    named = ["--aliases", "one=chr1"]
    Path("peaks.bed").write_text("one\t1000\t1040\n")
    assert r2mae("embed", "peaks.bed", "dna_model", "--genome", "genome.fa.gz", *named, "--out", "out.csv")[0] == 0
    expected = tl.embed_regions([("chr1", 1000, 1040)], "genome.fa.gz", "dna_model").obsm["X_r2mae"]
    np.testing.assert_allclose(read("out.csv"), expected, rtol=1e-6)
