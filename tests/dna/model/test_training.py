"""Training on windows of a genome: it learns, says what it learnt, and can be stopped and
continued.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from r2mae_bio import datasets
from r2mae_bio._errors import CheckpointError, ConfigError, DataError, SetupError
from r2mae_bio.core import _resume
from r2mae_bio.dna.fit._loader import WindowLoader
from r2mae_bio.io import Genome, split_genome
from r2mae_bio.model import DNAMAE

from ...no_trainer import NO_TRAINER, TOLD
from .conftest import SIZES, TRAIN, WINDOW, periodic, with_repeats, write_genome


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch):
    monkeypatch.setattr("r2mae_bio._files.os.fsync", lambda _: None)


# ---------------------------------------------------------------- learning


def test_it_learns_what_composition_does_not_tell(new, genome):
    """Neighbours repeat every 11 bases, so the loss falls far below that of the composition where
    enough is visible.
    """
    model = new(genome, seed=1)
    model.train(10, **{**TRAIN, "batch_size": 16, "epoch_windows": 320}, train_kwargs={"learning_rate": 1e-2})
    history = model.history
    assert model.blind_loss == pytest.approx(model.floors["0"], abs=0.03)
    assert history["validation_loss"].iloc[-1] < 0.75 * model.blind_loss
    assert history["validation_loss_0.0-0.2"].iloc[-1] < 0.5 * model.blind_loss
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    text = genome.fetch("chr1", 5700, 5764)
    right = np.mean(
        ["ACGT"[i] == base for i, base in zip(model.predict([text], hidden_at_once=8)[0].argmax(1), text, strict=True)]
    )
    assert right > 0.75


def test_it_trains_on_the_lambda_phage(new, tmp_path):
    model = new(Genome(datasets.lambda_phage(), cache_dir=tmp_path))
    model.train(3, batch_size=32, progress_bar=False, precision="32-true")
    assert len(model.history) == 3
    assert model.history["step"].iloc[-1] == 3 * math.ceil(43652 // WINDOW / 32)
    assert model.history["train_loss"].iloc[-1] < model.history["train_loss"].iloc[0]
    assert model.history["validation_loss"].iloc[-1] < model.blind_loss
    assert model.record.shared["share"] < 0.01


def test_what_a_history_holds(trained):
    history = trained.history
    bins = [f"{low:.1f}-{low + 0.2:.1f}" for low in (0.0, 0.2, 0.4, 0.6, 0.8)]
    for part in ("train", "validation"):
        columns = [f"{part}_loss", *(f"{part}_loss_{name}" for name in (*bins, "repeat", "unique"))]
        assert set(columns) <= set(history)
        assert np.isfinite(history[columns]).all(axis=None)
        pair = history[[f"{part}_loss_repeat", f"{part}_loss_unique"]]
        assert (pair.min(axis=1) <= history[f"{part}_loss"]).all()
        assert (history[f"{part}_loss"] <= pair.max(axis=1)).all()
    assert (history["bases_per_second"] > 0).all()
    assert list(history["step"]) == [7, 14, 21]
    assert sum(trained.record.mask_ratios) == 3 * 56


def test_a_genome_in_capitals_has_no_repeats_to_report(new, genome):
    model = new(genome)
    model.train(1, **TRAIN)
    assert not [name for name in model.history if "repeat" in name or "unique" in name]


def test_the_weight_of_repeats_changes_what_is_learnt_not_what_is_reported(new, masked_genome):
    runs = {}
    for weight in (1.0, 0.01):
        runs[weight] = new(masked_genome, seed=1)
        runs[weight].train(1, **TRAIN, repeat_weight=weight)
    assert runs[1.0].checksum() != runs[0.01].checksum()
    light = runs[0.01].history.iloc[0]
    assert light["validation_loss"] == pytest.approx(light["validation_loss_unique"], abs=0.02 * light["validation_loss"])


def test_floors_and_shared_words_are_kept(trained, masked_genome, tmp_path):
    record = trained.record
    assert set(trained.floors) == {"0", "5"}
    assert trained.floors["5"] < trained.floors["0"]
    assert record.shared["k"] == 24
    assert record.shared["n_shared"] <= record.shared["n_kmers"]
    assert record.split == split_genome(masked_genome, validation=1 - 0.9, min_block=WINDOW).to_json()
    loaded = DNAMAE.load(trained.save(tmp_path / "m"))
    for name in ("floors", "shared", "split", "contigs"):
        assert getattr(loaded.record, name) == getattr(record, name)


def test_seeds_decide_everything(new, assert_same):
    models = []
    for seed in (4, 4, 5):
        models.append(new(seed=seed, dropout=0.1))
        models[-1].train(1, **TRAIN)
    assert_same(models[0], models[1])
    assert models[0].checksum() != models[2].checksum()


def test_about_a_thousand_steps_if_nothing_is_said(new, monkeypatch):
    asked = []
    monkeypatch.setattr(DNAMAE, "_fit", lambda self, run, build: asked.append((run.config.max_epochs, len(run.loaders.train))))
    for settings in ({}, {"batch_size": 4}, {"batch_size": 4, "epoch_windows": 13}):
        new().train(progress_bar=False, **settings)
    for epochs, steps in asked:
        assert 1000 <= epochs * steps < 1000 + steps
    assert [steps for _, steps in asked] == [16, 21, 4]


def test_nothing_held_out(new):
    model = new()
    model.train(1, **TRAIN, train_size=1.0)
    assert "validation_loss" not in model.history
    assert np.isfinite(model.blind_loss)
    assert model.record.shared == {}


def test_held_out_pieces_shorter_than_a_word_hinder_nobody(new, genome, caplog):
    """That words of 24 bases cannot be compared there is told, and training goes on."""
    model = new(genome, window=16)
    split = split_genome(genome, validation=[("chr1", a, a + 20) for a in range(5000, 5900, 40)])
    with caplog.at_level("INFO", logger="r2mae_bio"):
        model.train(1, **TRAIN, split=split)
    assert model.record.shared == {}
    assert "has no word of 24" in caplog.text
    assert np.isfinite(model.history["validation_loss"]).all()


def test_training_again_goes_on_from_the_weights(new):
    model = new()
    model.initialize()
    first = model.checksum()
    model.train(1, **TRAIN)
    fresh = new()
    fresh.train(1, **TRAIN)
    assert model.checksum() == fresh.checksum() != first  # initialize() makes the weights that train() begins with
    model.train(1, **TRAIN)
    assert model.history["train_loss"].iloc[0] < fresh.history["train_loss"].iloc[0]


def test_weights_are_in_full_precision_afterwards(new, tmp_path, random_codes):
    model = new()
    model.train(1, **{**TRAIN, "precision": "bf16-mixed"}, accelerator="cpu")
    assert {p.dtype for p in model.network.parameters()} == {torch.float32}
    loaded = DNAMAE.load(model.save(tmp_path / "m"))
    assert loaded.checksum() == model.checksum()
    np.testing.assert_array_equal(loaded.log_probs(random_codes()), model.log_probs(random_codes()))


# ---------------------------------------------------------------- stopping and continuing


RUN = {**TRAIN, "max_epochs": 3, "checkpoint_every_n_steps": 3}


@pytest.mark.parametrize(
    ("settings", "options"),
    [
        ({}, {}),
        ({"dropout": 0.1}, {"repeat_weight": 0.2, "early_stopping": True}),
        ({"hiding": "drop", "mask_ratio": 0.3}, {}),
        ({}, {"precision": "bf16-mixed"}),
    ],
    ids=["plain", "weights and early stopping", "drop", "bfloat16"],
)
def test_every_checkpoint_leads_to_the_same_end(new, masked_genome, assert_same, tmp_path, monkeypatch, settings, options):
    """Within an epoch too, where what repeats and unique bases have cost so far must not be
    forgotten.
    """
    monkeypatch.setattr(_resume, "_KEPT", 1000)
    options = {**RUN, "accelerator": "cpu", **options}
    whole = new(masked_genome, seed=1, **settings)
    whole.train(**options, checkpoint_dir=tmp_path / "run")
    assert "train_loss_repeat" in whole.history
    steps = [f"step_{n:08d}" for n in (3, 6, 7, 9, 12, 14, 15, 18, 21)]
    assert [p.name for p in sorted((tmp_path / "run").glob("step_*"))] == steps
    for name in (steps[1], steps[2], steps[6]):
        shutil.copytree(tmp_path / "run" / name, tmp_path / "moved" / name)
        resumed = new(masked_genome, seed=1, **settings)
        resumed.train(**options, resume_from=tmp_path / "moved")
        assert_same(whole, resumed)
        shutil.rmtree(tmp_path / "moved")


@pytest.fixture(scope="module")
def stopped(new, masked_genome, tmp_path_factory):
    """Checkpoints of a run that is not over."""
    folder = tmp_path_factory.mktemp("stopped") / "run"
    new(masked_genome, seed=1).train(**{**RUN, "max_epochs": 2}, checkpoint_dir=folder)
    shutil.rmtree(folder / "step_00000014")
    return folder


@pytest.mark.parametrize(
    ("settings", "options", "words"),
    [
        ({"seed": 2}, {}, "seed differ"),
        ({"mask_ratio": 0.5}, {}, "mask ratio differ"),
        ({"window": 63}, {}, "window differ"),
        ({"n_layers": 1}, {}, "network differ"),
        ({}, {"train_size": 0.8}, "split, training settings differ"),
        ({}, {"precision": "bf16-mixed"}, "precision differ"),
        ({}, {"repeat_weight": 0.1}, "repeat_weight differ"),
        ({}, {"both_strands": False}, "both_strands differ"),
        ({}, {"epoch_windows": 55}, "epoch_windows differ"),
        ({}, {"species_weights": {"": 2.0}}, "species_weights differ"),
        ({}, {"batch_size": 9}, "training settings differ"),
        ({}, {"train_kwargs": {"learning_rate": 1e-4}}, "training settings differ"),
    ],
)
def test_another_run_is_not_continued(new, masked_genome, stopped, settings, options, words):
    model = new(masked_genome, **{"seed": 1, **settings})
    before = model.record.to_json()
    with pytest.raises(CheckpointError, match=words):
        model.train(**{**RUN, "max_epochs": 2, **options}, resume_from=stopped)
    assert model.network is None
    assert str(model.record.to_json()) == str(before)  # NaN, too


def test_another_split_or_genome_is_another_run(new, masked_genome, stopped, tmp_path):
    options = {**RUN, "max_epochs": 2, "resume_from": stopped}
    other = split_genome(masked_genome, validation=[("chr1", 0, 600)])
    with pytest.raises(CheckpointError, match="another run: split differ"):
        new(masked_genome, seed=1).train(**options, split=other)
    text = masked_genome.fetch("chr1")
    for changed in (("A" if text[0] != "A" else "C") + text[1:], text[0].lower() + text[1:]):
        with pytest.raises(CheckpointError, match="another run: data differ"):
            new(write_genome(tmp_path / changed[:2], changed), seed=1).train(**options)


def test_the_same_genome_elsewhere_is_the_same_run(new, masked_genome, stopped, tmp_path):
    copied = write_genome(tmp_path / "elsewhere", masked_genome.fetch("chr1"), name="other")
    assert copied.fingerprint() == masked_genome.fingerprint()
    folder = shutil.copytree(stopped, tmp_path / "run")
    model = new(copied, seed=1)
    model.train(**{**RUN, "max_epochs": 2}, resume_from=folder)
    assert len(model.history) == 2


def test_a_loaded_checkpoint_goes_on_with_a_genome_and_not_without(masked_genome, new, stopped, assert_same, tmp_path):
    folder = shutil.copytree(stopped, tmp_path / "run")
    options = {**RUN, "max_epochs": 2, "resume_from": folder}
    with pytest.raises(SetupError, match="holds no genome"):
        DNAMAE.load(folder).train(**options)
    loaded = DNAMAE.load(folder, masked_genome)
    assert loaded.is_trained
    loaded.train(**options)
    whole = new(masked_genome, seed=1)
    whole.train(**{**RUN, "max_epochs": 2})
    assert_same(whole, loaded)
    complete = new(masked_genome, seed=1)
    complete.train(**options)
    assert_same(whole, complete)
    assert complete.floors == whole.floors


def test_ctrl_c_keeps_the_model(new, masked_genome, assert_same, tmp_path, monkeypatch):
    fetch, calls = WindowLoader.batch, []

    def batch(self, *place):
        calls.append(0)
        if len(calls) == 20:
            os.kill(os.getpid(), signal.SIGINT)
        return fetch(self, *place)

    model = new(masked_genome, seed=1)
    with monkeypatch.context() as patch:
        patch.setattr(WindowLoader, "batch", batch)
        model.train(**RUN, checkpoint_dir=tmp_path / "run")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert len(model.history) < 3
    assert model.is_trained
    assert np.isfinite(model.get_latent_representation(["ACGT"])).all()
    assert DNAMAE.load(model.save(tmp_path / "m")).checksum() == model.checksum()
    whole, resumed = (new(masked_genome, seed=1) for _ in range(2))
    whole.train(**RUN)
    resumed.train(**RUN, resume_from=tmp_path / "run")
    assert_same(whole, resumed)


SCRIPT = """
import sys, time
from r2mae_bio.model import DNAMAE
from r2mae_bio.dna.fit._loader import WindowLoader

data, folder, resume, out, delay = sys.argv[1:6]
fetch = WindowLoader.batch

def slow(self, *place):
    time.sleep(float(delay))
    return fetch(self, *place)

if __name__ == "__main__":
    model = DNAMAE(data, window={window}, seed=1, **{sizes})
    WindowLoader.batch = slow
    model.train(**{run}, checkpoint_dir=folder, resume_from=resume or None)
    model.save(out)
"""


@pytest.mark.slow
def test_killed_and_resumed_equals_uninterrupted(assert_same, tmp_path):
    genome = write_genome(tmp_path, with_repeats(periodic(6000)))
    (tmp_path / "run.py").write_text(SCRIPT.format(window=WINDOW, sizes=SIZES, run=RUN))

    def start(folder, *, resume="", delay=0.0):
        command = [sys.executable, "run.py", "toy.fa", folder, resume, f"{folder}-out", str(delay)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_CACHE_HOME": str(tmp_path / "cache")}
        return subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def finish(process):
        output, _ = process.communicate(timeout=300)
        assert process.returncode == 0, output

    victim = start("killed", delay=0.15)
    whole = DNAMAE(genome, window=WINDOW, seed=1, **SIZES)
    whole.train(**RUN)
    deadline = time.monotonic() + 240
    while not any(int(p.name[5:]) % 7 for p in (tmp_path / "killed").glob("step_*") if int(p.name[5:]) > 7):
        assert victim.poll() is None, victim.communicate()[0]
        assert time.monotonic() < deadline, "no checkpoint within an epoch appeared"
        time.sleep(0.01)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert not (tmp_path / "killed-out").exists()
    finish(start("killed", resume="killed"))
    assert_same(whole, DNAMAE.load(tmp_path / "killed-out"))


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"batch_size": 0}, "batch_size is 0"),
        ({"batch_size": True}, "batch_size is True"),
        ({"train_kwargs": {"lerning_rate": 1.0}}, "train_kwargs has no 'lerning_rate'. Did you mean 'learning_rate'"),
        ({"epoch_window": 8}, "has no 'epoch_window'. Did you mean 'epoch_windows'"),
        ({"loger": False}, "Did you mean 'logger'"),
        ({"use_gpu": True}, 'write accelerator="gpu"'),
        ({"epoch_windows": 0}, "epoch_windows=0"),
        ({"max_epochs": 0}, "max_epochs is 0"),
        ({"train_size": 0.0}, "train_size is 0.0"),
        ({"train_size": 1.5}, "train_size is 1.5"),
        ({"repeat_weight": 0.0}, "repeat_weight=0.0"),
        ({"species_weights": {"mouse": 1.0}}, "species|mouse"),
        ({"early_stopping": True, "train_size": 1.0}, "early_stopping needs validation"),
        ({"train_size": 0.999}, "6: fewer than the window of 64"),
        ({"precision": "bf16-true"}, "'bf16-true' would change the weights"),
        ({"precision": "64-true"}, "'64-true' would change the weights"),
    ],
)
def test_settings_that_cannot_be(new, settings, words):
    model = new()
    with pytest.raises(ConfigError, match=words):
        model.train(progress_bar=False, **settings)
    assert model.network is None
    assert model.floors == {}


def test_a_genome_that_holds_no_window(new, tmp_path):
    short = write_genome(tmp_path / "short", "ACGTTGCA" * 5)
    with pytest.raises(DataError, match="needed is one window of 64|one window"):
        new(short).train(1, **TRAIN, train_size=1.0)
    unknown = write_genome(tmp_path / "unknown", "N" * 4000 + "A")
    with pytest.raises(DataError, match="unknown"):
        new(unknown).train(1, **TRAIN, train_size=1.0)


@NO_TRAINER
def test_a_trainer_that_cannot_be_made_is_a_setting(new, given, found):
    with pytest.raises(ConfigError, match=TOLD.format(found=found)) as told:
        new().train(1, **TRAIN, **given)
    assert told.value.__cause__ is not None
