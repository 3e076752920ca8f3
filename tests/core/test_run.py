"""Options of a run: what is handed on, where it is written, how long it lasts."""

from __future__ import annotations

from pathlib import Path

import pytest

from r2mae_bio._errors import CheckpointError
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


@pytest.mark.parametrize(("n_rows", "batch_size", "epochs"), [(4000, 100, 20), (1000, 100, 40), (50, 100, 400), (10**6, 10, 20)])
def test_epochs_for_about_400_steps(n_rows, batch_size, epochs):
    assert default_epochs(n_rows, batch_size) == epochs
