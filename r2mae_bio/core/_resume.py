"""Training state on disk: what a run needs, beside the model, to go on exactly."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import CheckpointError, ConfigError, CorruptCheckpointError
from r2mae_bio._keys import first_names
from r2mae_bio.config._form import check_form
from r2mae_bio.core._bundle import misfit
from r2mae_bio.core._checkpoint import Bundle, check_intact, read_bundle, write_folder
from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.core._record import HISTORY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import torch
    from torch import nn

    from r2mae_bio.core._training_step import MaskedTraining

_STEP = re.compile(r"step_(\d{8})")
_KEPT = 2
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")
_FORM: dict[str, Any] = {
    "step": int,
    "history": HISTORY,
    "mask_ratios": list[int],
    "early_stopping": dict[str, Any],
    "identity": dict[str, Any],
}
_EARLY_STOPPING: dict[str, Any] = {"wait_count": int, "stopped_epoch": int, "best_score": float, "patience": int}


@dataclass(eq=False)
class TrainingState:
    """Everything that changes during a run, except the weights."""

    step: int = 0
    """Optimiser steps done."""
    history: list[dict[str, float]] = field(default_factory=list)
    """One row per finished epoch."""
    mask_ratios: list[int] = field(default_factory=list)
    """Rows trained on so far, by bin of their realised ratio."""
    blind_loss: float = float("nan")
    """Loss of a prediction that sees nothing; measured anew when a run is resumed, so it is not
    kept on disk.
    """
    early_stopping: dict[str, Any] = field(default_factory=dict)
    """State of the early-stopping callback."""
    identity: dict[str, Any] = field(default_factory=dict)
    """What must not differ between a run and its continuation: data, configuration, seed, law."""
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    """Optimiser moments, the meter of an unfinished epoch, and the best weights so far."""

    def bundle(self) -> Bundle:
        """For :func:`write_folder`."""
        data = {
            "step": self.step,
            "history": self.history,
            "mask_ratios": self.mask_ratios,
            "early_stopping": self.early_stopping,
            "identity": self.identity,
        }
        return Bundle(self.tensors, data, {})

    @classmethod
    def read(cls, path: Path | str) -> TrainingState:
        """Read the state in a checkpoint folder.

        Parameters
        ----------
        path
            A folder ``step_...`` or the folder that holds them.

        Raises
        ------
        CheckpointError
            There is none, or it is damaged.
        """
        folder = latest_checkpoint(path)
        bundle = read_bundle(folder, "state")
        check_intact(bundle, folder)
        try:
            check_form(bundle.data, _FORM)
            check_form(bundle.data["early_stopping"], _EARLY_STOPPING if bundle.data["early_stopping"] else {})
            return cls(**bundle.data, tensors=bundle.tensors)
        except (ConfigError, TypeError) as error:
            message = f"{folder} lacks or misstates part of a training state ({str(error).rstrip('.')}); it was written by another version."
            raise CorruptCheckpointError(message) from error

    def check_continues(
        self, identity: dict[str, Any], path: Path | str, *, unsaid: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    ) -> None:
        """Refuse to continue another run.

        Parameters
        ----------
        identity
            Of the run that wants to continue this state.
        path
            Where the state came from, for the message.
        unsaid
            Settings by part of the identity, with the values that they may have where an older
            version did not know them, so that the state lacks them.

        Raises
        ------
        CheckpointError
            Data, configuration, seed or law differ; the message names them.
        """
        parts = {
            key: _differing(now, self.identity.get(key), (unsaid or {}).get(key, ())) for key, now in sorted(identity.items())
        }
        differing = {key: names for key, names in parts.items() if names is not None}
        if differing:
            which = "; ".join(f"{key}: {first_names(names)}" for key, names in differing.items() if names)
            message = (
                f"The checkpoint in {path} belongs to another run: {', '.join(differing)} differ{f' ({which})' if which else ''}. "
                "Resume with the data and settings it was started with, or train without resume_from."
            )
            raise CheckpointError(message)

    def check_consistent(self, network: nn.Module, steps_per_epoch: int, path: Path | str) -> None:
        """Refuse a state that is not one of this network, or contradicts itself.

        Parameters
        ----------
        network
            What is trained, with the weights of the checkpoint.
        steps_per_epoch
            Optimiser steps of a whole epoch.
        path
            Where the state came from, for the message.

        Raises
        ------
        CorruptCheckpointError
            A tensor is of no parameter or of another shape or type, or the history is that of
            another number of steps.
        """
        problem = misfit(_like(self.tensors, network), self.tensors)
        n_bins = RatioMeter().sums.shape[1]
        if not problem and (self.step < 0 or len(self.history) != self.step // steps_per_epoch):
            problem = f"{self.step} steps of {steps_per_epoch} an epoch do not make {len(self.history)} rows of history"
        if not problem and len(self.mask_ratios) not in (0, n_bins):
            problem = f"mask ratios are counted in {len(self.mask_ratios)} bins; needed are {n_bins}"
        if problem:
            message = f"The checkpoint in {path} cannot be continued: {problem}. It is damaged; resume from another one."
            raise CorruptCheckpointError(message)

    def is_complete(self, total_steps: int) -> bool:
        """Whether a run has nothing left to do: all steps are done, or early stopping ended it.

        Parameters
        ----------
        total_steps
            Optimiser steps of the whole run.
        """
        stopped = bool(self.early_stopping) and self.early_stopping["wait_count"] >= self.early_stopping["patience"]
        return stopped or self.step >= total_steps

    def best(self) -> dict[str, torch.Tensor]:
        """Weights of the best epoch, where early stopping keeps them."""
        return {name.removeprefix("best."): tensor for name, tensor in self.tensors.items() if name.startswith("best.")}


def _like(tensors: dict[str, torch.Tensor], network: nn.Module) -> dict[str, torch.Tensor]:
    """Tensors of the names, shapes and types that a state of this network must have, so far as it
    has any of their kind: a parameter that had no gradient has no moments.
    """
    like = RatioMeter().tensors()
    like |= {name: next(iter(like.values()))[:2, 0] for name in tensors if name.startswith("meter.")}
    if any(name.startswith("best.") for name in tensors):
        like |= {f"best.{name}": tensor for name, tensor in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        names = [f"optimizer.{kind}.{name}" for kind in _MOMENTS]
        if tensors.keys() & set(names):
            like |= dict(zip(names, (parameter.new_zeros(()), parameter, parameter), strict=True))
    return like


def _differing(now: Any, then: Any, unsaid: Sequence[Mapping[str, Any]]) -> list[str] | None:
    """Names of the settings in which a part of an identity differs, none if it has none; or None
    if it does not differ.
    """
    if not isinstance(now, dict) or not isinstance(then, dict):
        return None if now == then else []
    gone = [name for name in then if name not in now]
    other = [name for name in now if name in then and now[name] != then[name]]
    new = [name for name in now if name not in then and not any(name in some and now[name] == some[name] for some in unsaid)]
    return sorted([*gone, *other, *new]) or None


def check_unused(directory: Path, resume_from: Path | str | None) -> None:
    """Refuse a folder with checkpoints of another run: the newest of both would be taken for this
    one's.

    Parameters
    ----------
    directory
        Where checkpoints are to be written.
    resume_from
        The run that is continued, which may stay in its folder.

    Raises
    ------
    CheckpointError
        There are such checkpoints.
    """
    if resume_from is not None and latest_checkpoint(resume_from).resolve().parent == directory.resolve():
        return
    if any(_STEP.fullmatch(p.name) for p in directory.glob("step_*")):
        message = (
            f"{directory} holds checkpoints of an earlier run; pass resume_from={str(directory)!r} to continue it, or another "
            "checkpoint_dir."
        )
        raise CheckpointError(message)


def latest_checkpoint(path: Path | str) -> Path:
    """The newest complete checkpoint below a folder, or the folder itself if it is one.

    Parameters
    ----------
    path
        A folder.

    Returns
    -------
    The folder of the checkpoint.

    Raises
    ------
    CheckpointError
        It holds no checkpoint of a training run.
    """
    folder = Path(path)
    if (folder / "state.json").exists():
        return folder
    found = sorted(p for p in folder.glob("step_*") if _STEP.fullmatch(p.name)) if folder.is_dir() else []
    if not found:
        message = f"{folder} holds no training checkpoint (step_00000123/); pass the checkpoint_dir of an earlier train()."
        raise CheckpointError(message)
    return found[-1]


def write_checkpoint(directory: Path, model: Bundle, state: TrainingState) -> Path:
    """Write one checkpoint and remove all but the last two.

    Parameters
    ----------
    directory
        Folder of the run's checkpoints.
    model
        The model as ``save`` writes it.
    state
        State of the run.

    Returns
    -------
    The folder ``step_...``.
    """
    path = write_folder(directory / f"step_{state.step:08d}", {"model": model, "state": state.bundle()}, overwrite=True)
    for old in sorted(p for p in directory.glob("step_*") if _STEP.fullmatch(p.name))[:-_KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def renew_checkpoint(path: Path, model: Bundle) -> None:
    """Put another model into a checkpoint; no reader sees half of it.

    Parameters
    ----------
    path
        The folder ``step_...``.
    model
        The model as ``save`` writes it, with the weights that the run goes on from.
    """
    state = read_bundle(path, "state")
    check_intact(state, path)
    write_folder(path, {"model": model, "state": state}, overwrite=True)


def optimizer_tensors(network: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """AdamW moments by parameter name.

    Parameters
    ----------
    network, optimizer
        The optimiser holds the parameters of the network.
    """
    return {
        f"optimizer.{kind}.{name}": value
        for name, parameter in network.named_parameters()
        for kind, value in optimizer.state.get(parameter, {}).items()
    }


def restore(training: MaskedTraining, optimizer: torch.optim.Optimizer, state: TrainingState) -> None:
    """Put a saved state into a training and its optimiser.

    Parameters
    ----------
    training, optimizer
        As made for a new run.
    state
        As read.
    """
    for name, parameter in training.network.named_parameters():
        saved = {kind: state.tensors.get(f"optimizer.{kind}.{name}") for kind in _MOMENTS}
        # the step counter of fused AdamW lives with the parameter, as its moments do
        moments = {kind: tensor.to(parameter.device, parameter.dtype) for kind, tensor in saved.items() if tensor is not None}
        if moments:
            optimizer.state[parameter] = moments
    if training.global_rank == 0:  # what it holds is of all ranks
        training.train_meter.restore(state.tensors)
