"""Embeddings without batches, and queries of new batches."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from r2mae_bio.errors import CheckpointError, DataError, SetupError
from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells


def shifted(n=240, seed=0):
    """Cells whose batch b reads half of the genes twice as deep."""
    adata = make_cells(n, 40, seed)
    counts = adata.X.toarray()
    b = (adata.obs["batch"] == "b").to_numpy()
    counts[np.ix_(b, np.arange(20))] *= 3
    adata.X = counts
    return adata


def batch_gap(z, adata):
    """Distance between batches, in units of that between cell groups."""
    batch, group = adata.obs["batch"].to_numpy(), adata.obs["group"].to_numpy()
    means = {(b, g): z[(batch == b) & (group == g)].mean(0) for b in "ab" for g in "012"}
    across = np.mean([np.linalg.norm(means["a", g] - means["b", g]) for g in "012"])
    between = np.mean([np.linalg.norm(means[b, "0"] - means[b, g]) for b in "ab" for g in "12"])
    return across / between


@pytest.fixture(scope="module")
def trained():
    adata = shifted()
    GeneMAE.setup_anndata(adata, batch_key="batch")
    model = GeneMAE(adata, seed=1, **SIZES)
    model.train(max_epochs=3, progress_bar=False)
    return model, adata


def test_batches_are_taken_out(trained):
    model, adata = trained
    raw, z = model.get_latent_representation(correct_batch=False), model.get_latent_representation()
    assert batch_gap(z, adata) < 0.5 * batch_gap(raw, adata)


def test_the_embedding_of_a_cell_depends_on_its_counts_and_batch_alone(trained):
    model, adata = trained
    z = model.get_latent_representation()
    some = np.array([5, 200, 17])
    np.testing.assert_allclose(model.get_latent_representation(indices=some), z[some], atol=1e-5)
    np.testing.assert_allclose(model.get_latent_representation(adata[some]), z[some], atol=1e-5)
    mask = np.isin(np.arange(adata.n_obs), some)
    np.testing.assert_allclose(model.get_latent_representation(indices=mask, batch_size=2), z[np.sort(some)], atol=1e-5)


def test_without_the_column_nothing_is_corrected_and_a_warning_says_so(trained):
    model, adata = trained
    query = adata.copy()
    del query.obs["batch"]
    with pytest.warns(UserWarning, match="no column 'batch'.*map_query"):
        z = model.get_latent_representation(query)
    np.testing.assert_array_equal(z, model.get_latent_representation(adata, correct_batch=False))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.get_latent_representation(query, correct_batch=False)


def test_an_unknown_batch_is_refused(trained):
    model, adata = trained
    query = adata.copy()
    query.obs["batch"] = "c"
    with pytest.raises(DataError, match=r"'c' \(1 in all\); it knows 'a', 'b'.*map_query"):
        model.get_latent_representation(query)


def test_correction_is_refused_without_a_batch_key(model):
    with pytest.raises(SetupError, match="batch_key"):
        model.get_latent_representation(make_cells(), correct_batch=True)


def test_a_query_is_mapped_and_the_reference_stays(trained, tmp_path):
    model, adata = trained
    model.save(tmp_path / "before")
    model = GeneMAE.load(tmp_path / "before")
    reference = model.get_latent_representation(adata)
    query = shifted(120, seed=5)
    query = query[query.obs["batch"] == "b"].copy()
    query.obs["batch"] = "new"
    z = model.map_query(query)
    assert model.batches == ["a", "b", "new"]
    np.testing.assert_array_equal(model.get_latent_representation(adata), reference)
    np.testing.assert_allclose(model.get_latent_representation(query), z, atol=1e-6)
    np.testing.assert_array_equal(model.map_query(query), z)  # known by now
    model.save(tmp_path / "after")
    np.testing.assert_allclose(GeneMAE.load(tmp_path / "after").get_latent_representation(query), z, atol=1e-6)


def test_a_query_is_mapped_by_another_column_or_as_a_whole(trained, tmp_path):
    model, adata = trained
    model.save(tmp_path / "m")
    model = GeneMAE.load(tmp_path / "m")
    query = shifted(60, seed=6)
    query.obs["lane"] = np.where(np.arange(60) < 30, "x", "y")
    model.map_query(query, batch_key="lane")
    del query.obs["batch"]
    model.map_query(query)
    assert model.batches[:4] == ["a", "b", "x", "y"]
    assert [name.split()[0] for name in model.batches[4:]] == ["query"]
    with pytest.raises(SetupError, match="no column 'run'"):
        model.map_query(query, batch_key="run")


def test_a_model_without_batches_maps_on_its_training_data(tmp_path):
    adata = make_cells(120)
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=1, **SIZES)
    model.initialize()
    before = model.get_latent_representation()
    z = model.map_query(make_cells(60, seed=3))
    assert z.shape == (60, 8)
    assert [name.split()[0] for name in model.batches] == ["reference", "query"]
    np.testing.assert_array_equal(model.get_latent_representation(), before)
    model.save(tmp_path / "m")
    again = GeneMAE.load(tmp_path / "m")
    np.testing.assert_allclose(again.map_query(make_cells(60, seed=3)), z, atol=1e-6)


def test_another_query_without_a_name_is_another_batch():
    adata = make_cells(120)
    GeneMAE.setup_anndata(adata)
    first, second = GeneMAE(adata, seed=1, **SIZES), GeneMAE(adata, seed=1, **SIZES)
    query = make_cells(60, seed=5)
    for model in (first, second):
        model.initialize()
    first.map_query(make_cells(60, seed=3))
    np.testing.assert_array_equal(first.map_query(query), second.map_query(query))
    assert len(first.batches) == 3
    assert len(second.batches) == 2


def test_loading_with_data_keeps_the_batches_of_the_model(trained, tmp_path):
    model, adata = trained
    model.save(tmp_path / "m")
    other = adata.copy()
    GeneMAE.setup_anndata(other)
    again = GeneMAE.load(tmp_path / "m", other)
    np.testing.assert_array_equal(
        again.get_latent_representation(), GeneMAE.load(tmp_path / "m").get_latent_representation(adata)
    )
    other.obs["donor"] = other.obs["batch"]
    GeneMAE.setup_anndata(other, batch_key="donor")
    with pytest.raises(SetupError, match=r"'donor'.*'batch'"):
        GeneMAE.load(tmp_path / "m", other)


def test_a_batch_of_few_cells_stays_where_it_is(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "m")
    model = GeneMAE.load(tmp_path / "m")
    query = shifted(40, seed=8)
    query.obs["batch"] = np.where(np.arange(40) < 4, "tiny", "large")
    with pytest.warns(UserWarning, match=r"fewer than 10 cells are not corrected: tiny \(1 in all\)"):
        z = model.map_query(query)
    raw = model.get_latent_representation(query, correct_batch=False)
    np.testing.assert_allclose(z[:4], raw[:4], atol=1e-6)
    assert np.abs(z[4:] - raw[4:]).max() > 1e-3


def test_a_model_without_batches_or_data_says_what_is_missing(model, tmp_path):
    model.save(tmp_path / "m")
    with pytest.raises(SetupError, match=r"load it with its training data: GeneMAE.load\(path, adata\)"):
        GeneMAE.load(tmp_path / "m").map_query(make_cells())


def test_training_again_forgets_the_effects_of_older_weights(trained, tmp_path):
    model, adata = trained
    model.save(tmp_path / "m")
    model = GeneMAE.load(tmp_path / "m", adata)
    query = shifted(60, seed=7)
    query.obs["batch"] = "new"
    model.map_query(query)
    with pytest.warns(UserWarning, match=r"forgets batches that are not in the training data: 'new' \(1 in all\)"):
        model.train(max_epochs=1, progress_bar=False)
    assert model.batches == ["a", "b"]


def test_effects_of_another_size_are_refused(trained, tmp_path):
    model, _ = trained
    model.save(tmp_path / "m")
    path = tmp_path / "m" / "model.json"
    path.write_text(path.read_text().replace('"n_neighbourhoods": ', '"n_neighbourhoods": 1'))
    with pytest.raises(CheckpointError):
        GeneMAE.load(tmp_path / "m")
