"""``tl.impute``: layers that hold what the model says, and survive a file."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, NegativeCountsError

SIZES = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}


def make_cells():
    rng = np.random.default_rng(0)
    profile = rng.gamma(1, 2, (3, 20))[np.arange(60) % 3]
    counts = rng.poisson(profile * rng.gamma(3, 1 / 3, (60, 20))) + (np.arange(20) == 0)
    data = ad.AnnData(np.zeros((60, 20), np.float32), layers={"counts": sparse.csr_matrix(counts.astype(np.float32))})
    data.var_names = [f"G{i}" for i in range(20)]
    data.obs_names = [f"c{i}" for i in range(60)]
    return data


@pytest.fixture(scope="module")
def model():
    adata = make_cells()
    return rb.tl.pretrain(adata, layer="counts", model_kwargs={"seed": 2, **SIZES}, max_epochs=3, progress_bar=False)


@pytest.fixture
def adata():
    return make_cells()


def test_layers_are_the_models_moments(adata, model):
    assert rb.tl.impute(adata, model, seed=4) is None
    for name, expected in zip(("mean", "sd"), model.get_predictive_moments(adata, seed=4), strict=True):
        np.testing.assert_array_equal(adata.layers[f"r2mae_{name}"], expected)
        assert adata.layers[f"r2mae_{name}"].dtype == np.float32
    assert not set(adata.obsm)
    low, high = rb.likelihoods.predictive_interval(adata.layers["r2mae_mean"], adata.layers["r2mae_sd"])
    assert (low <= adata.layers["r2mae_mean"]).all()
    assert (high >= np.floor(adata.layers["r2mae_mean"])).all()


def test_layers_of_a_prediction_from_other_genes_do_not_see_the_gene(adata, model):
    rb.tl.impute(adata, model, own_counts=False, key_added="others")
    changed = make_cells()
    dense = changed.layers["counts"].toarray()
    dense[:, 7] += 30
    changed.layers["counts"] = sparse.csr_matrix(dense)
    rb.tl.impute(changed, model, own_counts=False, key_added="others")
    for name in ("others_mean", "others_sd"):
        np.testing.assert_array_equal(changed.layers[name][:, 7], adata.layers[name][:, 7])
        assert not np.array_equal(changed.layers[name], adata.layers[name])


def test_columns_are_found_by_name(adata, model):
    rb.tl.impute(adata, model)
    panel = adata[::-1, ["G9", "G3", "G0", "G14", "G1", "G2"]].copy()
    for name in ("r2mae_mean", "r2mae_sd"):
        del panel.layers[name]
    panel = ad.concat([panel, ad.AnnData(np.ones((60, 1), np.float32), obs=panel.obs, var=pd.DataFrame(index=["other"]),
                                         layers={"counts": np.ones((60, 1), np.float32)})], axis=1)  # fmt: skip
    rb.tl.impute(panel, model, unmeasured=True)
    assert np.isnan(panel.layers["r2mae_mean"][:, 6]).all()
    assert np.isfinite(panel.layers["r2mae_mean"][:, :6]).all()
    absent = panel.obsm["r2mae_unmeasured_mean"]
    assert list(absent.columns) == [f"G{i}" for i in range(20) if i not in (9, 3, 0, 14, 1, 2)]
    assert list(absent.index) == list(panel.obs_names)
    mean, sd = model.get_predictive_moments(panel)
    np.testing.assert_array_equal(absent, mean[:, [int(g[1:]) for g in absent.columns]])
    np.testing.assert_array_equal(panel.layers["r2mae_sd"][:, :2], sd[:, [9, 3]])
    assert (absent.dtypes == np.float32).all()


def test_a_column_that_was_not_measured_is_filled(adata, model):
    adata.var["measured"] = np.arange(20) != 5
    rb.tl.impute(adata, model)
    without = make_cells()[:, np.arange(20) != 5].copy()
    mean, _ = model.get_predictive_moments(without)
    np.testing.assert_allclose(adata.layers["r2mae_mean"][:, 5], mean[:, 5], rtol=1e-5)


def test_cells_do_not_depend_on_company(adata, model):
    rb.tl.impute(adata, model)
    some = make_cells()[[31, 4, 50]].copy()
    rb.tl.impute(some, model, batch_size=2)
    for name in ("r2mae_mean", "r2mae_sd"):
        np.testing.assert_allclose(some.layers[name], adata.layers[name][[31, 4, 50]], rtol=1e-4)


def test_survives_h5ad(adata, model, tmp_path):
    panel = adata[:, :12].copy()
    rb.tl.impute(panel, model, n_masks=3, hide=0.5, unmeasured=True, key_added="again")
    rb.tl.impute(panel, model)
    panel.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    for name in ("again_mean", "again_sd", "r2mae_mean", "r2mae_sd"):
        np.testing.assert_array_equal(back.layers[name], panel.layers[name])
    pd.testing.assert_frame_equal(back.obsm["again_unmeasured_sd"], panel.obsm["again_unmeasured_sd"], check_index_type=False)
    record = back.uns["r2mae"]["impute"]
    assert record["again"]["n_masks"] == 3
    assert record["again"]["own_counts"]
    assert record["r2mae"]["checksum"] == model.checksum()


def test_copies_views_and_folders(adata, model, tmp_path):
    folder = model.save(tmp_path / "model")
    copied = rb.tl.impute(adata, folder, copy=True)
    assert set(adata.layers) - {None} == {"counts"}
    view = adata[:10]
    rb.tl.impute(view, str(folder))
    np.testing.assert_allclose(view.layers["r2mae_mean"], copied.layers["r2mae_mean"][:10], rtol=1e-4)
    assert set(adata.layers) - {None} == {"counts"}


def test_a_refusal_writes_nothing(adata, model):
    for settings, message in (
        ({"n_masks": 0}, "n_masks is 0"),
        ({"hide": 0.9}, "hide is 0.9"),
        ({"batch_size": 0}, "batch_size is 0"),
    ):
        with pytest.raises(ConfigError, match=message):
            rb.tl.impute(adata, model, **settings)
    adata.layers["counts"].data[0] = -1
    with pytest.raises(NegativeCountsError):
        rb.tl.impute(adata, model)
    assert set(adata.layers) - {None} == {"counts"}
    assert "impute" not in adata.uns.get("r2mae", {})
