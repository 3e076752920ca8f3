"""What a training run is: how long it lasts, what it is made of, how it is executed, and what makes
it the same run when it is resumed.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._names import check_names
from r2mae_bio.config._training import TRAIN_INSTEAD
from r2mae_bio.core._resume import latest_checkpoint

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.core._loader import Loaders
    from r2mae_bio.core._objective import Objective
    from r2mae_bio.core._record import ModelRecord

_TARGET_STEPS = 400
_EPOCHS = (20, 400)
# What a run decides itself, and what a user who passes it is to do instead.
_DECIDED = {
    "check_val_every_n_epoch": "every epoch is validated",
    "enable_checkpointing": "checkpoints are written by checkpoint_dir and checkpoint_every_n_steps",
    "enable_progress_bar": "it is named progress_bar here",
    "gradient_clip_val": 'it is set by train_kwargs={"gradient_clip": ...}',
    "max_epochs": "it is the first argument of the method",
    "num_sanity_val_steps": "validation is part of each epoch alone",
    "reload_dataloaders_every_n_epochs": "an epoch that is resumed in its middle is shorter",
    "use_distributed_sampler": "the loaders divide each batch among processes themselves",
}
# `lightning.pytorch` and `pytorch_lightning` are the same code under two names. What is merely
# called (loggers, profilers) works under either; these the trainer asks for their class, callbacks
# before Lightning 2.6.
_ASKED_FOR_THEIR_CLASS = ("accelerator", "strategy", "plugins", "callbacks")


@dataclass(frozen=True)
class TrainOptions:
    """How a run is executed; none of this changes its result on one device."""

    accelerator: str = "auto"
    """Lightning's accelerator."""
    devices: Any = "auto"
    """Lightning's devices."""
    progress_bar: bool = True
    """Show a bar."""
    checkpoint_dir: Path | None = None
    """Folder for checkpoints and ``history.csv``; nothing is written if None."""
    checkpoint_every_n_steps: int | None = None
    """Write checkpoints within epochs too."""
    resume_from: Path | None = None
    """Checkpoint to continue."""
    trainer_kwargs: dict[str, Any] = field(default_factory=dict)
    """Passed to :class:`pytorch_lightning.Trainer`, such as ``precision="bf16-mixed"``."""

    def __post_init__(self) -> None:
        given = {"accelerator": self.accelerator, **self.trainer_kwargs}
        for name in sorted(given.keys() & _DECIDED):
            message = f"The trainer was given {name}, which a run decides itself: {_DECIDED[name]}. Leave it out."
            raise ConfigError(message)
        _check_precision(str(given.get("precision", "32-true")))
        for name in _ASKED_FOR_THEIR_CLASS:
            for value in as_list(given.get(name)):
                _check_package(name, value)
        for callback in as_list(given.get("callbacks")):
            _check_writes_no_checkpoints(callback)


@dataclass(frozen=True, eq=False)
class Run:
    """What a model hands over to be trained."""

    config: TrainConfig
    """What to do."""
    options: TrainOptions
    """How to run it."""
    loaders: Loaders
    """Training and validation rows."""
    objective: Objective
    """What is hidden and how its prediction is scored."""
    data_fingerprint: str
    """sha256 of the training data."""
    identity: dict[str, Any] = field(default_factory=dict)
    """What else must not differ when the run is resumed, each under the name by which a message may
    call it.
    """
    findings: dict[str, Any] = field(default_factory=dict)
    """Fields of the record, by name, that are set once nothing stands against the run."""


def _check_precision(precision: str) -> None:
    """Lightning would convert rows, too, which are no tensors."""
    if precision == "64" or (precision.endswith("-true") and precision != "32-true"):
        message = (
            f"precision is {precision!r}, and weights are in single precision here; needed is '32-true', or 'bf16-mixed' or '16-mixed', "
            "which compute in half of it."
        )
        raise ConfigError(message)


def default_epochs(n_rows: int, batch_size: int) -> int:
    """Epochs for about 400 optimiser steps, between 20 and 400.

    Parameters
    ----------
    n_rows
        Number of rows to train on.
    batch_size
        Rows per step.
    """
    per_epoch = -(-n_rows // batch_size)
    return int(np.clip(-(-_TARGET_STEPS // per_epoch), *_EPOCHS))


def train_options(
    *,
    accelerator: str,
    devices: Any,
    progress_bar: bool,
    checkpoint_dir: Path | str | None,
    checkpoint_every_n_steps: int | None,
    resume_from: Path | str | None,
    trainer_kwargs: dict[str, Any],
    own: Collection[str] = (),
) -> TrainOptions:
    """The arguments of a ``train`` method that do not change what is learnt.

    A run that is resumed goes on in its own folder unless told another.

    Parameters
    ----------
    accelerator, devices, trainer_kwargs
        As in :class:`pytorch_lightning.Trainer`.
    progress_bar
        Show a bar.
    checkpoint_dir, checkpoint_every_n_steps
        Where and how often to save.
    resume_from
        Folder of an earlier run, or one of its checkpoints.
    own
        Names of all arguments of the method; those in ``trainer_kwargs`` may be misspelt ones.

    Raises
    ------
    ConfigError
        ``trainer_kwargs`` holds what a run decides itself, or what Lightning does not know.
    CheckpointError
        ``resume_from`` holds no checkpoint.
    """
    check_trainer_kwargs(trainer_kwargs, own)
    resume = None if resume_from is None else Path(resume_from).expanduser()
    folder = latest_checkpoint(resume).parent if checkpoint_dir is None and resume is not None else checkpoint_dir
    return TrainOptions(
        accelerator,
        devices,
        progress_bar,
        None if folder is None else Path(folder).expanduser(),
        checkpoint_every_n_steps,
        resume,
        trainer_kwargs,
    )


def check_trainer_kwargs(
    trainer_kwargs: Mapping[str, Any], own: Collection[str], *, what: str = "train()", instead: Mapping[str, str] = TRAIN_INSTEAD
) -> None:
    """Refuse arguments of a ``train`` method that neither it has nor Lightning's trainer.

    Parameters
    ----------
    trainer_kwargs
        What the user gave beside the method's own arguments.
    own
        Names of these, for which others may be misspelt.
    what, instead
        As for :func:`~r2mae_bio.config._names.check_names`.

    Raises
    ------
    ConfigError
        There is one; the message gives what to write instead.
    """
    import pytorch_lightning as pl  # takes seconds, which those who do not train need not wait for

    known = inspect.signature(pl.Trainer.__init__).parameters.keys() - {"self"}
    check_names(trainer_kwargs, known, what=what, instead=instead, near=set(own) - {"self", "trainer_kwargs"})


def as_list(value: Any) -> list[Any]:
    """What a user gave as one or several."""
    return list(value) if isinstance(value, list | tuple) else [] if value is None else [value]


def _check_package(name: str, value: Any) -> None:
    foreign = next((base for base in type(value).__mro__ if base.__module__.startswith("lightning.pytorch.")), None)
    if foreign is not None:
        own = foreign.__module__.replace("lightning.pytorch", "pytorch_lightning").rsplit(".", 1)[0]
        message = (
            f"{name} has a {foreign.__name__} of the package lightning; the trainer here is pytorch_lightning's, "
            f"which takes none but its own. Import it by: from {own} import {foreign.__name__}"
        )
        raise ConfigError(message)


def _check_writes_no_checkpoints(callback: Any) -> None:
    if any(base.__module__.endswith(".callbacks.checkpoint") for base in type(callback).__mro__):
        message = (
            f"callbacks has a {type(callback).__name__}, whose files are pickles that a run cannot continue from. "
            "Leave it out and pass checkpoint_dir."
        )
        raise ConfigError(message)


def run_identity(record: ModelRecord, run: Run) -> dict[str, Any]:
    """What must not differ between a run and its continuation, as it looks when it comes back from
    disk.

    Parameters
    ----------
    record
        Of the model.
    run
        What is to be done.
    """
    identity = {
        "data": run.data_fingerprint,
        **run.identity,
        "network": record.config.to_json(),
        "training settings": run.config.to_json(),
        "mask ratio": record.law.to_json(),
        "seed": record.seed,
    }
    return _plain(identity)


def unsaid_settings(record: ModelRecord, run: Run) -> dict[str, list[dict[str, Any]]]:
    """What settings may be that the files of an older version lack: as they are by default, or as
    they were before there was a choice; anything else is another run.

    Parameters
    ----------
    record, run
        As for :func:`run_identity`, in whose parts these settings are.
    """
    return {
        "network": [_plain(_defaults(record.config)), _plain(record.before_there_was_a_choice())],
        "training settings": [_plain(_defaults(run.config))],
    }


def _defaults(config: Any) -> dict[str, Any]:
    return {one.name: one.default for one in fields(config) if one.default is not MISSING}


def _plain(data: dict[str, Any]) -> dict[str, Any]:
    """The same as it comes back from disk."""
    plain: dict[str, Any] = json.loads(json.dumps(data))
    return plain
