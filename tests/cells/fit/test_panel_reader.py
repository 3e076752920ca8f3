"""Cells of a panel are embedded as whole cells would be, as far as training cells tell."""

from __future__ import annotations

import copy

import anndata as ad
import numpy as np
import pytest
import torch

from r2mae_bio.cells.fit import _panel_reader
from r2mae_bio.cells.fit._panel_reader import draw_panel, whole_cells
from r2mae_bio.cells.network._encoder import GeneTransformer
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


def fails_with(monkeypatch, error):
    """Half of the way through the steps of a reader."""
    steps, loss = [], _panel_reader._loss

    def fail(*args):
        steps.append(0)
        if len(steps) == 20:
            raise error
        return loss(*args)

    monkeypatch.setattr(_panel_reader, "_loss", fail)


def test_ctrl_c_meanwhile_leaves_a_whole_model_that_reads_panels_by_least_squares(cells, monkeypatch, caplog):
    some = cells[:60].copy()
    GeneMAE.setup_anndata(some, batch_key="batch")
    model = GeneMAE(some, seed=3, **SIZES)
    with monkeypatch.context() as patch:
        fails_with(patch, KeyboardInterrupt())
        model.train(**TRAINING)
    assert "interrupted while it learned to read panels" in caplog.text
    assert model.is_trained
    assert model.was_interrupted
    assert model.batches == ["a", "b"]
    reader = model.network.encoder.panel_reader
    latent = torch.randn(4, 8)
    assert torch.equal(reader(latent, torch.full((1, 4), 0.5)), latent)
    assert not any(p.requires_grad for p in reader.parameters())
    model.train(**TRAINING)
    assert not model.was_interrupted
    assert (reader.layers[-1].weight != 0).any()


@pytest.mark.parametrize("trained", [True, False])
def test_an_error_meanwhile_leaves_the_model_as_it_was(cells, monkeypatch, trained):
    some = cells[:60].copy()
    GeneMAE.setup_anndata(some, batch_key="batch")
    model = GeneMAE(some, seed=3, **SIZES)
    if trained:
        model.train(**TRAINING)
    before = copy.deepcopy(model)
    fails_with(monkeypatch, RuntimeError("out of memory"))
    with pytest.raises(RuntimeError, match="out of memory"):
        model.train(**{**TRAINING, "max_epochs": 9})
    assert model.is_trained == trained
    assert model.batches == before.batches
    assert (model.checksum() == before.checksum()) if trained else model.network is None


def test_the_last_checkpoint_also_holds_what_batches_add(cells, tmp_path):
    some = cells[:100].copy()
    GeneMAE.setup_anndata(some, batch_key="batch")
    model = GeneMAE(some, seed=3, **SIZES)
    model.train(**TRAINING, checkpoint_dir=tmp_path)
    loaded = GeneMAE.load(tmp_path)
    assert loaded.batches == model.batches == ["a", "b"]
    np.testing.assert_array_equal(loaded.get_latent_representation(some), model.get_latent_representation(some))
    resumed = GeneMAE(some, seed=3, **SIZES)
    resumed.train(**TRAINING, resume_from=tmp_path)
    assert resumed.checksum() == model.checksum()


def test_it_learns_from_a_training_that_ended_within_its_first_epoch(cells):
    some = cells[:300].copy()
    GeneMAE.setup_anndata(some)
    model = GeneMAE(some, seed=3, **SIZES)
    model.train(1, batch_size=4, max_steps=40, progress_bar=False)
    assert len(model.history) == 0
    assert (model.network.encoder.panel_reader.layers[-1].weight != 0).any()


def test_a_log_says_that_it_begins(cells, capsys):
    some = cells[:60].copy()
    GeneMAE.setup_anndata(some)
    GeneMAE(some, seed=3, **SIZES).train(**{**TRAINING, "progress_bar": True})
    assert capsys.readouterr().err.splitlines()[-1] == "learning to read panels of genes"


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


def test_what_is_known_of_a_cell_is_told_by_genes_that_it_measured(cells, monkeypatch):
    """Where no cell measured every gene, a panel tells less of each than of a whole one."""
    names, seen = list(cells.var_names), []
    x, y = names[:20], names[10:]
    joined = ad.concat([cells[:100, x], cells[100:200, y]], join="outer", label="study")
    GeneMAE.setup_anndata(joined, measured={"0": x, "1": y}, panel_key="study")
    model = GeneMAE(joined, seed=3, **SIZES)
    known = GeneTransformer.known
    monkeypatch.setattr(GeneTransformer, "known", lambda self, genes, units: (seen.append(genes), known(self, genes, units))[1])
    model.train(**TRAINING)
    position = {name: i for i, name in enumerate(model.vocabulary.names)}
    measured = np.zeros((2, len(names)), bool)
    for row, panel in enumerate((x, y)):
        measured[row, [position[name] for name in panel]] = True
    assert len(seen) == 2 * min(model.history["step"].iloc[-1], 128)
    assert all((genes.numpy() <= measured).all(1).any() for genes in seen)


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
