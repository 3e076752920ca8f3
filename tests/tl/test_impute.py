"""``tl.impute``: layers that hold what the model says, and survive a file."""

from __future__ import annotations

import tracemalloc

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, NegativeCountsError
from r2mae_bio.cells.model._moments import Predictor
from r2mae_bio.cells.model._setup import Setup

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
        ({"genes": ["G1", "Q"]}, r"1 of the genes asked for are not known to the model, such as \['Q'\]"),
        ({"genes": "G1", "unmeasured": True}, "leave unmeasured and threshold as they are"),
        ({"genes": "G1", "threshold": 0.1}, "leave unmeasured and threshold as they are"),
        ({"threshold": 0}, "threshold is 0"),
        ({"out": "x.zarr", "copy": True}, "leave copy and threshold as they are"),
        ({"out": "x.zarr", "threshold": 1}, "leave copy and threshold as they are"),
        ({"out": "x.csv"}, "needed is a name that ends in .zarr or .h5ad"),
    ):
        with pytest.raises(ConfigError, match=message):
            rb.tl.impute(adata, model, **settings)
    adata.layers["counts"].data[0] = -1
    with pytest.raises(NegativeCountsError):
        rb.tl.impute(adata, model)
    assert set(adata.layers) - {None} == {"counts"}
    assert "impute" not in adata.uns.get("r2mae", {})


# ---------------------------------------------------------------- few genes, few entries, a file


def test_genes_that_are_named_go_to_obsm(adata, model):
    whole = rb.tl.impute(adata, model, copy=True)
    rb.tl.impute(adata, model, genes=["G7", "G1"])
    for name in ("r2mae_mean", "r2mae_sd"):
        frame = adata.obsm[name]
        assert list(frame.columns) == ["G7", "G1"]
        assert list(frame.index) == list(adata.obs_names)
        assert (frame.dtypes == np.float32).all()
        np.testing.assert_array_equal(frame, whole.layers[name][:, [7, 1]])
    assert set(adata.layers) - {None} == {"counts"}
    panel = make_cells()[:, :6].copy()
    rb.tl.impute(panel, model, genes="G12", key_added="one")
    absent = rb.tl.impute(panel, model, unmeasured=True, copy=True).obsm["r2mae_unmeasured_mean"]
    assert list(panel.obsm["one_mean"].columns) == ["G12"]
    np.testing.assert_array_equal(panel.obsm["one_mean"]["G12"], absent["G12"])


def test_what_a_sparse_layer_leaves_out_is_recorded(adata, model):
    whole = rb.tl.impute(adata, model, copy=True)
    adata = ad.concat([adata, ad.AnnData(np.ones((60, 1), np.float32), obs=adata.obs, var=pd.DataFrame(index=["other"]),
                                         layers={"counts": np.ones((60, 1), np.float32)})], axis=1)  # fmt: skip
    adata.layers["counts"] = sparse.csr_matrix(adata.layers["counts"])
    rb.tl.impute(adata, model, threshold=1.5, batch_size=25)
    mean, sd = adata.layers["r2mae_mean"], adata.layers["r2mae_sd"]
    kept = whole.layers["r2mae_mean"] >= 1.5
    assert 0 < kept.sum() < kept.size
    for layer, name in ((mean, "r2mae_mean"), (sd, "r2mae_sd")):
        assert sparse.issparse(layer)
        assert layer.format == "csr"
        assert layer.dtype == np.float32
        assert layer.has_canonical_format
        np.testing.assert_allclose(layer.toarray()[:, :20], np.where(kept, whole.layers[name], 0), rtol=1e-4)
        assert layer[:, [20]].nnz == 0
    record = adata.uns["r2mae"]["impute"]["r2mae"]
    assert record["threshold"] == 1.5
    lost = 1 - mean.sum() / whole.layers["r2mae_mean"].sum()
    assert record["share_below_threshold"] == pytest.approx(lost, rel=1e-3)


@pytest.mark.parametrize(("suffix", "read"), [(".zarr", ad.read_zarr), (".h5ad", ad.read_h5ad)])
def test_a_store_holds_the_layers(adata, model, tmp_path, suffix, read):
    panel = adata[::-1, ["G9", "G3", "G0", "G14"]].copy()
    before = panel.copy()
    whole = rb.tl.impute(panel, model, unmeasured=True, copy=True)
    store = tmp_path / f"imputed{suffix}"
    assert rb.tl.impute(panel, model, unmeasured=True, out=str(store), batch_size=25) is None
    assert [file.name for file in tmp_path.iterdir()] == [store.name]
    assert set(panel.layers) == set(before.layers)
    assert not set(panel.obsm)
    found = read(store)
    rest = list(whole.obsm["r2mae_unmeasured_mean"].columns)
    assert list(found.var_names) == ["G9", "G3", "G0", "G14", *rest]
    assert list(found.obs_names) == list(panel.obs_names)
    for values, name in ((found.X, "mean"), (found.layers["sd"], "sd")):
        assert values.dtype == np.float32
        expected = np.hstack([whole.layers[f"r2mae_{name}"], whole.obsm[f"r2mae_unmeasured_{name}"]])
        np.testing.assert_allclose(values, expected, rtol=1e-4)
    assert found.uns["r2mae"]["impute"]["r2mae"]["checksum"] == model.checksum()
    with pytest.raises(ConfigError, match="exists already; pass overwrite=True"):
        rb.tl.impute(panel, model, out=store)
    rb.tl.impute(panel, model, genes=["G12"], out=store, overwrite=True)
    assert read(store).shape == (60, 1)


def test_reference_cells_correct_totals_of_unmeasured_genes(adata, model):
    panel = adata[:, :8].copy()
    rb.tl.impute(panel, model, unmeasured=True, reference=adata, layer="counts")
    mean, sd = model.get_predictive_moments(panel, reference=adata, layer="counts")
    np.testing.assert_array_equal(panel.obsm["r2mae_unmeasured_mean"], mean[:, 8:])
    np.testing.assert_array_equal(panel.layers["r2mae_sd"], sd[:, :8])
    true = adata.layers["counts"].toarray()[:, 8:].sum(0)
    plain = rb.tl.impute(panel, model, unmeasured=True, copy=True).obsm["r2mae_unmeasured_mean"].sum()
    distance = [np.abs(np.log(total / true)).max() for total in (plain, panel.obsm["r2mae_unmeasured_mean"].sum())]
    assert distance[1] < 0.7 * distance[0]
    assert panel.uns["r2mae"]["impute"]["r2mae"]["reference"]


def test_each_panel_is_corrected_as_if_it_were_alone(adata, model):
    few = ["G9", "G3", "G0", "G14", "G1", "G2"]
    parts = {"whole": adata[:30].copy(), "few": adata[30:, few].copy()}
    panels = {"whole": list(adata.var_names), "few": few}
    joined = ad.concat(parts, join="outer", label="panel")[np.random.default_rng(1).permutation(60)].copy()
    rb.model.GeneMAE.setup_anndata(joined, layer="counts", measured=panels, panel_key="panel")
    rb.tl.impute(joined, model, reference=adata, layer="counts")
    plain = rb.tl.impute(joined, model, copy=True)
    unmeasured = ~joined.var_names.isin(few)
    for name, part in parts.items():
        rb.tl.impute(part, model, unmeasured=True, reference=adata, layer="counts")
        for kind in ("mean", "sd"):
            alone = pd.DataFrame(part.layers[f"r2mae_{kind}"], part.obs_names, part.var_names)
            alone = alone.join(part.obsm[f"r2mae_unmeasured_{kind}"])
            together = pd.DataFrame(joined.layers[f"r2mae_{kind}"], joined.obs_names, joined.var_names)
            np.testing.assert_allclose(together.loc[part.obs_names], alone.loc[:, joined.var_names], rtol=1e-4, err_msg=name)
    rows = (joined.obs["panel"] == "few").to_numpy()
    moved = joined.layers["r2mae_mean"] / plain.layers["r2mae_mean"]
    np.testing.assert_allclose(moved[~rows], 1, rtol=1e-4)
    np.testing.assert_allclose(moved[rows][:, ~unmeasured], 1, rtol=1e-4)
    assert np.abs(np.log(moved[rows][:, unmeasured])).max() > 0.05


def test_cells_are_counted_in_a_bar(adata, model, tmp_path, capsys):
    rb.tl.impute(adata, model, batch_size=16, progress_bar=False)
    assert capsys.readouterr().err == ""
    for settings in ({}, {"out": tmp_path / "imputed.zarr"}):
        rb.tl.impute(adata, model, batch_size=16, **settings)
        assert "60/60" in capsys.readouterr().err


# ---------------------------------------------------------------- memory, and calls that do not end


def break_third_block(monkeypatch, error):
    calls, moments = [], Predictor.moments

    def breaking(self, tokens):
        calls.append(1)
        if len(calls) == 3:
            raise error
        return moments(self, tokens)

    monkeypatch.setattr(Predictor, "moments", breaking)


@pytest.mark.parametrize("error", [RuntimeError("no memory"), KeyboardInterrupt()])
@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"unmeasured": True}, id="layers"),
        pytest.param({"genes": ["G7", "G1"]}, id="frames"),
        pytest.param({"threshold": 0.5}, id="sparse"),
        pytest.param({"out": "imputed.zarr", "overwrite": True}, id="zarr"),
        pytest.param({"out": "imputed.h5ad", "overwrite": True}, id="h5ad"),
    ],
)
def test_a_call_that_fails_midway_leaves_everything_as_it_was(adata, model, tmp_path, monkeypatch, error, settings):
    monkeypatch.chdir(tmp_path)
    panel, view, fresh = adata[:, :12].copy(), adata[:, :12], adata[:, :12].copy()
    rb.tl.impute(panel, model, n_masks=4, batch_size=60, unmeasured=True)
    if "out" in settings:
        rb.tl.impute(panel, model, n_masks=4, out=settings["out"])
    before = panel.copy()
    files = sorted((str(f.relative_to(tmp_path)), f.is_file() and f.read_bytes()) for f in tmp_path.rglob("*"))
    for data in (panel, view, fresh):
        with monkeypatch.context() as patch:
            break_third_block(patch, error)
            with pytest.raises(type(error)):
                rb.tl.impute(data, model, batch_size=16, **settings)
    for slot in ("layers", "obsm"):
        assert list(getattr(panel, slot)) == list(getattr(before, slot))
        for key, value in getattr(before, slot).items():
            kept = getattr(panel, slot)[key]
            assert (kept != value).nnz == 0 if sparse.issparse(value) else np.array_equal(kept, value)
    np.testing.assert_equal(panel.uns["r2mae"], before.uns["r2mae"])
    assert view.is_view
    assert "r2mae" not in view.uns
    assert "r2mae" not in fresh.uns
    assert files == sorted((str(f.relative_to(tmp_path)), f.is_file() and f.read_bytes()) for f in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("settings", "written"),
    [({}, 2 * 20 * 4), ({"genes": ["G1"]}, 2 * 4), ({"out": "imputed.h5ad"}, 0)],
    ids=["layers", "genes", "out"],
)
def test_memory_is_what_is_written_and_one_block(model, tmp_path, monkeypatch, settings, written):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Setup, "check", lambda *_, **__: None)  # its blocks are of 2 million entries
    beyond = []
    for times in (40, 200):
        adata = ad.concat([make_cells()] * times, index_unique="-")
        tracemalloc.start()
        rb.tl.impute(adata, model, n_masks=2, hide=0.5, batch_size=200, overwrite=True, **settings)
        beyond.append(tracemalloc.get_traced_memory()[1] - written * adata.n_obs)
        tracemalloc.stop()
    more_cells = 160 * 60
    # a copy of one layer would be as much; names of cells are less, where they are written
    assert beyond[1] - beyond[0] < 20 * 4 * more_cells
