"""One training run, from rows to a trained network."""

from __future__ import annotations

import inspect
import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only

from r2mae_bio._errors import ConfigError
from r2mae_bio.config._names import check_names
from r2mae_bio.config._training import TRAIN_INSTEAD
from r2mae_bio.core._callbacks import BestEpoch, Checkpoints, GracefulInterrupt, History, progress
from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.core._resume import TrainingState, check_unused
from r2mae_bio.core._training_step import MaskedTraining

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    from torch import nn

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.core._checkpoint import Bundle
    from r2mae_bio.core._loader import EpochLoader, Loaders
    from r2mae_bio.core._objective import Objective
    from r2mae_bio.masking import RatioLaw

logger = logging.getLogger("r2mae_bio")

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
        for name in _ASKED_FOR_THEIR_CLASS:
            for value in _as_list(given.get(name)):
                _check_package(name, value)
        for callback in _as_list(given.get("callbacks")):
            _check_writes_no_checkpoints(callback)


def check_trainer_kwargs(trainer_kwargs: dict[str, Any], own: Collection[str]) -> None:
    """Refuse arguments of a ``train`` method that neither it has nor Lightning's trainer.

    Parameters
    ----------
    trainer_kwargs
        What the user gave beside the method's own arguments.
    own
        Names of these, for which others may be misspelt.

    Raises
    ------
    ConfigError
        There is one; the message gives what to write instead.
    """
    known = inspect.signature(pl.Trainer.__init__).parameters.keys() - {"self"}
    check_names(trainer_kwargs, known, what="train()", instead=TRAIN_INSTEAD, near=set(own) - {"self", "trainer_kwargs"})


def _as_list(value: Any) -> list[Any]:
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


@dataclass(frozen=True, eq=False)
class TrainResult:
    """What a run leaves beside the trained network."""

    history: list[dict[str, float]]
    """One row per finished epoch."""
    mask_ratios: list[int]
    """Rows trained on, by bin of their realised ratio."""
    blind_loss: float
    """Loss of a prediction that sees nothing, under the validation masks, nats per hidden slot."""
    interrupted: bool
    """Whether Ctrl-C ended the run."""
    rank: int = 0
    """Number of this process among those that trained; the first one saves."""


def fit(
    network: nn.Module,
    objective: Objective,
    law: RatioLaw,
    loaders: Loaders,
    config: TrainConfig,
    *,
    seed: int,
    options: TrainOptions,
    state: TrainingState,
    bundle: Callable[[], Bundle],
) -> TrainResult:
    """Train a network in place.

    Parameters
    ----------
    network
        The network; when resuming, with the weights of the checkpoint.
    objective
        What is hidden and how its prediction is scored.
    law
        Law of the mask ratio.
    loaders
        Training and validation rows.
    config, options
        What to do, and how to run it.
    seed
        The user's seed.
    state
        Where the run begins, from :func:`initial_state`.
    bundle
        Makes the model part of a checkpoint.

    Returns
    -------
    History, realised ratios and the blind control.

    Raises
    ------
    TrainingError
        The loss is no longer finite.
    """
    steps = len(loaders.train)
    training = MaskedTraining(network, objective, law, config, seed=seed, start_step=state.step, steps_per_epoch=steps)
    loaders.train.shuffle_by(training.position)
    state.blind_loss = _blind_loss(training, loaders.reference)
    interrupt = GracefulInterrupt()
    callbacks = [
        History(state, options.checkpoint_dir),
        *([BestEpoch(state, config.patience)] if config.early_stopping else []),
        Checkpoints(
            state, options.checkpoint_dir, options.checkpoint_every_n_steps, bundle, resumed=options.resume_from is not None
        ),
        *([progress(state)] if options.progress_bar else []),
    ]
    _run(training, loaders, callbacks, options, interrupt)
    if interrupt.interrupted:
        kept = "of its best epoch so far" if config.early_stopping and state.history else "it then had"
        logger.warning(
            "training was interrupted after step %d of %d; the model keeps the weights %s",
            training.step,
            training.total_steps,
            kept,
        )
    return TrainResult(state.history, state.mask_ratios, state.blind_loss, interrupt.interrupted, training.global_rank)


def finished(network: nn.Module, state: TrainingState, options: TrainOptions) -> TrainResult:
    """What :func:`fit` would leave of a run that has nothing left to do, as when it was killed
    between its last step and the moment in which its model was saved.

    Parameters
    ----------
    network
        The network with the weights of the last checkpoint; those of the best epoch are put in.
    state
        Of the last checkpoint.
    options
        Where it is from.

    Returns
    -------
    As of :func:`fit`.
    """
    if best := state.best():
        network.load_state_dict(best)
    logger.info("the run in %s is complete: %d steps are done; the model takes its weights", options.resume_from, state.step)
    return TrainResult(state.history, state.mask_ratios, state.blind_loss, interrupted=False, rank=rank_zero_only.rank)


def initial_state(
    options: TrainOptions,
    identity: dict[str, Any],
    *,
    unsaid: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> TrainingState:
    """The state a run begins with: nothing, or what a checkpoint holds.

    Parameters
    ----------
    options
        As for :func:`fit`.
    identity
        Plain data that a checkpoint must agree with before it is continued.
    unsaid
        What settings may be that the checkpoint lacks; see :meth:`TrainingState.check_continues`.

    Returns
    -------
    The state.

    Raises
    ------
    CheckpointError
        ``resume_from`` holds another run or none, or ``checkpoint_dir`` another run.
    """
    if options.checkpoint_dir is not None:
        check_unused(options.checkpoint_dir, options.resume_from)
    if options.resume_from is None:
        return TrainingState(identity=identity)
    state = TrainingState.read(options.resume_from)
    state.check_continues(identity, options.resume_from, unsaid=unsaid)
    return state


@torch.inference_mode()
def _blind_loss(training: MaskedTraining, loader: EpochLoader) -> float:
    meter = RatioMeter()
    for index, batch in enumerate(loader):
        score, mask = training.score(batch, index, blind=True)
        meter.update(score, mask.ratio)
    loss = meter.report("blind")["blind_loss"]
    logger.info("blind control (%s): %.4f nats per hidden slot", training.objective.blind_name, loss)
    return loss


def _run(
    training: MaskedTraining,
    loaders: Loaders,
    callbacks: list[pl.Callback],
    options: TrainOptions,
    interrupt: GracefulInterrupt,
) -> None:
    given = options.trainer_kwargs
    remaining = training.config.max_epochs - training.step // training.steps_per_epoch
    with _quiet(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        trainer = pl.Trainer(
            accelerator=options.accelerator,
            devices=options.devices,
            max_epochs=remaining,
            gradient_clip_val=training.config.gradient_clip,
            reload_dataloaders_every_n_epochs=1,  # an epoch that is resumed in its middle is shorter
            enable_checkpointing=False,
            enable_progress_bar=any(isinstance(callback, pl.callbacks.ProgressBar) for callback in callbacks),
            num_sanity_val_steps=0,
            use_distributed_sampler=False,
            **{
                "logger": False,
                "enable_model_summary": False,
                **given,
                "callbacks": [*callbacks, *_as_list(given.get("callbacks"))],
            },
        )
        for loader in filter(None, (loaders.train, loaders.validation)):
            loader.rank, loader.world_size = trainer.global_rank, trainer.world_size
        with interrupt.watch(trainer):
            trainer.fit(training, train_dataloaders=loaders.train, val_dataloaders=loaders.validation)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence what Lightning says about devices and worker processes; our loaders need none."""
    names = (
        "pytorch_lightning.utilities.rank_zero",
        "lightning.pytorch.utilities.rank_zero",
        "pytorch_lightning.accelerators.cuda",
    )
    levels = {name: logging.getLogger(name).level for name in names}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*smaller than the logging interval.*")
        warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*", category=FutureWarning)
        warnings.filterwarnings("ignore", message=".*IterableDataset.*has `__len__` defined.*")
        try:
            for name in names:
                logging.getLogger(name).setLevel(logging.ERROR)
            yield
        finally:
            for name, level in levels.items():
                logging.getLogger(name).setLevel(level)
