"""Ctrl-C, early stopping and resuming, in one process: whatever ended a run, going on gives the
uninterrupted one.
"""

from __future__ import annotations

import os
import shutil
import signal
import threading

import numpy as np
import pandas as pd
import pytest
import torch
from pytorch_lightning.callbacks import Callback

from r2mae_bio._errors import CheckpointError
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.core import _callbacks, _resume
from r2mae_bio.core._resume import TrainingState, latest_checkpoint
from r2mae_bio.model import GeneMAE

# validation losses that fall and rise, so that early stopping has something to judge
ROUGH = {
    "max_epochs": 12, "batch_size": 8, "progress_bar": False, "early_stopping": True,
    "train_kwargs": {"patience": 4, "learning_rate": 0.05, "decoder_decay": 0.0},
}  # fmt: skip
SMOOTH = {"max_epochs": 4, "batch_size": 8, "progress_bar": False}


def new(adata, sizes, seed=1, **settings):
    """Without a panel reader, which begins when training is over and has tests of its own."""
    GeneMAE.setup_anndata(adata, batch_key="batch")
    return GeneMAE(adata, seed=seed, **{**sizes, "panel_reader": False, **settings})


def weights(model):
    return {k: v.clone() for k, v in model.network.state_dict().items()}


def assert_same(a, b):
    theirs = weights(b)
    assert [k for k, v in weights(a).items() if not torch.equal(v, theirs[k])] == []
    left, right = (m.history.drop(columns="cells_per_second") for m in (a, b))
    pd.testing.assert_frame_equal(left, right, check_exact=True)
    assert a.record.mask_ratios == b.record.mask_ratios


def interrupt_at(monkeypatch, call, times=1):
    """Send SIGINT while the given batch is fetched."""
    fetch, calls = CellTable.batch, []

    def batch(self, index):
        calls.append(0)
        if len(calls) == call:
            for _ in range(times):
                os.kill(os.getpid(), signal.SIGINT)
        return fetch(self, index)

    monkeypatch.setattr(CellTable, "batch", batch)


@pytest.fixture
def keep_every_checkpoint(monkeypatch):
    monkeypatch.setattr(_resume, "_KEPT", 1000)


@pytest.fixture(autouse=True)
def _fast_disk(monkeypatch):
    monkeypatch.setattr("r2mae_bio._files.os.fsync", lambda _: None)


@pytest.mark.parametrize("settings", [ROUGH, SMOOTH], ids=["early stopping", "all epochs"])
def test_every_checkpoint_leads_to_the_same_end(adata, sizes, tmp_path, settings, keep_every_checkpoint):
    whole = new(adata, sizes)
    whole.train(**settings, checkpoint_dir=tmp_path / "run", checkpoint_every_n_steps=5)
    steps = sorted((tmp_path / "run").glob("step_*"))
    assert {int(p.name[5:]) % 7 == 0 for p in steps} == {True, False}
    chosen = [steps[2], next(p for p in steps[3:] if int(p.name[5:]) % 7 == 0), steps[-2]]
    for step in chosen:
        moved = tmp_path / "moved" / step.name
        shutil.copytree(step, moved)
        resumed = new(adata, sizes)
        resumed.train(**settings, resume_from=moved)
        assert_same(whole, resumed)
        assert latest_checkpoint(tmp_path / "moved").name == steps[-1].name
        shutil.rmtree(tmp_path / "moved")


@pytest.mark.parametrize("call", [8, 47])
def test_ctrl_c_and_resume_whatever_the_validation_loss_did(adata, sizes, tmp_path, monkeypatch, call):
    whole, stopped, resumed = (new(adata, sizes) for _ in range(3))
    whole.train(**ROUGH)
    with monkeypatch.context() as patch:
        interrupt_at(patch, call)
        stopped.train(**ROUGH, checkpoint_dir=tmp_path)
    assert stopped.is_trained
    assert stopped.was_interrupted
    assert not whole.was_interrupted
    assert len(stopped.history) < len(whole.history)
    assert np.isfinite(stopped.get_latent_representation()).all()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    resumed.train(**ROUGH, resume_from=tmp_path)
    assert_same(whole, resumed)


@pytest.mark.parametrize("settings", [ROUGH, SMOOTH], ids=["early stopping", "all epochs"])
@pytest.mark.parametrize("hook", ["on_train_epoch_start", "on_train_epoch_end", "on_validation_start", "on_validation_end"])
def test_ctrl_c_between_two_epochs_adds_none(adata, sizes, tmp_path, settings, hook):
    """An epoch that ends before its first batch is none: the one before it is not counted twice."""
    whole, stopped, resumed = (new(adata, sizes) for _ in range(3))
    whole.train(**settings)

    def press(self, trainer, training):
        if trainer.current_epoch == 2:
            signal.raise_signal(signal.SIGINT)

    stopped.train(**settings, checkpoint_dir=tmp_path, callbacks=[type("Press", (Callback,), {hook: press})()])
    state = TrainingState.read(tmp_path)
    assert len(state.history) == len(stopped.history) == state.step // 7
    resumed.train(**settings, resume_from=tmp_path)
    assert_same(whole, resumed)


def test_ctrl_c_in_the_first_epoch_leaves_a_model_that_can_be_saved(adata, sizes, tmp_path, monkeypatch):
    model = new(adata, sizes)
    interrupt_at(monkeypatch, 6)
    model.train(**SMOOTH)
    assert len(model.history) == 0
    loaded = GeneMAE.load(model.save(tmp_path / "m"))
    assert "trained for 0 epochs" in repr(loaded)
    np.testing.assert_array_equal(loaded.get_latent_representation(adata), model.get_latent_representation())


def test_a_second_ctrl_c_stops_at_once_and_does_not_end_the_program(adata, sizes, monkeypatch):
    model = new(adata, sizes)
    interrupt_at(monkeypatch, 20, times=2)
    with pytest.raises(KeyboardInterrupt):
        model.train(**SMOOTH)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_training_works_off_the_main_thread(adata, sizes):
    model, errors = new(adata, sizes), []

    def run():
        try:
            model.train(max_epochs=1, progress_bar=False)
        except Exception as error:  # noqa: BLE001 - handed to the main thread
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert errors == []
    assert model.is_trained


# ---------------------------------------------------------------- what cannot be continued


def test_a_run_that_stopped_early_is_complete(adata, sizes, tmp_path):
    model = new(adata, sizes)
    model.train(**ROUGH, checkpoint_dir=tmp_path)
    assert len(model.history) < 12
    again = new(adata, sizes)
    again.train(**ROUGH, resume_from=tmp_path)
    before = weights(model)
    assert all(torch.equal(value, before[name]) for name, value in weights(again).items())
    assert len(again.history) == len(model.history)


def test_a_refused_continuation_leaves_the_model_as_it_was(adata, sizes, tmp_path):
    new(adata, sizes).train(**SMOOTH, checkpoint_dir=tmp_path)
    fresh = new(adata, sizes, seed=2)
    with pytest.raises(CheckpointError, match="seed differ"):
        fresh.train(**SMOOTH, resume_from=tmp_path)
    assert fresh.network is None
    trained = new(adata, sizes, seed=2)
    trained.train(max_epochs=1, progress_bar=False)
    before, record = weights(trained), (trained.record.train, trained.record.data_fingerprint)
    for resume_from in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CheckpointError):
            trained.train(**{**SMOOTH, "train_size": 0.7}, resume_from=resume_from)
    assert (trained.record.train, trained.record.data_fingerprint) == record
    assert all(torch.equal(v, before[k]) for k, v in weights(trained).items())


@pytest.mark.parametrize(
    ("settings", "train", "words"),
    [
        ({"dropout": 0.2}, {}, "network differ"),
        ({"mask_ratio": (0.1, 0.9)}, {}, "mask ratio differ"),
        ({}, {"max_epochs": 5}, "training settings differ"),
        ({}, {"train_size": 0.8}, "data, training settings differ"),
    ],
)
def test_what_differs_is_named(adata, sizes, tmp_path, settings, train, words):
    new(adata, sizes).train(**SMOOTH, checkpoint_dir=tmp_path)
    with pytest.raises(CheckpointError, match=words):
        new(adata, sizes, **settings).train(**{**SMOOTH, **train}, resume_from=tmp_path)


def test_other_covariates_are_another_run(adata, sizes, tmp_path):
    new(adata, sizes).train(**SMOOTH, checkpoint_dir=tmp_path)
    adata.obs["batch"] = adata.obs["batch"].to_numpy()[::-1]
    with pytest.raises(CheckpointError, match="another run: covariates differ"):
        new(adata, sizes).train(**SMOOTH, resume_from=tmp_path)


def test_the_folder_of_another_run_is_not_written_into(adata, sizes, tmp_path):
    first = new(adata, sizes)
    first.train(**SMOOTH, checkpoint_dir=tmp_path)
    names = sorted(p.name for p in tmp_path.iterdir())
    with pytest.raises(CheckpointError, match="checkpoints of an earlier run; pass resume_from"):
        new(adata, sizes, seed=2).train(**SMOOTH, checkpoint_dir=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == names
    assert GeneMAE.load(tmp_path).record.seed == 1


def test_the_last_two_checkpoints_are_kept_and_damage_is_refused(adata, sizes, tmp_path):
    new(adata, sizes).train(**SMOOTH, checkpoint_dir=tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history.csv", "step_00000021", "step_00000028"]
    shutil.rmtree(tmp_path / "step_00000028")
    file = tmp_path / "step_00000021" / "state.safetensors"
    content = bytearray(file.read_bytes())
    content[-9] ^= 16
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="checksum"):
        new(adata, sizes).train(**SMOOTH, resume_from=tmp_path)
    assert GeneMAE.load(tmp_path).is_trained  # the model part is whole


def test_a_state_of_another_version_is_refused(adata, sizes, tmp_path, monkeypatch):
    bundle = TrainingState.bundle

    def newer(self):
        made = bundle(self)
        made.data["momentum"] = 1
        return made

    monkeypatch.setattr(TrainingState, "bundle", newer)
    new(adata, sizes).train(**{**SMOOTH, "max_epochs": 1}, checkpoint_dir=tmp_path)
    with pytest.raises(CheckpointError, match="another version"):
        TrainingState.read(tmp_path)


def test_a_crash_while_a_checkpoint_is_written_leaves_the_one_before(adata, sizes, tmp_path, monkeypatch):
    whole = new(adata, sizes)
    whole.train(**SMOOTH)
    write, written = _callbacks.write_checkpoint, []

    def crash(*args):
        written.append(0)
        if len(written) == 3:
            monkeypatch.setattr("r2mae_bio._files.os.fsync", fail)
        return write(*args)

    def fail(_):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(_callbacks, "write_checkpoint", crash)
        with pytest.raises(OSError, match="disk full"):
            new(adata, sizes).train(**SMOOTH, checkpoint_dir=tmp_path)
    monkeypatch.undo()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["history.csv", "step_00000007", "step_00000014"]
    resumed = new(adata, sizes)
    resumed.train(**SMOOTH, resume_from=tmp_path)
    assert_same(whole, resumed)
