"""What a training run is: how long it lasts, what it is made of, and what makes it the same run
when it is resumed.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio.core._resume import latest_checkpoint
from r2mae_bio.core._runner import TrainOptions, check_trainer_kwargs

if TYPE_CHECKING:
    from collections.abc import Collection

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.core._loader import Loaders
    from r2mae_bio.core._objective import Objective
    from r2mae_bio.core._record import ModelRecord

_TARGET_STEPS = 400
_EPOCHS = (20, 400)


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
