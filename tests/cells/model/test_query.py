"""What a query may look like: names, storage, layers and set-ups, beyond the data the model was
trained on.
"""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import (
    ConfigError,
    DataError,
    DuplicateGenesError,
    GeneCoverageError,
    LogTransformedError,
    SetupError,
)
from r2mae_bio.model import GeneMAE

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
QUICK = {"max_epochs": 2, "batch_size": 16, "progress_bar": False}


def logged(adata):
    dense = adata.X.toarray()
    return np.log1p(dense / dense.sum(1, keepdims=True) * 1e4).astype(np.float32)


@pytest.fixture
def trained_normal(adata, sizes):
    data = adata.copy()
    data.layers["logged"] = logged(adata)
    GeneMAE.setup_anndata(data, layer="logged", gene_likelihood="normal")
    model = GeneMAE(data, **sizes)
    model.train(**QUICK)
    return model


# ---------------------------------------------------------------- genes


def test_ensembl_versions_and_id_columns(adata, sizes):
    ids = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    adata.var["gene_ids"] = [f"{name}.3" for name in ids]
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    model.initialize()
    expected = model.get_latent_representation()
    query = adata[:, ::-1].copy()
    query.var = query.var.drop(columns="gene_ids")
    query.var_names = [f"{name}.14" for name in ids[::-1]]
    np.testing.assert_array_equal(model.get_latent_representation(query), expected)
    assert model.coverage.matched_fraction == 1


@pytest.mark.parametrize("encoder", ["transformer", "mlp"])
def test_absent_flagged_and_zero_genes(adata, sizes, encoder):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, encoder=encoder, **sizes)
    model.train(**QUICK)
    kept = np.arange(30) % 4 > 0
    whole, panel = model.get_latent_representation(adata), model.get_latent_representation(adata[:, kept])
    assert np.abs(whole - panel).max() > 1e-3
    flagged = adata.copy()
    flagged.var["measured"] = kept
    np.testing.assert_allclose(model.get_latent_representation(flagged), panel, **CLOSE)
    zeroed = adata.copy()
    zeroed.X = sparse.csr_matrix(adata.X.toarray() * kept).astype(np.float32)
    assert np.abs(model.get_latent_representation(zeroed) - panel).max() > 1e-3


def test_coverage_can_be_demanded_and_is_reported(model, adata):
    panel = adata[:, :12].copy()
    with pytest.raises(GeneCoverageError, match="12 of the model's 30 genes"):
        model.get_latent_representation(panel, min_coverage=0.5)
    assert "r2mae" not in panel.uns
    model.get_latent_representation(panel, min_coverage=0.4)
    assert model.coverage.matched == panel.uns["r2mae"]["coverage"]["matched"] == 12


def test_a_query_is_changed_in_uns_only_and_a_view_not_at_all(model, adata):
    matrix = adata.X.copy()
    view = adata[10:40, ::2]
    model.get_latent_representation(view)
    assert view.is_view
    assert "r2mae" not in adata.uns
    adata.uns["mine"] = 1
    model.get_latent_representation(adata)
    assert set(adata.uns) == {"mine", "r2mae"}
    assert (matrix != adata.X).nnz == 0
    assert list(adata.var) == []
    assert list(adata.obsm) == []


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
def test_duplicated_training_genes(adata, sizes):
    adata.var_names = ["G0", *adata.var_names[:-1]]
    GeneMAE.setup_anndata(adata)
    with pytest.raises(DuplicateGenesError, match="G0"):
        GeneMAE(adata, **sizes)
    model = GeneMAE(adata, duplicate_genes="sum", **sizes)
    model.train(**QUICK)
    assert len(model.vocabulary) == 29
    np.testing.assert_array_equal(
        model.get_latent_representation(), model.get_latent_representation(adata.copy(), duplicates="sum")
    )


# ---------------------------------------------------------------- cells


def test_order_and_selection(model, adata):
    whole = model.get_latent_representation(adata)
    order = np.random.default_rng(0).permutation(60)
    mask = np.arange(60) % 3 == 1
    np.testing.assert_allclose(model.get_latent_representation(adata, order), whole[order], **CLOSE)
    np.testing.assert_allclose(model.get_latent_representation(adata[order].copy()), whole[order], **CLOSE)
    np.testing.assert_allclose(model.get_latent_representation(adata, mask, batch_size=4), whole[mask], **CLOSE)
    assert model.get_latent_representation(adata, np.zeros(60, bool)).shape == (0, 8)
    assert whole.dtype == np.float32


@pytest.mark.parametrize("batch_size", [0, -5])
def test_a_batch_size_that_cannot_be(model, adata, batch_size):
    with pytest.raises(ConfigError, match="needed is a positive number of cells"):
        model.get_latent_representation(adata, batch_size=batch_size)


def test_positions_that_do_not_exist(model, adata):
    for indices in ([60], [-61], [True, False]):
        with pytest.raises(DataError, match="from -60 to 59"):
            model.get_latent_representation(adata, indices)


# ---------------------------------------------------------------- layers and set-ups


def test_the_layer_of_a_query(model, adata):
    expected = model.get_latent_representation(adata)
    adata.layers["counts"] = adata.X.copy()
    adata.X = logged(adata)
    with pytest.raises(LogTransformedError, match="X"):
        model.get_latent_representation(adata)
    np.testing.assert_array_equal(model.get_latent_representation(adata, layer="counts"), expected)
    GeneMAE.setup_anndata(adata, layer="counts")
    np.testing.assert_array_equal(model.get_latent_representation(adata), expected)


def test_a_setup_for_other_values_is_not_taken_for_the_layer(adata, sizes, trained_normal):
    query = adata.copy()
    query.layers["counts"] = adata.X.copy()
    query.layers["logged"] = logged(adata)
    GeneMAE.setup_anndata(query, layer="counts")
    np.testing.assert_array_equal(
        trained_normal.get_latent_representation(query), trained_normal.get_latent_representation(query, layer="logged")
    )


def test_without_a_query_a_layer_can_be_named_too(adata, sizes):
    adata.layers["half"] = adata.X.copy()
    adata.layers["half"].data = np.ceil(adata.X.data / 2)
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    model.initialize()
    assert np.abs(model.get_latent_representation(layer="half") - model.get_latent_representation()).max() > 1e-4
    with pytest.raises(SetupError, match=r"no layer 'none'.*half"):
        model.get_latent_representation(layer="none")


def test_data_normalised_after_the_setup_are_refused(adata, sizes):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    adata.X = logged(adata)
    for call in (lambda: model.train(**QUICK), model.initialize):
        with pytest.raises(LogTransformedError, match="raw counts are needed"):
            call()
    assert model.network is None


def test_loading_with_data_of_another_kind_is_refused(model, adata, tmp_path):
    folder = model.save(tmp_path / "m")
    with pytest.raises(SetupError, match=r"GeneMAE\.setup_anndata"):
        GeneMAE.load(folder, adata)
    adata.X = logged(adata)
    GeneMAE.setup_anndata(adata, gene_likelihood="normal")
    with pytest.raises(ConfigError, match="set up with gene_likelihood='normal'"):
        GeneMAE.load(folder, adata)


def test_a_loaded_model_trains_on(model, adata, tmp_path):
    GeneMAE.setup_anndata(adata)
    loaded = GeneMAE.load(model.save(tmp_path / "m"), adata)
    before = loaded.get_latent_representation()
    loaded.train(**QUICK)
    assert np.abs(loaded.get_latent_representation() - before).max() > 0
    assert len(loaded.history) == 2
    np.testing.assert_array_equal(model.get_latent_representation(adata), before)


@pytest.mark.parametrize("keys", [{"layer": "raw"}, {"batch_key": "donor"}, {"gene_likelihood": "gamma"}])
def test_a_refused_setup_leaves_the_data_as_they_were(adata, keys):
    adata.layers["counts"] = adata.X.copy()
    with pytest.raises((SetupError, ConfigError), match="counts|batch|zinb"):
        GeneMAE.setup_anndata(adata, **keys)
    assert dict(adata.uns) == {}


# ---------------------------------------------------------------- covariates


@pytest.mark.filterwarnings("ignore:obs has no column 'batch', so the embedding is not corrected")
def test_batch_labels_do_not_matter_to_an_embedding_that_is_not_corrected(adata, sizes):
    GeneMAE.setup_anndata(adata, batch_key="batch")
    model = GeneMAE(adata, **sizes)
    model.train(**QUICK)
    expected = model.get_latent_representation(correct_batch=False)
    query = adata.copy()
    query.obs["batch"] = "never seen"
    np.testing.assert_array_equal(model.get_latent_representation(query, correct_batch=False), expected)
    del query.obs["batch"], adata.obs["batch"]
    np.testing.assert_array_equal(model.get_latent_representation(query), expected)
    np.testing.assert_array_equal(model.get_latent_representation(), expected)
    with pytest.raises(SetupError, match="no column 'batch'"):
        model.train(**QUICK)


def test_covariates_reach_the_decoder(adata, sizes):
    weights = []
    for labels in (["a", "b"], ["b", "a"], ["a", "a"]):
        adata.obs["batch"] = np.resize(labels, 60)
        GeneMAE.setup_anndata(adata, batch_key="batch")
        model = GeneMAE(adata, **sizes)
        model.train(**QUICK)
        weights.append(model)
    assert [m.record.covariates.width for m in weights] == [2, 2, 1]
    assert weights[0].history["train_loss"].iloc[-1] != weights[1].history["train_loss"].iloc[-1]


def test_real_cells_keep_the_laws(sizes, tmp_path):
    adata = rb.datasets.pbmc68k()
    GeneMAE.setup_anndata(adata, layer="counts")
    model = GeneMAE(adata, **sizes)
    model.train(max_epochs=10, batch_size=64, progress_bar=False)
    assert model.history["validation_loss"].iloc[-1] < model.blind_loss
    whole = model.get_latent_representation()
    shuffled = adata[::-1, np.random.default_rng(0).permutation(adata.n_vars)].copy()
    np.testing.assert_allclose(model.get_latent_representation(shuffled, batch_size=97)[::-1], whole, **CLOSE)
    assert model.coverage.matched == adata.n_vars
    panel = adata[:, ::5].copy()
    aligned = rb.pp.align_genes(panel, model, layer="counts")
    np.testing.assert_allclose(model.get_latent_representation(aligned), model.get_latent_representation(panel), **CLOSE)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    np.testing.assert_array_equal(GeneMAE.load(model.save(tmp_path / "m")).get_latent_representation(backed), whole)
    backed.file.close()
