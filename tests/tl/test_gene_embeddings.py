"""Gene embeddings: rows belong to genes by name, and mean what the formulas say."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import torch
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio.errors import ConfigError, DuplicateGenesError, GeneCoverageError, NotTrainedError
from r2mae_bio.tokens import TokenBatch

SIZES = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}
N_GENES = 30


def make_cells(n=90, seed=0):
    """Three groups of cells, each with ten genes of its own."""
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 3
    rates = np.where(np.arange(N_GENES)[None] // 10 == group[:, None], 6.0, 1.0) * rng.gamma(20, 1 / 20, (n, 1))
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(rates).astype(np.float32)))
    adata.var_names = [f"G{i}" for i in range(N_GENES)]
    return adata


def make_model(**settings):
    adata = make_cells()
    rb.model.GeneMAE.setup_anndata(adata)
    model = rb.model.GeneMAE(adata, seed=1, **{**SIZES, **settings})
    model.train(max_epochs=20, batch_size=32, progress_bar=False)
    return model


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def mlp():
    return make_model(encoder="mlp")


@pytest.fixture
def adata():
    return make_cells()


def record(adata, key="X_r2mae_gene"):
    return adata.uns["r2mae"]["gene_embeddings"][key]


def same_block(rows):
    """Share of genes whose nearest neighbour by cosine belongs to the same cells."""
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    cosine = unit @ unit.T - 9 * np.eye(N_GENES)
    return np.mean(cosine.argmax(1) // 10 == np.arange(N_GENES) // 10)


@pytest.mark.parametrize(("name", "kind", "width"), [("model", "keys", 4), ("model", "decoder", 8), ("mlp", "decoder", 8)])
def test_genes_of_the_same_cells_lie_together(request, adata, name, kind, width):
    rb.tl.gene_embeddings(adata, request.getfixturevalue(name), kind=kind)
    rows = adata.varm["X_r2mae_gene"]
    assert rows.shape == (N_GENES, width)
    assert rows.dtype == np.float32
    assert same_block(rows) >= 0.9  # by chance 9 / 29
    assert record(adata)["kind"] == kind


def test_the_kind_follows_the_encoder(model, mlp):
    np.testing.assert_array_equal(model.get_gene_embeddings(), model.get_gene_embeddings(kind="keys"))
    np.testing.assert_array_equal(mlp.get_gene_embeddings(), mlp.get_gene_embeddings(kind="decoder"))
    assert list(model.get_gene_embeddings().index) == list(model.vocabulary.names)


def test_keys_are_a_copy_of_the_weights(model):
    frame = model.get_gene_embeddings(kind="keys")
    keys = model.network.encoder.read.keys.detach().numpy()
    np.testing.assert_array_equal(frame.to_numpy(), keys)
    frame.iloc[:] = 0
    assert np.abs(keys).max() > 0


@pytest.mark.parametrize("likelihood", ["nb", "normal"])
def test_the_decoder_s_rows_are_its_slopes(adata, likelihood):
    adata.obs["batch"] = ["a", "b"] * 45
    rb.model.GeneMAE.setup_anndata(adata, batch_key="batch", gene_likelihood=likelihood)
    model = rb.model.GeneMAE(adata, seed=1, **SIZES)
    model.train(max_epochs=2, batch_size=32, progress_bar=False)
    slopes = model.get_gene_embeddings(kind="decoder").to_numpy()
    content = torch.zeros(1, N_GENES)
    ids, seen = torch.arange(N_GENES)[None], torch.ones(1, N_GENES, dtype=torch.bool)
    with torch.no_grad():
        latent = model.network.encoder.embed(content, TokenBatch(ids, content, seen, full=True)).double()
        decoder = model.network.decoder.double()

        def expected(z):
            inputs = torch.cat([z, torch.zeros(1, 2, dtype=torch.float64)], 1)
            location = decoder.location(decoder.hidden(inputs)) + decoder.location_linear(inputs)
            return torch.log_softmax(location, 1) if likelihood == "nb" else location

        step = 1e-5
        for axis in range(SIZES["n_latent"]):
            move = torch.zeros(1, SIZES["n_latent"], dtype=torch.float64)
            move[0, axis] = step
            numeric = (expected(latent + move) - expected(latent - move))[0] / (2 * step)
            np.testing.assert_allclose(slopes[:, axis], numeric, atol=1e-4)


def test_columns_in_another_order_and_unknown_genes(model, adata, tmp_path):
    expected = model.get_gene_embeddings()
    order = np.random.default_rng(0).permutation(N_GENES)[:20]
    other = ad.concat([adata[:, order], ad.AnnData(adata.X[:, :2], obs=adata.obs, var={"i": [0, 1]})], axis=1)
    other.var_names = [*adata.var_names[order], "new0", "new1"]
    rb.tl.gene_embeddings(other, model.save(tmp_path / "model"))
    np.testing.assert_array_equal(other.varm["X_r2mae_gene"][:20], expected.loc[other.var_names[:20]])
    assert np.isnan(other.varm["X_r2mae_gene"][20:]).all()
    found = record(other)
    assert (found["matched"], found["unknown"], found["duplicated"]) == (20, 2, 0)
    assert found["vocabulary"] == model.vocabulary.fingerprint()
    assert found["id_kind"] == "var_names = var_names"


def test_a_gene_that_was_not_measured_has_an_embedding(model, adata):
    aligned = rb.pp.align_genes(adata[:, 3:].copy(), model)
    rb.tl.gene_embeddings(aligned, model)
    np.testing.assert_array_equal(aligned.varm["X_r2mae_gene"], model.get_gene_embeddings())


def test_duplicates(model, adata):
    adata.var["symbol"] = ["G1", *adata.var_names[1:]]
    adata.var_names = [f"id{i}" for i in range(N_GENES)]
    with pytest.raises(DuplicateGenesError, match="'G1'"):
        rb.tl.gene_embeddings(adata, model)
    assert list(adata.varm) == []
    assert "r2mae" not in adata.uns
    rb.tl.gene_embeddings(adata, model, duplicates="sum")
    rows = adata.varm["X_r2mae_gene"]
    np.testing.assert_array_equal(rows[0], rows[1])
    assert not np.isnan(rows).any()
    assert (record(adata)["matched"], record(adata)["duplicated"]) == (30, 1)


def test_copy_view_keys_and_h5ad(model, adata, tmp_path):
    copied = rb.tl.gene_embeddings(adata, model, copy=True)
    assert list(adata.varm) == []
    assert "r2mae" not in adata.uns
    view = adata[:, :12]
    assert rb.tl.gene_embeddings(view, model) is None
    np.testing.assert_array_equal(view.varm["X_r2mae_gene"], copied.varm["X_r2mae_gene"][:12])
    rb.tl.gene_embeddings(copied, model, kind="decoder", key_added="slopes")
    copied.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    for key in ("X_r2mae_gene", "slopes"):
        np.testing.assert_array_equal(back.varm[key], copied.varm[key])
    assert (record(back)["kind"], record(back, "slopes")["kind"]) == ("keys", "decoder")


def test_refusals(model, mlp, adata):
    with pytest.raises(ConfigError, match="'read'"):
        rb.tl.gene_embeddings(adata, model, kind="read")
    with pytest.raises(ConfigError, match="pass kind='decoder'"):
        rb.tl.gene_embeddings(adata, mlp, kind="keys")
    rb.model.GeneMAE.setup_anndata(adata)
    with pytest.raises(NotTrainedError, match=r"call train\(\)"):
        rb.tl.gene_embeddings(adata, rb.model.GeneMAE(adata, **SIZES))
    adata.var_names = [f"other{i}" for i in range(N_GENES)]
    with pytest.raises(GeneCoverageError, match="other0"):
        rb.tl.gene_embeddings(adata, model)
    assert list(adata.varm) == []
