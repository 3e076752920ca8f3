"""Options of a run: what is handed on, where it is written, how long it lasts."""

from __future__ import annotations

from pathlib import Path

import pytest
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import Callback, LambdaCallback
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import SingleDeviceStrategy
from pytorch_lightning.callbacks import ModelCheckpoint, Timer

from r2mae_bio._errors import CheckpointError, ConfigError
from r2mae_bio.core._run import default_epochs, train_options

PLAIN = {
    "accelerator": "cpu",
    "devices": 1,
    "progress_bar": False,
    "checkpoint_every_n_steps": None,
    "trainer_kwargs": {"precision": 32},
}


def test_options_are_handed_on_and_nothing_is_written_unless_asked():
    options = train_options(**PLAIN, checkpoint_dir=None, resume_from=None)
    assert (options.accelerator, options.devices, options.progress_bar) == ("cpu", 1, False)
    assert (options.checkpoint_dir, options.resume_from, options.trainer_kwargs) == (None, None, {"precision": 32})


def test_a_resumed_run_stays_in_its_folder_unless_told_another(tmp_path):
    step = tmp_path / "run" / "step_00000012"
    step.mkdir(parents=True)
    (step / "state.json").touch()
    for resume_from in (step, str(step), tmp_path / "run"):
        options = train_options(**PLAIN, checkpoint_dir=None, resume_from=resume_from)
        assert (options.checkpoint_dir, options.resume_from) == (tmp_path / "run", Path(resume_from))
    assert train_options(**PLAIN, checkpoint_dir="elsewhere", resume_from=step).checkpoint_dir == Path("elsewhere")
    with pytest.raises(CheckpointError, match="holds no training checkpoint"):
        train_options(**PLAIN, checkpoint_dir=None, resume_from=tmp_path / "nowhere")


def test_folders_of_a_run_may_begin_at_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    step = tmp_path / "run" / "step_00000012"
    step.mkdir(parents=True)
    (step / "state.json").touch()
    options = train_options(**PLAIN, checkpoint_dir=None, resume_from="~/run")
    assert (options.checkpoint_dir, options.resume_from) == (tmp_path / "run", tmp_path / "run")
    assert train_options(**PLAIN, checkpoint_dir="~/new", resume_from=None).checkpoint_dir == tmp_path / "new"


@pytest.mark.parametrize(("n_rows", "batch_size", "epochs"), [(4000, 100, 20), (1000, 100, 40), (50, 100, 400), (10**6, 10, 20)])
def test_epochs_for_about_400_steps(n_rows, batch_size, epochs):
    assert default_epochs(n_rows, batch_size) == epochs


@pytest.mark.parametrize("precision", ["64-true", "bf16-true", "16-true", 64, "64"])
def test_precisions_of_other_weights_are_refused(precision):
    with pytest.raises(ConfigError, match=f"precision is '{precision}', .*'bf16-mixed'"):
        train_options(**(PLAIN | {"trainer_kwargs": {"precision": precision}}), checkpoint_dir=None, resume_from=None)


@pytest.mark.parametrize("name", ["gradient_clip_val", "enable_checkpointing", "num_sanity_val_steps", "use_distributed_sampler"])
def test_what_a_run_decides_itself_is_refused(name):
    with pytest.raises(ConfigError, match=f"given {name}, which a run decides itself: .*Leave it out"):
        train_options(**(PLAIN | {"trainer_kwargs": {name: 1}}), checkpoint_dir=None, resume_from=None)


@pytest.mark.parametrize(
    ("options", "found", "needed"),
    [
        ({"accelerator": CPUAccelerator()}, "accelerator has a CPUAccelerator", "pytorch_lightning.accelerators import CPUAcc"),
        (
            {"trainer_kwargs": {"strategy": SingleDeviceStrategy("cpu")}},
            "strategy has a SingleDeviceStrategy",
            "pytorch_lightning.strategies import SingleDeviceStrategy",
        ),
        (
            {"trainer_kwargs": {"plugins": [MixedPrecision("bf16-mixed", "cpu")]}},
            "plugins has a MixedPrecision",
            "pytorch_lightning.plugins.precision import MixedPrecision",
        ),
        (
            {"trainer_kwargs": {"callbacks": [LambdaCallback()]}},
            "callbacks has a LambdaCallback",
            "pytorch_lightning.callbacks import LambdaCallback",
        ),
        (
            {"trainer_kwargs": {"callbacks": type("Mine", (Callback,), {})()}},
            "callbacks has a Callback",
            "pytorch_lightning.callbacks import Callback",
        ),
    ],
)
def test_parts_of_the_other_lightning_are_refused_with_the_import_to_use(options, found, needed):
    with pytest.raises(ConfigError, match=f"{found} of the package lightning; .*: from {needed}"):
        train_options(**(PLAIN | options), checkpoint_dir=None, resume_from=None)


def test_a_callback_that_writes_checkpoints_of_its_own_is_refused():
    callbacks = [Timer(), ModelCheckpoint()]
    with pytest.raises(ConfigError, match="callbacks has a ModelCheckpoint, .*pass checkpoint_dir"):
        train_options(**(PLAIN | {"trainer_kwargs": {"callbacks": callbacks}}), checkpoint_dir=None, resume_from=None)
