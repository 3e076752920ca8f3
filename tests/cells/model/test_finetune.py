"""Fine-tuning on cells: what it learns, what it leaves alone, what it keeps, what it refuses."""

from __future__ import annotations

import logging
import os
import signal

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.errors import (
    ConfigError,
    DataError,
    GeneCoverageError,
    NotTrainedError,
    SetupError,
    TrainingError,
)
from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells
from .conftest import finetune


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(before, after):
    return sorted(name for name in after if name in before and not torch.equal(before[name], after[name]))


# ---------------------------------------------------------------- what it learns


@pytest.mark.parametrize("frozen", [True, False])
def test_learns_and_reads_panels(trained, cells, frozen):
    classifier = finetune(trained, cells, freeze_encoder=frozen)
    fresh = make_cells(210)[150:]  # not the cells it learned from
    assert classifier.evaluate(fresh)["macro_f1"] > 0.95
    panel = fresh[:, ::3].copy()
    assert classifier.evaluate(panel)["accuracy"] > 0.7
    assert classifier.classes == ["0", "1", "2"]


def test_learns_from_a_panel(trained, cells, capsys):
    classifier = finetune(trained, cells[:, 5:25].copy(), progress_bar=True)
    assert capsys.readouterr().out == ""  # progress goes to standard error
    assert classifier.evaluate(cells[:, 5:25].copy())["accuracy"] > 0.9
    assert (
        classifier.history["dev_loss"] != classifier.history["dev_loss_full"]
    ).all()  # parts of the panel are hidden from them


def checkerboard(n=200):
    """Two programmes of genes, each on or off; the class is whether exactly one is on, which no
    line tells.
    """
    rng = np.random.default_rng(1)
    on = rng.integers(0, 2, (n, 2))
    rate = np.repeat(2 + 12 * np.column_stack([on, 1 - on]), 5, axis=1)
    obs = pd.DataFrame({"odd": np.where(on.sum(1) == 1, "one", "even")}, index=[f"c{i}" for i in range(n)])
    return ad.AnnData(rng.poisson(rate).astype(np.float32), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(20)]))


@pytest.mark.parametrize("frozen", [True, False])
def test_leaves_the_linear_probe_behind_where_it_fails(frozen):
    adata = checkerboard()
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **SIZES)
    model.initialize()
    config = CellFinetuneConfig(n_steps=90, evaluate_every=30, batch_size=50, learning_rate=3e-2, full_share=0.9, n_hidden=16)
    classifier = finetune(model, adata[:150], labels_key="odd", freeze_encoder=frozen, config=config)
    f1 = classifier.history.set_index("step")["dev_macro_f1_full"]
    assert f1[0] < 0.75 < 0.9 < f1[classifier.record.best_step]
    assert classifier.evaluate(adata[150:])["macro_f1"] > 0.9


@pytest.mark.parametrize("labels_key", ["group", "pair"])
def test_begins_at_the_linear_probe_and_falls_back_to_it(trained, cells, labels_key):
    cells = cells.copy()
    cells.obs["pair"] = np.where(cells.obs["group"] == "1", "b", "a")
    cells.obs["split"] = np.where(np.arange(150) % 5, "train", "dev")
    wild = CellFinetuneConfig(n_steps=4, evaluate_every=2, learning_rate=30.0, encoder_rate=0.01, average=0.0)
    classifier = finetune(trained, cells, labels_key=labels_key, split_key="split", config=wild)
    assert classifier.record.best_step == 0
    assert list(classifier.history["step"]) == [0, 2, 4]
    assert classifier.history["dev_loss"].argmin() == 0

    embedding, train = trained.get_latent_representation(cells), (cells.obs["split"] == "train").to_numpy()
    scaler = StandardScaler().fit(embedding[train].astype(np.float64))
    labels = cells.obs[labels_key].to_numpy(str)
    probe = LogisticRegression(max_iter=2000).fit(scaler.transform(embedding[train]), labels[train])
    sharp = float(classifier.network.sharpness[0].exp())
    scores = probe.decision_function(scaler.transform(embedding)) * sharp
    scores = np.column_stack([np.zeros(150), scores]) if scores.ndim == 1 else scores
    found = classifier.predict_proba(cells)
    np.testing.assert_allclose(np.log(found), log_softmax(scores, axis=1), atol=2e-3)
    assert list(found.columns) == list(probe.classes_)
    np.testing.assert_array_equal(classifier.predict(cells), probe.predict(scaler.transform(embedding)))


def test_the_temperature_is_the_best_for_the_dev_cells(trained, cells):
    cells = cells.copy()
    rng = np.random.default_rng(0)
    wrong = rng.random(150) < 0.3
    cells.obs["noisy"] = np.where(wrong, rng.permutation(cells.obs["group"]), cells.obs["group"])
    cells.obs["split"] = np.where(np.arange(150) % 4, "train", "dev")
    classifier = finetune(
        trained, cells, labels_key="noisy", split_key="split", config=CellFinetuneConfig(n_steps=10, dev_views=0)
    )
    dev = cells[cells.obs["split"] == "dev"]
    logits = np.log(classifier.predict_proba(dev).to_numpy(np.float64))  # up to a constant per cell
    codes = dev.obs["noisy"].astype(int).to_numpy()
    kept = float(classifier.network.sharpness[0])

    def loss(shift):  # with the prior of one cell
        return -log_softmax(logits * np.exp(shift), axis=1)[np.arange(38), codes].mean() + (kept + shift) ** 2 / 38

    assert loss(0) < min(loss(-0.05), loss(0.05))
    row = classifier.history.set_index("step").loc[classifier.record.best_step]
    assert row["dev_loss"] == pytest.approx(loss(0) - kept**2 / 38, abs=1e-4)
    assert row["dev_loss"] == row["dev_loss_full"]
    assert row["dev_macro_f1"] == pytest.approx(f1_score(codes, logits.argmax(1), average="macro"))


# ---------------------------------------------------------------- what it leaves alone


@pytest.mark.parametrize("frozen", [True, False])
def test_the_model_stays_as_it_is(trained, cells, frozen):
    before, checksum, record = state(trained.network), trained.checksum(), trained.record.to_json()
    numbers, adata = torch.random.get_rng_state(), cells.copy()
    classifier = finetune(trained, adata, freeze_encoder=frozen)
    assert changed(before, state(trained.network)) == []
    assert trained.checksum() == checksum == classifier.record.pretrained
    assert str(trained.record.to_json()) == str(record)
    assert all(p.requires_grad for p in trained.network.parameters())
    assert torch.equal(torch.random.get_rng_state(), numbers)
    assert adata.uns == cells.uns
    assert list(adata.obs) == list(cells.obs)

    moved = changed(before, classifier.network.state_dict())
    assert classifier.record.best_step > 0
    if frozen:
        assert moved == []
    else:
        assert {"encoder.linear.weight", "encoder.read.keys", "encoder.refine.weight"} <= set(moved)
        assert all(name.startswith("encoder.") for name in moved)
    assert not any(name.startswith("decoder") for name in classifier.network.state_dict())


def test_equal_seeds_give_equal_bits(trained, cells, tuned):
    again, other = finetune(trained, cells), finetune(trained, cells, seed=1)
    assert changed(state(tuned.network), state(again.network)) == []
    pd.testing.assert_frame_equal(again.history, tuned.history, check_exact=True)
    assert "linear.weight" in changed(state(tuned.network), state(other.network))


# ---------------------------------------------------------------- layers and log-normalised data


def test_layers_and_log_normalised_data(trained, cells, tuned):
    layered = cells.copy()
    layered.layers["counts"], layered.X = layered.X.copy(), layered.X * 0.5
    found = finetune(trained, layered, layer="counts")
    assert changed(state(found.network), state(tuned.network)) == []
    pd.testing.assert_frame_equal(tuned.predict_proba(layered, layer="counts"), tuned.predict_proba(cells), check_exact=True)


# ---------------------------------------------------------------- cells that are left out


def test_cells_without_label_are_left_out(trained, cells, tuned):
    blank = make_cells(30, seed=9)
    blank.obs["group"] = None
    both = ad.concat([cells, blank], index_unique="-")
    with pytest.warns(UserWarning, match=r"30 of 180 cells have no label in obs\['group'\]"):
        found = finetune(trained, both)
    assert changed(state(found.network), state(tuned.network)) == []
    with pytest.warns(UserWarning, match="30 of 180 cells have no label"):
        assert found.evaluate(both) == tuned.evaluate(cells)


# ---------------------------------------------------------------- errors and interruptions


def test_ctrl_c_keeps_the_best_so_far(trained, cells, monkeypatch, caplog):
    fetch, calls = CellTable.batch, []

    def batch(self, index):
        calls.append(len(index))
        if len(calls) == stop:
            os.kill(os.getpid(), signal.SIGINT)
        return fetch(self, index)

    stop = -1
    monkeypatch.setattr(CellTable, "batch", batch)
    whole = finetune(trained, cells)
    stop, n_calls = len(calls) - 7, len(calls)  # in the last ten steps
    calls.clear()
    with caplog.at_level(logging.WARNING, "r2mae_bio"):
        found = finetune(trained, cells)
    assert len(calls) < n_calls
    assert found.record.best_step in (10, 20)
    assert f"the weights of step {found.record.best_step} are kept" in caplog.text
    pd.testing.assert_frame_equal(found.history, whole.history.iloc[: len(found.history)], check_exact=True)
    assert found.evaluate(cells)["accuracy"] > 0.9


def test_a_loss_that_is_not_finite_is_an_error(trained, cells):
    config = CellFinetuneConfig(n_steps=20, learning_rate=1e30, evaluate_every=20)
    with pytest.raises(TrainingError, match=r"The loss is (nan|inf) at step .*Lower learning_rate \(now 1e\+30\)"):
        finetune(trained, cells, config=config, freeze_encoder=True)
    with pytest.raises(TrainingError, match=r"(The loss is|cannot read genes).*Lower learning_rate \(now 1e\+30\)"):
        finetune(trained, cells, config=config)


def test_an_encoder_that_is_not_finite_is_an_error(trained, cells, tmp_path):
    broken = GeneMAE.load(trained.save(tmp_path / "m"))
    with torch.no_grad():
        broken.network.encoder.linear.bias[0] = np.nan
    with pytest.raises(TrainingError, match="embeddings of 135 of 135 cells are not finite"):
        finetune(broken, cells)


def test_what_cannot_be_learned_is_refused(trained, cells):
    cells = cells.copy()
    cells.obs["same"], cells.obs["none"], cells.obs["own"] = "x", np.nan, cells.obs_names
    cells.obs["split"] = "test"
    with pytest.raises(SetupError, match="obs has no column 'missing'; it has group"):
        finetune(trained, cells, labels_key="missing")
    with pytest.raises(DataError, match=r"150 cells to learn from have 1 class in obs\['same'\] \(x\); .* at least two"):
        finetune(trained, cells, labels_key="same")
    with pytest.raises(DataError, match="0 cells to learn from have 0 classes"), pytest.warns(UserWarning, match="no label"):
        finetune(trained, cells, labels_key="none")
    with pytest.raises(DataError, match="0 cells to learn from have 0 classes"):
        finetune(trained, cells, split_key="split")
    with pytest.raises(DataError, match="No cell of 150 can judge when to stop"):
        finetune(trained, cells, labels_key="own")
    with pytest.raises(DataError, match="No cell of 150 can judge when to stop"):
        finetune(trained, cells, groups_key="same")
    with pytest.raises(SetupError, match="obs has no column 'donor'"):
        finetune(trained, cells, groups_key="donor")
    cells.obs["donor"] = ["a", None, "b"] * 50
    with pytest.raises(DataError, match=r"obs\['donor'\] is missing for 50 of 150 labelled cells"):
        finetune(trained, cells, groups_key="donor")
    with pytest.raises(ConfigError, match="dev_size is 1.5"):
        finetune(trained, cells, dev_size=1.5)
    with pytest.raises(GeneCoverageError, match="measures 0 of the model's 30 genes"):
        finetune(trained, ad.AnnData(cells.X, cells.obs, pd.DataFrame(index=[f"X{i}" for i in range(30)])))
    with pytest.raises(GeneCoverageError, match="measures 1 of the model's 30 genes.*at least 3 genes"):
        finetune(trained, cells[:, :1][np.asarray(cells.X[:, :1].sum(1)).ravel() > 0].copy())


def test_a_model_without_weights_is_refused(cells):
    cells = cells.copy()
    GeneMAE.setup_anndata(cells)
    with pytest.raises(NotTrainedError, match="initialize"):
        finetune(GeneMAE(cells, **SIZES), cells)
