"""Gene identity and invariance: names decide, never positions; neighbours, order and storage do not
matter.
"""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

from r2mae_bio import pp
from r2mae_bio._errors import DuplicateGenesError, GeneCoverageError, SetupError

CLOSE = {"atol": 1e-5, "rtol": 1e-5}


def test_permuted_genes_give_the_same_embedding(model, adata):
    order = np.random.default_rng(0).permutation(adata.n_vars)
    permuted = adata[:, order].copy()
    np.testing.assert_array_equal(model.get_latent_representation(permuted), model.get_latent_representation(adata))


def test_renamed_genes_are_refused(model, adata):
    adata.var_names = [f"other{i}" for i in range(adata.n_vars)]
    with pytest.raises(GeneCoverageError, match="other0"):
        model.get_latent_representation(adata)


def test_unknown_genes_change_nothing(model, adata):
    extra = ad.AnnData(sparse.csr_matrix(np.full((adata.n_obs, 5), 9, np.float32)), obs=adata.obs.copy())
    extra.var_names = [f"new{i}" for i in range(5)]
    wider = ad.concat([extra, adata], axis=1)
    latent = model.get_latent_representation(wider)
    assert model.coverage.unknown == 5
    np.testing.assert_allclose(latent, model.get_latent_representation(adata), **CLOSE)


def test_a_missing_gene_is_hidden_not_zero(model, adata):
    panel = adata[:, :12].copy()
    aligned = pp.align_genes(panel, model)
    as_zero = aligned.copy()
    del as_zero.var["measured"]
    hidden = model.get_latent_representation(panel)
    np.testing.assert_allclose(model.get_latent_representation(aligned), hidden, **CLOSE)
    assert np.abs(model.get_latent_representation(as_zero) - hidden).max() > 1e-2


def test_the_coverage_report_is_written(model, adata, tmp_path):
    panel = adata[:, 3:15].copy()
    model.get_latent_representation(panel)
    report = panel.uns["r2mae"]["coverage"]
    assert (report["matched"], report["missing"], report["n_model"]) == (12, 18, 30)
    expected = adata.X[:, 3:15].sum() / adata.X.sum()
    assert report["count_fraction"] == pytest.approx(expected)
    panel.write_h5ad(tmp_path / "panel.h5ad")
    assert ad.read_h5ad(tmp_path / "panel.h5ad").uns["r2mae"]["coverage"]["matched"] == 12


def test_duplicates_are_refused_or_summed(model, adata):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Variable names are not unique")
        twice = ad.concat([adata, adata[:, :2]], axis=1, merge="same")
    with pytest.raises(DuplicateGenesError, match="G0"):
        model.get_latent_representation(twice)
    summed = adata.copy()
    summed.X = sparse.csr_matrix(adata.X.toarray() * np.where(np.arange(30) < 2, 2, 1).astype(np.float32))
    got = model.get_latent_representation(twice, duplicates="sum")
    np.testing.assert_allclose(got, model.get_latent_representation(summed), **CLOSE)


@pytest.mark.parametrize("batch_size", [1, 7, 1000])
def test_batch_size_and_mates_do_not_matter(model, adata, batch_size):
    whole = model.get_latent_representation(adata)
    np.testing.assert_allclose(model.get_latent_representation(adata, batch_size=batch_size), whole, **CLOSE)
    picked = [5, 2, 40]
    np.testing.assert_allclose(model.get_latent_representation(adata, picked), whole[picked], **CLOSE)
    np.testing.assert_allclose(model.get_latent_representation(adata[picked]), whole[picked], **CLOSE)


@pytest.mark.parametrize("form", ["dense", "csc", "int", "float64", "view", "backed"])
def test_storage_does_not_matter(model, adata, form, tmp_path):
    expected = model.get_latent_representation(adata)
    match form:
        case "dense":
            adata.X = adata.X.toarray()
        case "csc":
            adata.X = adata.X.tocsc()
        case "int":
            adata.X = adata.X.astype(np.int32)
        case "float64":
            adata.X = adata.X.astype(np.float64)
        case "view":
            adata = adata[:]
        case "backed":
            adata.write_h5ad(tmp_path / "cells.h5ad")
            adata = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    np.testing.assert_array_equal(model.get_latent_representation(adata), expected)


def test_a_wrong_layer_names_those_that_exist(model, adata):
    adata.layers["raw_counts"] = adata.X.copy()
    with pytest.raises(SetupError, match="raw_counts"):
        model.get_latent_representation(adata, layer="counts")


def test_an_empty_cell_of_a_query_is_embedded_with_a_warning(model, adata):
    dense = adata.X.toarray()
    dense[4] = 0
    adata.X = dense
    with pytest.warns(UserWarning, match="embedded all the same"):
        latent = model.get_latent_representation(adata)
    assert np.isfinite(latent).all()


def test_aligned_cells_forget_a_setup_whose_layer_they_lost(model, adata):
    adata.layers["counts"] = adata.X.copy()
    model.setup_anndata(adata, layer="counts")
    aligned = pp.align_genes(adata[:, :12].copy(), model, layer="counts")
    expected = model.get_latent_representation(adata[:, :12].copy(), layer="counts")
    np.testing.assert_allclose(model.get_latent_representation(aligned), expected, **CLOSE)
