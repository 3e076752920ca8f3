"""Callbacks: history, progress, checkpoints, a graceful Ctrl-C, and the best epoch."""

from __future__ import annotations

import signal
import sys
import threading
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from pytorch_lightning.callbacks import Callback, EarlyStopping, TQDMProgressBar
from pytorch_lightning.callbacks.progress.tqdm_progress import Tqdm

from r2mae_bio._files import whole_file
from r2mae_bio._progress import can_redraw
from r2mae_bio.core._resume import TrainingState, optimizer_tensors, restore, write_checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pytorch_lightning import Trainer
    from torch import Tensor

    from r2mae_bio.core._checkpoint import Bundle
    from r2mae_bio.core._training_step import MaskedTraining


class History(Callback):
    """Adds one row per epoch to the state and to the loggers of the trainer, and writes the table
    to ``history.csv`` if there is a folder for it.
    """

    def __init__(self, state: TrainingState, directory: Path | None) -> None:
        self.state, self.directory = state, directory
        self.epoch_start = time.perf_counter()
        self.units_before = 0

    def on_train_epoch_start(self, trainer: Trainer, training: Any) -> None:
        """Start the clock."""
        self.epoch_start, self.units_before = time.perf_counter(), training.units_seen

    def on_validation_epoch_start(self, trainer: Trainer, training: Any) -> None:
        """Forget the last epoch's validation."""
        training.validation_meter.reset()

    def on_validation_epoch_end(self, trainer: Trainer, training: Any) -> None:
        """Tell Lightning the validation loss, for early stopping."""
        training.validation_meter = training.validation_meter.summed(partial(over_ranks, trainer))
        if float(training.validation_meter.sums.sum()) > 0:
            loss = training.validation_meter.report("validation")["validation_loss"]
            training.log("validation_loss", loss, sync_dist=trainer.world_size > 1)

    def on_train_epoch_end(self, trainer: Trainer, training: Any) -> None:
        """Add the row; an epoch that Ctrl-C cut short has none, and is finished when the run is
        resumed.
        """
        if not _is_finished(self.state, training):
            return
        seconds = time.perf_counter() - self.epoch_start
        training.train_meter = training.train_meter.summed(partial(over_ranks, trainer))
        row = {"epoch": len(self.state.history), "step": training.step, **training.train_meter.report("train")}
        if float(training.validation_meter.sums.sum()) > 0:
            row |= training.validation_meter.report("validation")
        row |= {"learning_rate": training.config.learning_rate * training.rate_factor()}
        row |= {f"{training.objective.unit}_per_second": (training.units_seen - self.units_before) / seconds}
        self.state.history.append({key: float(value) for key, value in row.items()})
        for logger in trainer.loggers:
            logger.log_metrics(self.state.history[-1], step=training.step)
        counts = training.train_meter.rows()
        before = self.state.mask_ratios or [0] * len(counts)
        self.state.mask_ratios = [a + b for a, b in zip(before, counts, strict=True)]
        training.train_meter.reset()
        if self.directory is not None and trainer.is_global_zero:
            write_history(self.state.history, self.directory / "history.csv")


def _is_finished(state: TrainingState, training: MaskedTraining) -> bool:
    """Whether an epoch that has no row yet is done; none is if Ctrl-C came before its first batch,
    where Lightning ends it all the same.
    """
    return training.step == training.steps_per_epoch * (len(state.history) + 1)


def over_ranks(trainer: Trainer, tensor: Tensor) -> Tensor:
    """The sum of a tensor over all ranks, each of which calls this.

    Parameters
    ----------
    trainer
        Of the run.
    tensor
        Of this rank.
    """
    if trainer.world_size == 1:
        return tensor
    summed: Tensor = trainer.strategy.reduce(tensor, reduce_op="sum")
    return summed


def write_history(history: list[dict[str, float]], path: Path) -> None:
    """Write the table; no reader sees half of it.

    Parameters
    ----------
    history
        Rows.
    path
        A csv file.
    """
    import pandas as pd

    with whole_file(path) as temporary:
        pd.DataFrame(history).to_csv(temporary, index=False)


class ProgressBar(TQDMProgressBar):
    """Lightning's bar with the loss so far in this epoch, the validation loss and throughput."""

    def __init__(self, state: TrainingState) -> None:
        super().__init__(refresh_rate=20, leave=False)
        self.state = state
        self._start = 0.0
        self._before = 0

    def init_validation_tqdm(self) -> Any:
        """No second bar."""
        return Tqdm(disable=True)

    def on_train_epoch_start(self, trainer: Trainer, training: Any) -> None:
        """Name the epoch by its place in the whole run."""
        super().on_train_epoch_start(trainer, training)
        self.train_progress_bar.set_description(f"epoch {len(self.state.history) + 1}/{training.config.max_epochs}")

    def on_train_start(self, trainer: Trainer, training: Any) -> None:
        """Start the clock."""
        self._start, self._before = time.perf_counter(), training.units_seen
        super().on_train_start(trainer, training)

    def get_metrics(self, trainer: Trainer, training: Any) -> dict[str, Any]:
        """What stands at the right of the bar."""
        metrics: dict[str, Any] = {}
        if float(training.train_meter.sums.sum()) > 0:
            metrics["loss"] = f"{training.train_meter.report('train')['train_loss']:.4f}"
        if self.state.history and "validation_loss" in self.state.history[-1]:
            metrics["val"] = f"{self.state.history[-1]['validation_loss']:.4f}"
        metrics[f"{training.objective.unit}/s"] = round(
            (training.units_seen - self._before) / (time.perf_counter() - self._start)
        )
        return metrics


class ProgressLines(Callback):
    """The same as lines in a log, one for each tenth of the epochs."""

    def __init__(self, state: TrainingState) -> None:
        self.state = state
        self._start, self._before, self._said = 0.0, 0, 0

    def on_train_start(self, trainer: Trainer, training: Any) -> None:
        """Start the clock."""
        self._start, self._before = time.perf_counter(), len(self.state.history)
        self._said = self._before

    def on_train_epoch_end(self, trainer: Trainer, training: Any) -> None:
        """Say how far it is; the history has the row of this epoch already."""
        done, wanted = len(self.state.history), training.config.max_epochs
        if done == self._said or not trainer.is_global_zero:  # cut short by Ctrl-C
            return
        if done * 10 // wanted > self._said * 10 // wanted:
            self._said, row = done, self.state.history[-1]
            left = (time.perf_counter() - self._start) / (done - self._before) * (wanted - done)
            names = {"train_loss": "loss", "validation_loss": "validation"}
            losses = ", ".join(f"{short} {row[name]:.4f}" for name, short in names.items() if name in row)
            sys.stderr.write(f"epoch {done}/{wanted}: {losses}, {left:.0f} s left\n")


def progress(state: TrainingState) -> Callback:
    """A bar where one can move, else lines."""
    return ProgressBar(state) if can_redraw() else ProgressLines(state)


class BestEpoch(EarlyStopping):
    """Early stopping on the validation loss that also remembers the best weights and puts them
    back.
    """

    def __init__(self, state: TrainingState, patience: int) -> None:
        super().__init__(monitor="validation_loss", patience=patience, mode="min", check_on_train_epoch_end=False)
        self.state = state
        if state.early_stopping:
            self.load_state_dict({**state.early_stopping, "best_score": torch.tensor(state.early_stopping["best_score"])})

    def on_validation_end(self, trainer: Trainer, training: Any) -> None:
        """Judge the epoch, and keep its weights if it is the best so far; one that Ctrl-C cut short
        is judged when resumed.
        """
        if not _is_finished(self.state, training):
            return
        before = float(self.best_score)
        super().on_validation_end(trainer, training)
        if float(self.best_score) < before:
            self.state.tensors |= {f"best.{k}": v.detach().clone() for k, v in training.network.state_dict().items()}
        self.state.early_stopping = {**self.state_dict(), "best_score": float(self.best_score)}

    def on_fit_end(self, trainer: Trainer, training: Any) -> None:
        """Return to the best epoch."""
        if best := self.state.best():
            training.network.load_state_dict(best)


class Checkpoints(Callback):
    """Restores a run at its start and writes a checkpoint after every epoch and, if asked, every so
    many steps.
    """

    def __init__(
        self,
        state: TrainingState,
        directory: Path | None,
        every_n_steps: int | None,
        bundle: Callable[[], Bundle],
        *,
        resumed: bool,
    ) -> None:
        self.state, self.directory, self.every_n_steps, self.bundle, self.resumed = (
            state,
            directory,
            every_n_steps,
            bundle,
            resumed,
        )

    def on_train_start(self, trainer: Trainer, training: Any) -> None:
        """Put the saved optimiser and meter back."""
        if self.resumed:
            restore(training, trainer.optimizers[0], self.state)

    def on_train_batch_end(self, trainer: Trainer, training: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Write between epochs. This runs before the module's own hook, which counts the step."""
        done = training.step + 1
        if self.every_n_steps and done % self.every_n_steps == 0 and done % training.steps_per_epoch:
            self._write(trainer, training, done)

    def on_train_epoch_end(self, trainer: Trainer, training: Any) -> None:
        """Write at the end of an epoch."""
        self._write(trainer, training, training.step)

    def _write(self, trainer: Trainer, training: MaskedTraining, step: int) -> None:
        if self.directory is None:
            return
        meter = training.train_meter.summed(partial(over_ranks, trainer))
        if not trainer.is_global_zero:
            return
        self.state.step = step
        best = {k: v for k, v in self.state.tensors.items() if k.startswith("best.")}
        moments = optimizer_tensors(training.network, trainer.optimizers[0])
        self.state.tensors = {**best, **moments, **meter.tensors()}
        write_checkpoint(self.directory, self.bundle(), self.state)


class GracefulInterrupt:
    """Around a run: the first Ctrl-C stops after the current step and keeps the model; a second one
    stops at once.
    """

    def __init__(self) -> None:
        self.interrupted = False

    @contextmanager
    def watch(self, trainer: Trainer) -> Iterator[None]:
        """Take over SIGINT, which only the main thread may, and give it back whatever happens."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        previous = signal.signal(signal.SIGINT, lambda *_: self._stop(trainer))
        try:
            yield
        except SystemExit as error:  # Lightning leaves the interpreter on a KeyboardInterrupt, and a notebook with it
            raise KeyboardInterrupt from error
        finally:
            signal.signal(signal.SIGINT, previous)

    def _stop(self, trainer: Trainer) -> None:
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True
        trainer.should_stop = True
