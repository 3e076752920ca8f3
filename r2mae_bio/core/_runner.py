"""One training run, from rows to a trained network."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException

from r2mae_bio._errors import ConfigError
from r2mae_bio.core._callbacks import BestEpoch, Checkpoints, GracefulInterrupt, History, progress
from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.core._resume import TrainingState, check_unused
from r2mae_bio.core._run import as_list
from r2mae_bio.core._training_step import MaskedTraining

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import nn

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.core._checkpoint import Bundle
    from r2mae_bio.core._loader import EpochLoader, Loaders
    from r2mae_bio.core._objective import Objective
    from r2mae_bio.core._run import TrainOptions
    from r2mae_bio.masking import RatioLaw

logger = logging.getLogger("r2mae_bio")


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
    steps: int
    """Optimiser steps that were done in all, those of an earlier part of the run included."""
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
    with _held_still(network, objective.parameter_groups(network, config)):
        _run(training, loaders, callbacks, options, interrupt)
    if interrupt.interrupted:
        kept = "of its best epoch so far" if config.early_stopping and state.history else "it then had"
        folder = options.checkpoint_dir
        where = "the model keeps" if folder is None else f"a checkpoint to go on from is in {folder}, and in memory are"
        logger.warning(
            "training was interrupted after step %d of %d; %s the weights %s", training.step, training.total_steps, where, kept
        )
    return TrainResult(
        state.history,
        state.mask_ratios,
        state.blind_loss,
        interrupted=interrupt.interrupted,
        steps=training.step,
        rank=training.global_rank,
    )


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
    return TrainResult(
        state.history,
        state.mask_ratios,
        state.blind_loss,
        interrupted=False,
        steps=state.step,
        rank=rank_zero_only.rank,
    )


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


@contextmanager
def _held_still(network: nn.Module, groups: list[dict[str, Any]]) -> Iterator[None]:
    """No gradients for parameters that are in no group: they are not asked for, and other processes
    would wait for them.
    """
    learning = {id(parameter) for group in groups for parameter in group["params"]}
    still = [parameter for parameter in network.parameters() if parameter.requires_grad and id(parameter) not in learning]
    try:
        for parameter in still:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in still:
            parameter.requires_grad_(True)


def _run(
    training: MaskedTraining,
    loaders: Loaders,
    callbacks: list[pl.Callback],
    options: TrainOptions,
    interrupt: GracefulInterrupt,
) -> None:
    with _quiet(), torch.random.fork_rng(devices=range(torch.cuda.device_count())):
        trainer = _trainer(training, callbacks, options)
        for loader in filter(None, (loaders.train, loaders.validation)):
            loader.rank, loader.world_size = trainer.global_rank, trainer.world_size
        with interrupt.watch(trainer):
            trainer.fit(training, train_dataloaders=loaders.train, val_dataloaders=loaders.validation)


def _trainer(training: MaskedTraining, callbacks: list[pl.Callback], options: TrainOptions) -> pl.Trainer:
    """Lightning's trainer; what it refuses, with many classes of errors, are settings."""
    given = options.trainer_kwargs
    remaining = training.config.max_epochs - training.step // training.steps_per_epoch
    try:
        return pl.Trainer(
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
                "callbacks": [*callbacks, *as_list(given.get("callbacks"))],
            },
        )
    except (MisconfigurationException, ImportError, RuntimeError, TypeError, ValueError) as error:
        more = "".join(f", {name}={value!r}" for name, value in sorted(given.items()) if name != "callbacks")
        message = (
            f"No trainer can be made on this machine with accelerator={options.accelerator!r}, devices={options.devices!r}{more}: "
            f"{str(error).rstrip('.!')}. Needed are an accelerator that it has (auto, cpu, or gpu where there is one) and at least one "
            "device of it; auto takes what there is."
        )
        raise ConfigError(message) from error


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
