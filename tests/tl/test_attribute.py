"""Attributions: they add up, find the genes that were planted, and name what the model rests on."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio.cells.fit._covariance import within_covariance
from r2mae_bio.errors import ConfigError, DataError, DuplicateGenesError, NegativeCountsError, NotTrainedError, SetupError

SIZES = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}
N_GENES, N_OWN = 40, 8
KEY = "r2mae_attribution"


def make_cells(n=120, seed=0):
    """Groups A, B and C; A and B have eight genes of their own each, C has none, and the rest of
    the genes say nothing.
    """
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 3
    own = np.arange(N_GENES)[None] // N_OWN == np.where(group < 2, group, -1)[:, None]
    counts = rng.poisson(np.where(own, 8.0, 2.0) * rng.gamma(20, 1 / 20, (n, 1))).astype(np.float32)
    obs = pd.DataFrame({"group": pd.Categorical(np.array(["A", "B", "C/c"])[group])}, index=[f"c{i}" for i in range(n)])
    adata = ad.AnnData(sparse.csr_matrix(counts), obs=obs)
    adata.var_names = [f"G{i}" for i in range(N_GENES)]
    return adata


def make_model(*, epochs=20, **settings):
    adata = make_cells()
    rb.model.GeneMAE.setup_anndata(adata)
    model = rb.model.GeneMAE(adata, seed=1, **{**SIZES, **settings})
    if epochs:
        model.train(max_epochs=epochs, batch_size=32, progress_bar=False)
    else:
        model.initialize()
    return model


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def plain():
    """A model that does not guess what was hidden."""
    return make_model(panel_reader=False)


@pytest.fixture(scope="module")
def mlp():
    return make_model(encoder="mlp")


@pytest.fixture
def adata():
    return make_cells()


def record(adata, key=KEY):
    return adata.uns["r2mae"]["attribution"][key]


@pytest.mark.parametrize("method", ["lda", "means"])
@pytest.mark.parametrize("name", ["model", "mlp"])
def test_contributions_add_up_to_the_distance_of_the_scores(request, adata, name, method):
    model = request.getfixturevalue(name)
    rb.tl.attribute(adata, model, groupby="group", method=method)
    found = record(adata)
    latent = model.get_latent_representation(adata)
    for j, group in enumerate(["A", "B", "C/c"]):
        score, ours = latent @ found["direction"][j], (adata.obs["group"] == group).to_numpy()
        distance = score[ours].mean() - score[~ours].mean()
        assert found["difference"][j] == pytest.approx(distance, rel=1e-4)
        assert adata.varm[KEY][:, j].sum() == pytest.approx(distance, rel=1e-3)
        assert found["completeness_error"][j] < 1e-3 * distance
    assert list(found["groups"]) == ["A", "B", "C/c"]
    assert list(found["n_cells"]) == [40, 40, 40]
    assert list(found["n_reference"]) == [80, 80, 80]
    assert adata.varm[KEY].dtype == np.float32


def test_a_linear_model_s_contributions_have_a_closed_form(adata):
    model = make_model(epochs=0)  # a factor analysis: the transformer adds nothing yet
    rb.tl.attribute(adata, model, groupby="group", reference="B", groups=["A"])
    network, encoder = model.network, model.network.encoder
    counts = adata.X.toarray().astype(np.float64)
    mean, sd, depth = network.content.mean.numpy(), network.content.sd.numpy(), float(network.content.mean_depth)
    content = (np.sqrt(counts * ((depth + 10) / (counts.sum(1) + 10))[:, None]) - mean) / sd
    keys = encoder.read.keys.detach().numpy().astype(np.float64)
    scaled = keys / np.exp(encoder.read.log_noise.detach().numpy())[:, None]
    read = np.linalg.solve(np.eye(4) + keys.T @ scaled, scaled.T)
    slope = record(adata)["direction"][0] @ encoder.linear.weight.detach().numpy() @ read
    group = adata.obs["group"].to_numpy()
    expected = slope * (content[group == "A"].mean(0) - content[group == "B"].mean(0))
    np.testing.assert_allclose(adata.varm[KEY][:, 0], expected, atol=1e-4)


def test_directions_have_unit_spread_within_groups_and_lda_is_fisher_s(adata, model):
    latent, group = model.get_latent_representation(adata), adata.obs["group"].to_numpy()
    within = within_covariance([latent[group == name] for name in ("A", "B", "C/c")])
    difference = latent[group == "A"].mean(0) - latent[group != "A"].mean(0)
    for method, expected in [("lda", np.linalg.solve(within, difference)), ("means", difference)]:
        rb.tl.attribute(adata, model, groupby="group", groups=["A"], method=method)
        direction = record(adata)["direction"][0].astype(np.float64)
        assert direction @ within @ direction == pytest.approx(1, rel=1e-3)
        cosine = direction @ expected / np.linalg.norm(direction) / np.linalg.norm(expected)
        assert cosine == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("name", ["model", "mlp"])
def test_the_planted_genes_are_found(request, adata, name):
    rb.tl.attribute(adata, request.getfixturevalue(name), groupby="group", groups=["A", "B"], reference="C/c")
    found = adata.varm[KEY]
    block = np.arange(N_GENES) // N_OWN
    for j in (0, 1):
        assert found[block == j, j].sum() > 0.5 * found[:, j].sum()  # by chance a fifth
        assert np.mean(block[np.argsort(-found[:, j])[: N_OWN // 2]] == j) >= 0.75


@pytest.mark.parametrize("name", ["plain", "mlp"])
def test_hiding_what_is_named_costs_more_than_hiding_other_genes(request, adata, name):
    model = request.getfixturevalue(name)
    rb.tl.attribute(adata, model, groupby="group", groups=["A"], reference="C/c")
    direction, group = record(adata)["direction"][0], adata.obs["group"].to_numpy()

    def distance(hidden):
        score = model.get_latent_representation(adata[:, np.setdiff1d(np.arange(N_GENES), hidden)].copy()) @ direction
        return score[group == "A"].mean() - score[group == "C/c"].mean()

    k, rng = 4, np.random.default_rng(0)
    top = np.argsort(-adata.varm[KEY][:, 0])[:k]
    # genes of B have the same mean over all cells as those of A
    others = [distance(rng.choice(np.arange(N_OWN, 2 * N_OWN), k, replace=False)) for _ in range(5)]
    whole = distance([])
    assert whole - distance(top) > 0.1 * whole
    assert whole - distance(top) > 2 * max(abs(whole - other) for other in others)


def test_genes_in_another_order_unknown_ones_and_ones_not_measured(model, adata):
    rb.tl.attribute(adata, model, groupby="group")
    order = np.random.default_rng(0).permutation(N_GENES)
    extra = ad.AnnData(adata.X[:, :2] * 3, obs=adata.obs, var=pd.DataFrame(index=["new0", "new1"]))
    wider = ad.concat([extra, adata[:, order]], axis=1, merge="first")
    rb.tl.attribute(wider, model, groupby="group")
    assert np.isnan(wider.varm[KEY][:2]).all()
    np.testing.assert_allclose(wider.varm[KEY][2:], adata.varm[KEY][order], atol=1e-4)
    aligned = rb.pp.align_genes(adata[:, 6:].copy(), model)
    rb.tl.attribute(aligned, model, groupby="group")
    assert np.isnan(aligned.varm[KEY][:6]).all()
    np.testing.assert_allclose(aligned.varm[KEY][6:].sum(0), record(aligned)["difference"], rtol=1e-3)


def test_what_is_said_of_the_genes_is_said_once(model, adata):
    adata.var_names = [*adata.var_names[:-1], "G3-1"]
    with pytest.warns(UserWarning, match="made unique") as caught:
        rb.tl.attribute(adata, model, groupby="group")
    assert [str(w.message) for w in caught if "made unique" in str(w.message)] == [str(caught[0].message)]


def test_the_draw_is_that_of_the_seed(model, adata):
    one, again, other = (rb.tl.attribute(adata, model, groupby="group", n_cells=10, seed=seed, copy=True) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.varm[KEY], again.varm[KEY])
    assert np.abs(one.varm[KEY] - other.varm[KEY]).max() > 1e-3
    assert list(record(one)["n_cells"]) == list(record(one)["n_reference"]) == [10, 10, 10]


def test_groups_of_other_types_and_cells_without_one(model, adata):
    rb.tl.attribute(adata, model, groupby="group")
    adata.obs["number"] = adata.obs["group"].cat.codes.astype(float)
    adata.obs.loc[adata.obs_names[:30], "number"] = np.nan
    part = rb.tl.attribute(adata[30:].copy(), model, groupby="group", copy=True)
    rb.tl.attribute(adata, model, groupby="number", key_added="numbers")
    assert list(record(adata, "numbers")["groups"]) == ["0.0", "1.0", "2.0"]
    np.testing.assert_allclose(adata.varm["numbers"], part.varm[KEY], atol=1e-4)
    assert set(adata.uns["r2mae"]["attribution"]) == {KEY, "numbers"}


def test_copy_view_folder_and_h5ad(model, adata, tmp_path):
    copied = rb.tl.attribute(adata, model.save(tmp_path / "model"), groupby="group", copy=True)
    assert list(adata.varm) == []
    assert "r2mae" not in adata.uns
    view = adata[:]
    assert rb.tl.attribute(view, model, groupby="group") is None
    np.testing.assert_allclose(view.varm[KEY], copied.varm[KEY], atol=1e-5)
    copied.write_h5ad(tmp_path / "cells.h5ad")
    back = ad.read_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(back.varm[KEY], copied.varm[KEY])
    found = record(back)
    assert list(found["groups"]) == ["A", "B", "C/c"]
    np.testing.assert_array_equal(found["direction"], record(copied)["direction"])
    assert (found["groupby"], found["reference"], found["steps"], found["layer"]) == ("group", "rest", 16, "")


def test_duplicates(model, adata):
    adata.var["symbol"] = ["G1", *adata.var_names[1:]]
    adata.var_names = [f"id{i}" for i in range(N_GENES)]
    with pytest.raises(DuplicateGenesError, match="'G1'"):
        rb.tl.attribute(adata, model, groupby="group")
    rb.tl.attribute(adata, model, groupby="group", duplicates="sum")
    rows = adata.varm[KEY]
    np.testing.assert_array_equal(rows[0], rows[1])
    np.testing.assert_allclose(rows[1:].sum(0), record(adata)["difference"], rtol=1e-3)


def lonely(adata):
    adata.obs["group"] = ["alone", *adata.obs["group"].astype(str)[1:]]


def alike(adata):
    adata.obs["group"] = "A"


def negative(adata):
    adata.X.data[0] = -1


@pytest.mark.parametrize(
    ("change", "settings", "error", "match"),
    [
        (None, {"groupby": "cluster"}, SetupError, "no column 'cluster'; it has group"),
        (None, {"reference": "D"}, ConfigError, r"'D'.*\['A', 'B', 'C/c'\]"),
        (None, {"groups": ["A", "D"]}, ConfigError, "'D'"),
        (None, {"groups": []}, ConfigError, "groups is"),
        (None, {"groups": ["A"], "reference": "A"}, ConfigError, "another one"),
        (None, {"method": "pca"}, ConfigError, "'pca'"),
        (None, {"n_cells": 1}, ConfigError, "n_cells is 1"),
        (None, {"layer": "spliced"}, SetupError, "spliced"),
        (lonely, {}, DataError, "fewer than 2 cells.*'alone': 1"),
        (lonely, {"groups": ["A"], "reference": "alone"}, DataError, "'alone': 1"),
        (alike, {}, DataError, "at least two are needed"),
        (negative, {}, NegativeCountsError, r"adata\.X"),
    ],
)
def test_refusals_write_nothing(model, adata, change, settings, error, match):
    if change is not None:
        change(adata)
    with pytest.raises(error, match=match):
        rb.tl.attribute(adata, model, **{"groupby": "group", **settings})
    assert list(adata.varm) == []
    assert "r2mae" not in adata.uns


def test_a_group_of_one_cell_that_is_not_asked_for_is_part_of_the_rest(model, adata):
    lonely(adata)
    rb.tl.attribute(adata, model, groupby="group", groups=["B"])
    assert list(record(adata)["n_reference"]) == [80]
    assert np.isfinite(adata.varm[KEY]).all()


def test_a_model_without_weights(adata):
    rb.model.GeneMAE.setup_anndata(adata)
    with pytest.raises(NotTrainedError, match=r"call train\(\)"):
        rb.tl.attribute(adata, rb.model.GeneMAE(adata, **SIZES), groupby="group")


def test_a_group_called_rest_is_explained_too(model):
    adata = make_cells()
    adata.obs["group"] = adata.obs["group"].cat.rename_categories({"C/c": "rest"})
    rb.tl.attribute(adata, model, groupby="group")
    assert list(adata.uns["r2mae"]["attribution"][KEY]["groups"]) == ["A", "B", "rest"]
