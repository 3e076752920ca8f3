"""Fine-tuning on cells: what it learns, what it leaves alone, what it keeps, what it refuses."""

from __future__ import annotations

import logging
import os
import signal
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy.special import log_softmax
from scipy.stats import chisquare
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.preprocessing import StandardScaler

from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.fit._loader import CellTable
from r2mae_bio.cells.fit._views import hide_some
from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.errors import (
    CheckpointError,
    ConfigError,
    CorruptCheckpointError,
    DataError,
    GeneCoverageError,
    NotTrainedError,
    SetupError,
    TrainingError,
    VocabularyMismatchError,
)
from r2mae_bio.masking import Uniform
from r2mae_bio.model import CellClassifier, GeneMAE

from ...toy_cells import SIZES, make_cells

QUICK = CellFinetuneConfig(n_steps=30, evaluate_every=10, batch_size=32, learning_rate=1e-2)


def finetune(model, adata, **settings):
    return model.finetune(adata, **{"labels_key": "group", "config": QUICK, "progress_bar": False, **settings})


def state(network):
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def changed(before, after):
    return sorted(name for name in after if name in before and not torch.equal(before[name], after[name]))


@pytest.fixture(scope="module")
def trained():
    adata = make_cells(150)
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=3, **SIZES)
    model.train(max_epochs=2, batch_size=32, progress_bar=False)
    return model


@pytest.fixture(scope="module")
def cells():
    return make_cells(150)


@pytest.fixture(scope="module")
def tuned(trained, cells):
    return finetune(trained, cells)


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


def test_training_hides_genes_by_the_law(cells):
    from r2mae_bio.io import GeneVocabulary, align_anndata, open_cells

    aligned = align_anndata(GeneVocabulary.from_anndata(cells, np.ones(30)), cells)
    batch = CellTable(open_cells(cells, alignment=aligned), np.zeros((150, 0), np.float32)).batch(np.arange(150))
    dense, cpu = torch.from_numpy(cells.X.toarray()), torch.device("cpu")

    everything = hide_some(batch, Uniform(), derive_generator(0, "test"), device=cpu, full_share=1.0)
    assert torch.equal(everything.values, dense)
    assert everything.visible.all()

    n_full, shares = 0, []
    for step in range(20):
        tokens = hide_some(batch, Uniform(), derive_generator(step, "test"), device=cpu, full_share=0.25)
        assert torch.equal(tokens.values, torch.where(tokens.visible, dense, 0))
        full = tokens.visible.all(dim=1)
        n_full += int(full.sum())
        shares.append(tokens.visible[~full].float().mean(dim=1))
    assert n_full / 3000 == pytest.approx(0.25, abs=0.03)
    counts = np.histogram(torch.cat(shares), bins=np.linspace(0, 1, 6))[0]
    assert chisquare(counts).pvalue > 1e-3


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


# ---------------------------------------------------------------- predictions


def test_probabilities_and_scores(tuned, cells):
    found = tuned.predict_proba(cells)
    assert found.shape == (150, 3)
    assert (found.dtypes == np.float32).all()
    assert list(found.index) == list(cells.obs_names)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    labels, predicted = cells.obs["group"], tuned.predict(cells)
    scores = tuned.evaluate(cells)
    assert scores["n"] == 150
    assert scores["accuracy"] == pytest.approx((labels == predicted).mean())
    assert scores["macro_f1"] == pytest.approx(f1_score(labels, predicted, average="macro"))
    assert scores["mcc"] == pytest.approx(matthews_corrcoef(labels, predicted))


def test_a_cell_does_not_depend_on_the_others(tuned, cells):
    alone = tuned.predict_proba(cells, batch_size=1)
    for found in (tuned.predict_proba(cells), tuned.predict_proba(cells, batch_size=7), tuned.predict_proba(cells[::-1])):
        pd.testing.assert_frame_equal(found.loc[alone.index], alone, atol=1e-5, rtol=0)
    few = tuned.predict_proba(cells[[5, 100]])
    pd.testing.assert_frame_equal(few, alone.iloc[[5, 100]], atol=1e-5, rtol=0)


def test_genes_are_matched_by_name(tuned, cells):
    whole = tuned.predict_proba(cells)
    shuffled = cells[:, np.random.default_rng(0).permutation(30)].copy()
    pd.testing.assert_frame_equal(tuned.predict_proba(shuffled), whole, check_exact=True)
    further = ad.concat(
        [shuffled, ad.AnnData(np.ones((150, 2), np.float32), cells.obs, pd.DataFrame(index=["X1", "X2"]))], axis=1
    )
    pd.testing.assert_frame_equal(tuned.predict_proba(further), whole, check_exact=True)


def test_a_missing_gene_is_not_a_zero(tuned, cells):
    panel, marked, zero = cells[:, :20].copy(), cells.copy(), cells.copy()
    marked.var["measured"] = np.arange(30) < 20
    zero.X = zero.X.multiply(np.arange(30) < 20).tocsr()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = tuned.predict_proba(panel)
        pd.testing.assert_frame_equal(tuned.predict_proba(marked), found, check_exact=True)
        assert np.abs(tuned.predict_proba(zero) - found).to_numpy().max() > 0.01


def test_layers_and_log_normalised_data(trained, cells, tuned):
    layered = cells.copy()
    layered.layers["counts"], layered.X = layered.X.copy(), layered.X * 0.5
    found = finetune(trained, layered, layer="counts")
    assert changed(state(found.network), state(tuned.network)) == []
    pd.testing.assert_frame_equal(tuned.predict_proba(layered, layer="counts"), tuned.predict_proba(cells), check_exact=True)


# ---------------------------------------------------------------- disk


def test_saved_and_loaded_gives_equal_bits(tuned, cells, tmp_path):
    loaded = CellClassifier.load(tuned.save(tmp_path / "c"))
    pd.testing.assert_frame_equal(loaded.predict_proba(cells), tuned.predict_proba(cells), check_exact=True)
    pd.testing.assert_frame_equal(loaded.predict_proba(cells[:, ::2]), tuned.predict_proba(cells[:, ::2]), check_exact=True)
    pd.testing.assert_frame_equal(loaded.history, tuned.history)
    assert repr(loaded) == repr(tuned)
    assert loaded.record.config == tuned.record.config
    with pytest.raises(CheckpointError, match="overwrite=True"):
        tuned.save(tmp_path / "c")
    tuned.save(tmp_path / "c", overwrite=True)


def test_a_hidden_layer_is_saved_too(trained, cells, tmp_path):
    classifier = finetune(trained, cells, config=CellFinetuneConfig(n_steps=5, n_hidden=4))
    loaded = CellClassifier.load(classifier.save(tmp_path / "c"))
    pd.testing.assert_frame_equal(loaded.predict_proba(cells), classifier.predict_proba(cells), check_exact=True)


def test_other_folders_are_refused(trained, tuned, tmp_path):
    tuned.save(tmp_path / "classifier")
    trained.save(tmp_path / "model")
    with pytest.raises(CheckpointError, match="holds a GeneMAE"):
        CellClassifier.load(tmp_path / "model")
    with pytest.raises(CheckpointError, match="holds a CellClassifier"):
        GeneMAE.load(tmp_path / "classifier")
    weights = tmp_path / "classifier" / "model.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CorruptCheckpointError, match="checksum"):
        CellClassifier.load(tmp_path / "classifier")
    weights.write_bytes((tmp_path / "model" / "model.safetensors").read_bytes())
    with pytest.raises(CheckpointError):
        CellClassifier.load(tmp_path / "classifier")


def test_weights_of_another_vocabulary_are_refused(tuned, tmp_path):
    other = make_cells(60)
    other.var_names = [f"H{i}" for i in range(30)]
    GeneMAE.setup_anndata(other)
    model = GeneMAE(other, **SIZES)
    model.initialize()
    tuned.save(tmp_path / "a")
    finetune(model, other).save(tmp_path / "b")
    (tmp_path / "a" / "model.safetensors").write_bytes((tmp_path / "b" / "model.safetensors").read_bytes())
    with pytest.raises(VocabularyMismatchError, match="another gene vocabulary"):
        CellClassifier.load(tmp_path / "a")


# -------------------------------- cells that are left out, and the dev cells


def test_cells_without_label_are_left_out(trained, cells, tuned):
    blank = make_cells(30, seed=9)
    blank.obs["group"] = None
    both = ad.concat([cells, blank], index_unique="-")
    with pytest.warns(UserWarning, match=r"30 of 180 cells have no label in obs\['group'\]"):
        found = finetune(trained, both)
    assert changed(state(found.network), state(tuned.network)) == []
    with pytest.warns(UserWarning, match="30 of 180 cells have no label"):
        assert found.evaluate(both) == tuned.evaluate(cells)


def test_unknown_labels_are_left_out_of_the_evaluation(tuned, cells):
    renamed = cells.copy()
    renamed.obs["group"] = renamed.obs["group"].replace({"2": "new"})
    with pytest.warns(UserWarning, match="50 cells have labels that the classifier does not know and are left out: new"):
        scores = tuned.evaluate(renamed)
    assert scores == tuned.evaluate(cells[cells.obs["group"] != "2"])
    renamed.obs["group"] = "new"
    with pytest.raises(DataError, match="it knows 0, 1, 2, the data have new"):
        tuned.evaluate(renamed)


def test_dev_cells_are_drawn_by_class_or_group(cells):
    from r2mae_bio.cells.model._labels import read_labels, split_labelled

    cells = cells.copy()
    cells.obs["group"] = ["rare"] * 3 + ["a"] * 100 + ["b"] * 47
    cells.obs["donor"] = ["d0"] * 3 + [f"d{i % 4 + 1}" for i in range(147)]
    labels = read_labels(cells, "group")
    by_class = split_labelled(labels, cells, split_key=None, dev_size=0.2, groups_key=None, seed=0)
    assert sorted(np.concatenate([by_class.train, by_class.dev])) == list(range(150))
    assert pd.Series(labels.names[by_class.dev]).value_counts().to_dict() == {"a": 20, "b": 9, "rare": 1}
    for seed in range(6):
        split = split_labelled(labels, cells, split_key=None, dev_size=0.2, groups_key="donor", seed=seed)
        held = set(cells.obs["donor"].iloc[split.dev])
        assert held.isdisjoint(set(cells.obs["donor"].iloc[split.train]))
        assert 0.2 <= len(split.dev) / 150 < 0.5
        assert "rare" in labels.names[split.train]  # only one donor has them
    cells.obs["split"] = ["train"] * 110 + ["dev"] * 30 + ["test"] * 10
    named = split_labelled(labels, cells, split_key="split", dev_size=0.2, groups_key=None, seed=0)
    assert (named.train.tolist(), named.dev.tolist()) == (list(range(110)), list(range(110, 140)))
    cells.obs["split"] = ["train"] * 110 + ["test"] * 40
    drawn = split_labelled(labels, cells, split_key="split", dev_size=0.2, groups_key=None, seed=0)
    assert sorted(np.concatenate([drawn.train, drawn.dev])) == list(range(110))
    assert len(drawn.dev) == 1 + 20 + 1


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
    with pytest.raises(ConfigError, match="dev_size is 1.5"):
        finetune(trained, cells, dev_size=1.5)
    with pytest.raises(GeneCoverageError, match="measures 0 of the model's 30 genes"):
        finetune(trained, ad.AnnData(cells.X, cells.obs, pd.DataFrame(index=[f"X{i}" for i in range(30)])))
    with pytest.raises(DataError, match="fewer than two measured"), pytest.warns(UserWarning, match="without a single count"):
        finetune(trained, cells[:, :1].copy(), config=CellFinetuneConfig(n_steps=2))


def test_a_model_without_weights_is_refused(cells):
    cells = cells.copy()
    GeneMAE.setup_anndata(cells)
    with pytest.raises(NotTrainedError, match="initialize"):
        finetune(GeneMAE(cells, **SIZES), cells)


def test_batch_size_is_checked(tuned, cells):
    with pytest.raises(ConfigError, match="batch_size is 0"):
        tuned.predict_proba(cells, batch_size=0)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("learning_rate", 0),
        ("encoder_rate", -1),
        ("warmup", 1),
        ("dropout", -0.1),
        ("batch_size", 0),
        ("n_hidden", -1),
        ("full_share", 1.1),
    ],
)
def test_settings_out_of_range_are_refused(setting, value):
    with pytest.raises(ConfigError, match=f"{setting} is {value}"):
        CellFinetuneConfig(**{setting: value})


def test_settings_survive_json():
    config = CellFinetuneConfig(n_hidden=8, n_steps=3)
    assert CellFinetuneConfig.from_json(config.to_json()) == config
    with pytest.raises(ConfigError, match="Unknown settings"):
        CellFinetuneConfig.from_json({"nonsense": 1})
