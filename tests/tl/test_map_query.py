"""``tl.map_query`` writes what the model's method returns."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest

import r2mae_bio as rb

SIZES = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}


@pytest.fixture(scope="module")
def reference():
    adata = rb.datasets.pbmc68k()
    adata.obs["lane"] = np.where(np.arange(adata.n_obs) % 2, "a", "b")
    return adata


@pytest.fixture
def model(reference):
    cells = reference[:400].copy()
    rb.model.GeneMAE.setup_anndata(cells, layer="counts", batch_key="lane")
    model = rb.model.GeneMAE(cells, seed=0, **SIZES)
    model.initialize()
    return model


def test_the_embedding_is_written_with_the_batches_known(reference, model, tmp_path):
    query = reference[400:].copy()
    query.obs["lane"] = "new"
    assert rb.tl.map_query(query, model) is None
    assert query.obsm["X_r2mae"].dtype == np.float32
    np.testing.assert_array_equal(query.obsm["X_r2mae"], model.get_latent_representation(query))
    query.write_h5ad(tmp_path / "q.h5ad")
    record = ad.read_h5ad(tmp_path / "q.h5ad").uns["r2mae"]["embed"]["X_r2mae"]
    assert list(record["batches"]) == ["a", "b", "new"]


def test_a_saved_model_stays_as_it_is(reference, model, tmp_path):
    model.save(tmp_path / "m")
    query = reference[400:450].copy()
    query.obs["lane"] = "new"
    copy = rb.tl.map_query(query, tmp_path / "m", key_added="X_mapped", copy=True)
    assert "X_mapped" in copy.obsm
    assert "X_mapped" not in query.obsm
    assert rb.model.GeneMAE.load(tmp_path / "m").batches == ["a", "b"]


def test_embed_takes_known_batches_out_or_leaves_them(reference, model):
    cells = reference[:100].copy()
    rb.tl.embed(cells, model)
    rb.tl.embed(cells, model, key_added="X_raw", correct_batch=False)
    assert np.abs(cells.obsm["X_r2mae"] - cells.obsm["X_raw"]).max() > 1e-3
    np.testing.assert_array_equal(cells.obsm["X_raw"], model.get_latent_representation(cells, correct_batch=False))


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_a_mapped_embedding_is_exported_after_a_round_trip(reference, model, tmp_path, suffix):
    query = reference[400:450].copy()
    query.obs["lane"] = "new"
    rb.tl.map_query(query, model)
    query.write_h5ad(tmp_path / "q.h5ad")
    assert rb.tl.export_embedding(ad.read_h5ad(tmp_path / "q.h5ad"), tmp_path / f"e.{suffix}").stat().st_size > 0
