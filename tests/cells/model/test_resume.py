"""Interrupted equals uninterrupted, bit for bit; Ctrl-C keeps the model; seeds decide
everything.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from r2mae_bio._errors import CheckpointError, TrainingError
from r2mae_bio.core._checkpoint import read_bundle, write_folder
from r2mae_bio.core._resume import TrainingState, latest_checkpoint
from r2mae_bio.io import CellStore
from r2mae_bio.model import GeneMAE

SETTINGS = {"max_epochs": 6, "batch_size": 8, "progress_bar": False, "early_stopping": True}

SCRIPT = """
import os, signal, sys, time, warnings
import anndata as ad
from r2mae_bio.io import CellStore
from r2mae_bio.model import GeneMAE
from r2mae_bio.cells.fit._table import CellTable

data, folder, resume, out, delay, interrupt_at, kind = sys.argv[1:8]
sizes = {sizes}
fetch = CellTable.batch
calls = 0

def slow(self, index):
    global calls
    calls += 1
    time.sleep(float(delay))
    if calls == int(interrupt_at):
        os.kill(os.getpid(), signal.SIGINT)
    return fetch(self, index)

adata = CellStore(data, obs="batch", block_size=4, buffer_blocks=4) if kind == "files" else ad.read_h5ad(data)
GeneMAE.setup_anndata(adata, batch_key="batch")
model = GeneMAE(adata, seed=5, **sizes)
CellTable.batch = slow
model.train(max_epochs=6, batch_size=8, progress_bar=False, early_stopping=True, checkpoint_dir=folder,
            checkpoint_every_n_steps=3, resume_from=resume or None)
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
model.save(out)
"""


@pytest.fixture
def prepared(adata, sizes, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    (tmp_path / "run.py").write_text(SCRIPT.replace("{sizes}", repr(sizes)))
    return tmp_path


def start(folder, checkpoints, *, resume="", out="out", delay=0.0, interrupt_at=-1, kind="memory"):
    command = [sys.executable, "run.py", "cells.h5ad", checkpoints, resume, out, str(delay), str(interrupt_at), kind]
    one_thread = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, cwd=folder, env=one_thread, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output


def wait_for_checkpoint_within_epoch(folder, process):
    for _ in range(3000):
        steps = [int(p.name[5:]) for p in folder.glob("step_*")]
        if any(step > 7 and step % 7 for step in steps):
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.02)
    pytest.fail("no checkpoint appeared")


def assert_same_model(a, b):
    weights, others = a.network.state_dict(), b.network.state_dict()
    assert [k for k in weights if not torch.equal(weights[k], others[k])] == []
    drop = ["cells_per_second"]
    pd.testing.assert_frame_equal(a.history.drop(columns=drop), b.history.drop(columns=drop), check_exact=True)
    assert a.record.mask_ratios == b.record.mask_ratios


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["memory", "files"])
def test_killed_and_resumed_equals_uninterrupted(prepared, sizes, kind):
    victim = start(prepared, "killed", delay=0.1, kind=kind)
    path = prepared / "cells.h5ad"
    adata = CellStore(path, obs="batch", block_size=4, buffer_blocks=4) if kind == "files" else ad.read_h5ad(path)
    GeneMAE.setup_anndata(adata, batch_key="batch")
    whole = GeneMAE(adata, seed=5, **sizes)
    whole.train(**SETTINGS)
    wait_for_checkpoint_within_epoch(prepared / "killed", victim)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert not (prepared / "out").exists()
    finish(start(prepared, "killed", resume="killed", kind=kind))
    assert_same_model(whole, GeneMAE.load(prepared / "out"))


@pytest.mark.slow
def test_ctrl_c_lets_the_program_go_on(prepared):
    finish(start(prepared, "stopped", interrupt_at=40))
    stopped = GeneMAE.load(prepared / "out")
    assert stopped.is_trained
    assert all(torch.isfinite(p).all() for p in stopped.network.parameters())
    assert 0 < len(stopped.history) < 6


@pytest.fixture
def run(adata, sizes, tmp_path):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=1, **sizes)
    model.train(**SETTINGS, checkpoint_dir=tmp_path / "run")
    return model, adata, tmp_path / "run"


def test_another_run_is_not_continued(run, sizes):
    _, adata, folder = run
    with pytest.raises(CheckpointError, match="seed differ"):
        GeneMAE(adata, seed=2, **sizes).train(**SETTINGS, resume_from=folder)
    with pytest.raises(CheckpointError, match="mask ratio differ"):
        GeneMAE(adata, seed=1, mask_ratio=0.5, **sizes).train(**SETTINGS, resume_from=folder)
    with pytest.raises(CheckpointError, match="training settings differ"):
        GeneMAE(adata, seed=1, **sizes).train(**{**SETTINGS, "batch_size": 9}, resume_from=folder)
    other = adata.copy()
    other.X = other.X * 2
    with pytest.raises(CheckpointError, match="data differ"):
        GeneMAE(other, seed=1, **sizes).train(**SETTINGS, resume_from=folder)


def test_settings_that_the_run_lacks_are_compared_too(run, sizes):
    """As in a run of before there was a choice."""
    _, adata, folder = run
    earlier = sorted(folder.glob("step_*"))[0]
    state = TrainingState.read(earlier)
    for part, name in (("network", "noise_pooling"), ("network", "content"), ("training settings", "decoder_decay")):
        del state.identity[part][name]
    write_folder(earlier, {"model": read_bundle(earlier, "model"), "state": state.bundle()}, overwrite=True)
    others = {"noise_pooling": 0.5}, {"content": "log", "noise_pooling": 0.1}
    for network in others:
        with pytest.raises(CheckpointError, match=r"network differ \(network: noise_pooling\)"):
            GeneMAE(adata, seed=1, **sizes, **network).train(**SETTINGS, resume_from=earlier)
    with pytest.raises(CheckpointError, match=r"training settings differ \(training settings: decoder_decay\)"):
        GeneMAE(adata, seed=1, **sizes).train(**SETTINGS, train_kwargs={"decoder_decay": 1.0}, resume_from=earlier)
    for network in ({}, {"noise_pooling": 0.0}):
        again = GeneMAE(adata, seed=1, **sizes, **network)
        again.train(**SETTINGS, resume_from=earlier, checkpoint_dir=folder.parent / f"again{len(network)}")
        assert_same_model(run[0], again)


def test_a_read_rate_that_is_not_said_is_that_of_the_run(adata, sizes, tmp_path):
    """The run of an earlier version, which had another default, goes on as it began."""
    GeneMAE.setup_anndata(adata)
    whole = GeneMAE(adata, seed=1, **sizes)
    whole.train(**SETTINGS, train_kwargs={"read_rate": 0.1}, checkpoint_dir=tmp_path / "run")
    earlier = sorted((tmp_path / "run").glob("step_*"))[0]
    again = GeneMAE(adata, seed=1, **sizes)
    again.train(**SETTINGS, resume_from=earlier, checkpoint_dir=tmp_path / "again")
    assert_same_model(whole, again)
    with pytest.raises(CheckpointError, match=r"training settings differ \(training settings: read_rate\)"):
        GeneMAE(adata, seed=1, **sizes).train(**SETTINGS, train_kwargs={"read_rate": 0.0}, resume_from=earlier)


def test_a_complete_run_and_an_empty_folder(run, sizes, tmp_path):
    """A run that was killed before its model was saved is one that has no step left to do."""
    whole, adata, folder = run
    again = GeneMAE(adata, seed=1, **sizes)
    again.train(**SETTINGS, resume_from=folder)
    assert_same_model(whole, again)
    with pytest.raises(CheckpointError, match="holds no training checkpoint"):
        GeneMAE(adata, seed=1, **sizes).train(**SETTINGS, resume_from=tmp_path)


def test_a_checkpoint_is_a_model(run):
    model, adata, folder = run
    newest = latest_checkpoint(folder)
    loaded = GeneMAE.load(folder)
    assert newest.name == "step_00000042"
    assert loaded.is_trained
    assert loaded.get_latent_representation(adata).shape == model.get_latent_representation(adata).shape
    rows = pd.read_csv(folder / "history.csv")
    assert len(rows) == 6
    json.loads((newest / "state.json").read_text())


def test_a_single_checkpoint_can_be_named(run, sizes):
    whole, adata, folder = run
    earlier = sorted(folder.glob("step_*"))[0]
    again = GeneMAE(adata, seed=1, **sizes)
    again.train(**SETTINGS, resume_from=earlier)
    assert_same_model(whole, again)
    assert sorted(p.name for p in earlier.iterdir()) == ["model.json", "model.safetensors", "state.json", "state.safetensors"]


def test_equal_seeds_are_bit_equal_and_the_callers_generators_untouched(adata, sizes):
    GeneMAE.setup_anndata(adata)
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    models = []
    for seed in (4, 4, 5):
        models.append(GeneMAE(adata, seed=seed, **sizes))
        models[-1].train(max_epochs=2, progress_bar=False)
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    first, second, third = (m.get_latent_representation() for m in models)
    np.testing.assert_array_equal(first, second)
    assert np.abs(first - third).max() > 1e-3


def test_early_stopping_returns_to_the_best_epoch(adata, sizes):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=1, **sizes)
    model.train(max_epochs=60, batch_size=8, progress_bar=False, early_stopping=True,
                train_kwargs={"patience": 2, "learning_rate": 0.05, "decoder_decay": 0.0})  # fmt: skip
    losses = model.history["validation_loss"]
    assert len(losses) < 60
    assert losses.idxmin() == len(losses) - 3


def test_a_loss_that_is_not_finite_ends_training(adata, sizes, monkeypatch):
    from r2mae_bio.core._training_step import MaskedTraining

    share = MaskedTraining._share_of_slots
    monkeypatch.setattr(
        MaskedTraining, "_share_of_slots", lambda self, n: share(self, n) * (float("nan") if self.step > 3 else 1)
    )
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    with pytest.raises(TrainingError, match="at step 4"):
        model.train(max_epochs=20, batch_size=8, train_size=1.0, progress_bar=False)
    assert model.network is None
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
