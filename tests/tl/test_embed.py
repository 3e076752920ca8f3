"""``tl.embed``: slots written, round trips through files."""

from __future__ import annotations

import json

import anndata as ad
import numpy as np
import pytest

import r2mae_bio as rb

from ..toy_cells import SIZES, make_counted_cells


@pytest.fixture
def adata():
    return make_counted_cells()


@pytest.fixture
def model(adata):
    return rb.tl.pretrain(adata, layer="counts", model_kwargs={"seed": 2, **SIZES}, max_epochs=2, progress_bar=False)


def test_embed_equals_the_method_and_survives_h5ad(adata, model, tmp_path):
    assert rb.tl.embed(adata, model) is None
    np.testing.assert_array_equal(adata.obsm["X_r2mae"], model.get_latent_representation(adata))
    assert adata.obsm["X_r2mae"].dtype == np.float32
    adata.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(back.obsm["X_r2mae"], adata.obsm["X_r2mae"])
    record = back.uns["r2mae"]
    assert record["embed"]["X_r2mae"]["seed"] == 2
    assert record["embed"]["X_r2mae"]["vocabulary"] == model.vocabulary.fingerprint()
    assert record["setup"]["layer"] == "counts"
    rb.tl.embed(back, model, key_added="X_again")  # the setup read from the file is enough
    np.testing.assert_array_equal(back.obsm["X_again"], back.obsm["X_r2mae"])


def test_embed_from_a_folder_copy_and_view(adata, model, tmp_path):
    folder = model.save(tmp_path / "model")
    copied = rb.tl.embed(adata, folder, copy=True)
    assert "X_r2mae" not in adata.obsm
    view = adata[:10]
    rb.tl.embed(view, str(folder))
    np.testing.assert_allclose(view.obsm["X_r2mae"], copied.obsm["X_r2mae"][:10], atol=1e-5)
    assert "X_r2mae" not in adata.obsm


def test_a_failed_embedding_writes_nothing(adata, model):
    adata.layers["counts"].data[0] = -1
    before = json.dumps(adata.uns["r2mae"], default=str)
    with pytest.raises(rb._errors.NegativeCountsError):
        rb.tl.embed(adata, model)
    assert json.dumps(adata.uns["r2mae"], default=str) == before
    assert "X_r2mae" not in adata.obsm
