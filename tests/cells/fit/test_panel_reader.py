"""Cells of a panel are embedded as whole cells would be, as far as training cells tell."""

from __future__ import annotations

import copy

import anndata as ad
import numpy as np
import pytest
import torch

from r2mae_bio.cells.fit import _panel_reader
from r2mae_bio.cells.fit._panel_reader import draw_panel, whole_cells
from r2mae_bio.config import CellFinetuneConfig
from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells

SOME = [f"G{i}" for i in (7, 2, 11, 29, 4, 5, 20, 13)]
TRAINING = {"max_epochs": 8, "batch_size": 32, "progress_bar": False}


def train(cells, **settings):
    GeneMAE.setup_anndata(cells)
    model = GeneMAE(cells, **{"seed": 3, **SIZES, **settings})
    model.train(**TRAINING)
    return model


@pytest.fixture(scope="module")
def cells():
    return make_cells(400)


@pytest.fixture(scope="module")
def reading(cells):
    return train(cells[:300].copy())


def embed(model, cells):
    return model.get_latent_representation(cells, min_coverage=0.01)


def error(model, query):
    whole = embed(model, query)
    return ((embed(model, query[:, SOME].copy()) - whole) ** 2).mean() / whole.var(0).mean()


def test_cells_that_were_not_trained_on_come_nearer_to_where_they_lie(reading, cells):
    before = copy.deepcopy(reading)
    before.network.encoder.panel_reader.forget()
    query = cells[300:].copy()
    assert error(reading, query) < 0.85 * error(before, query)
    np.testing.assert_array_equal(embed(reading, query), embed(before, query))


def test_guesses_are_spread_as_whole_cells_are(reading, cells):
    query = cells[300:].copy()
    np.testing.assert_allclose(
        embed(reading, query[:, SOME].copy()).std(0).mean(), embed(reading, query).std(0).mean(), rtol=0.25
    )


def test_the_rest_of_the_training_is_what_it_is_without(reading, cells):
    without = train(cells[:300].copy(), panel_reader=False)
    ours, theirs = reading.network.state_dict(), without.network.state_dict()
    assert [name for name, value in theirs.items() if not torch.equal(ours[name], value)] == []
    assert {name for name in ours if name not in theirs} == {n for n in ours if n.startswith("encoder.panel_reader.")}
    assert not any(p.requires_grad for p in reading.network.encoder.panel_reader.parameters())


def test_training_twice_gives_the_same_reader(reading, cells):
    torch.manual_seed(99)
    again = train(cells[:300].copy())
    assert again.checksum() == reading.checksum()


def test_a_saved_model_reads_panels_as_it_did(reading, cells, tmp_path):
    query = cells[300:, SOME].copy()
    loaded = GeneMAE.load(reading.save(tmp_path / "model"))
    np.testing.assert_array_equal(embed(loaded, query), embed(reading, query))


def test_the_last_checkpoint_of_a_run_holds_it_and_resumed_runs_end_with_the_same(reading, cells, tmp_path):
    some = cells[:300].copy()
    GeneMAE.setup_anndata(some)
    GeneMAE(some, seed=3, **SIZES).train(**TRAINING, checkpoint_dir=tmp_path)
    first, last = sorted(tmp_path.glob("step_*"))
    assert GeneMAE.load(last).checksum() == reading.checksum() != GeneMAE.load(first).checksum()
    for folder in (first, last):
        resumed = GeneMAE(some, seed=3, **SIZES)
        resumed.train(**TRAINING, resume_from=folder)
        assert resumed.checksum() == reading.checksum()


def test_further_training_trains_it_anew(reading, cells):
    model = copy.deepcopy(reading)
    before = embed(model, cells[300:, SOME].copy())
    model.train(**{**TRAINING, "max_epochs": 1})
    assert not np.array_equal(embed(model, cells[300:, SOME].copy()), before)


@pytest.mark.parametrize("settings", [{"encoder": "mlp"}, {"content": "log"}, {"start": "random"}, {"depth_moments": True}])
def test_all_kinds_of_model_read_panels(cells, settings):
    model = train(cells[:60].copy(), **settings)
    assert np.isfinite(embed(model, cells[300:, SOME].copy())).all()


def test_a_model_that_is_stopped_meanwhile_reads_panels_by_least_squares(cells, monkeypatch):
    monkeypatch.setattr(_panel_reader, "_loss", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    some = cells[:60].copy()
    GeneMAE.setup_anndata(some)
    model = GeneMAE(some, seed=3, **SIZES)
    with pytest.raises(KeyboardInterrupt):
        model.train(**TRAINING)
    reader = model.network.encoder.panel_reader
    latent = torch.randn(4, 8)
    assert model.is_trained
    assert torch.equal(reader(latent, torch.full((1, 4), 0.5)), latent)
    assert not any(p.requires_grad for p in reader.parameters())


def test_it_learns_from_cells_of_which_most_was_measured():
    panels = type("Panels", (), {"measured": np.array([[1, 1, 1, 0], [1, 0, 0, 0]], bool), "codes": np.array([0, 1, 1, 0, 1])})
    table = type("Table", (), {"source": type("Source", (), {"panels": panels})})
    found = whole_cells(table, np.array([0, 1, 2, 3]), np.random.default_rng(0))
    assert found.tolist() == [0, 3]


def test_a_model_of_several_panels_is_trained(cells):
    joined = ad.concat([cells[:200], cells[200:300, SOME]], join="outer", label="study")
    GeneMAE.setup_anndata(joined, measured={"0": list(cells.var_names), "1": SOME}, panel_key="study")
    model = GeneMAE(joined, seed=3, **SIZES)
    model.train(**TRAINING)
    assert np.isfinite(embed(model, cells[300:, SOME].copy())).all()
    assert (model.network.encoder.panel_reader.layers[-1].weight != 0).any()


def test_panels_are_of_all_sizes_and_lean_to_variable_genes():
    rng, sd = np.random.default_rng(0), np.linspace(0.1, 2, 1000)
    plain = np.array([draw_panel(sd, 0.0, rng) for _ in range(300)])
    leaning = np.array([draw_panel(sd, 2.0, rng) for _ in range(300)])
    sizes = plain.sum(1)
    assert sizes.min() < 15
    assert sizes.max() > 900
    assert 60 < np.median(sizes) < 160  # of a uniform draw of the logarithm, 100
    assert plain[:, 500:].sum() == pytest.approx(plain.sum() / 2, rel=0.1)
    assert leaning[:, 500:].sum() > 0.65 * leaning.sum()
    assert draw_panel(sd[:3], 0.0, rng).sum() == 3


def test_a_classifier_of_it_learns_from_whole_cells_and_panels(reading, cells):
    quick = CellFinetuneConfig(n_steps=20, evaluate_every=10, batch_size=32)
    classifier = reading.finetune(cells[:200].copy(), labels_key="group", config=quick, progress_bar=False)
    query = cells[300:].copy()
    assert classifier.evaluate(query)["accuracy"] > 0.9
    assert classifier.predict_proba(query[:, SOME].copy()).notna().all(axis=None)
