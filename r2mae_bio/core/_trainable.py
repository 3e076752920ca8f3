"""What every model has that can be pretrained: a run, what came of it, and a checksum."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import replace
from itertools import accumulate
from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd
import torch
from torch import nn

from r2mae_bio.core._bundle import checksum, versions
from r2mae_bio.core._record import ModelRecord
from r2mae_bio.core._resume import latest_checkpoint, renew_checkpoint
from r2mae_bio.core._run import run_identity, unsaid_settings
from r2mae_bio.core._saved import Saved

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from r2mae_bio.core._checkpoint import Bundle
    from r2mae_bio.core._run import Run, TrainOptions
    from r2mae_bio.masking import RatioLaw

__all__ = ["Trainable"]

RecordT = TypeVar("RecordT", bound=ModelRecord)
NetworkT = TypeVar("NetworkT", bound=nn.Module)


class Trainable(Saved[RecordT, NetworkT]):
    """A saved model that is trained on masked rows; a subclass brings network and rows."""

    _interrupted: bool = False
    """Whether Ctrl-C cut its last training short."""

    @classmethod
    def _folder_of(cls, path: Path) -> Path:
        """The newest checkpoint, where ``path`` is the folder of a training run."""
        return latest_checkpoint(path) if path.is_dir() and any(path.glob("step_*/model.json")) else path

    # ------------------------------------------------------------------ training

    def _fit(self, run: Run, build: Callable[[], NetworkT], finish: Callable[[int], None] = lambda _: None) -> None:
        """Train, or continue a run; ``build`` makes the network if there is none yet, ``finish``
        fits what comes after training, which took so many steps.
        """
        with self._as_before_if_it_fails():
            finish(self._run(run, build))

    @contextmanager
    def _as_before_if_it_fails(self) -> Iterator[None]:
        """Half-trained weights would embed like any others."""
        before = copy.deepcopy(self.network), copy.copy(self.record)
        try:
            yield
        except BaseException:
            self.network, self.record = before
            raise

    def _run(self, run: Run, build: Callable[[], NetworkT]) -> int:
        """Returns how many steps were done."""
        from r2mae_bio.core._runner import finished, fit, initial_state  # Lightning, which takes seconds

        record = self.record
        steps, unsaid = len(run.loaders.train), unsaid_settings(record, run)
        state = initial_state(run.options, run_identity(record, run), unsaid=unsaid)
        if run.options.resume_from is not None:  # nothing of the model has changed up to here
            stored, self.network = self._unpack(latest_checkpoint(run.options.resume_from), self._blank_network)
            self._before_training()  # what was fitted when that run was over is no part of its state
            state.check_consistent(self.network, steps, run.options.resume_from)
            record.config = stored.config  # an older version may have lacked a setting
            state.blind_loss = stored.blind_loss
        else:
            self._before_training()
        network = self.network = build() if self.network is None else self.network
        record.data_fingerprint, record.train = run.data_fingerprint, run.config.to_json()
        for name, value in run.findings.items():
            setattr(record, name, value)

        def checkpoint() -> Bundle:
            so_far: dict[str, Any] = {"history": state.history, "mask_ratios": state.mask_ratios, "blind_loss": state.blind_loss}
            return self._pack(replace(record, trained=True, **so_far))

        network.train()
        if state.is_complete(steps * run.config.max_epochs):
            result = finished(network, state, run.options)
        else:
            result = fit(
                network, run.objective, record.law, run.loaders, run.config, seed=record.seed, options=run.options, state=state,
                bundle=checkpoint,
            )  # fmt: skip
        network.eval()
        self._rank, self._interrupted = result.rank, result.interrupted
        record.history, record.mask_ratios, record.blind_loss = result.history, result.mask_ratios, result.blind_loss
        record.trained = True
        return result.steps

    def _renew_checkpoint(self, options: TrainOptions, fitted: tuple[str, ...]) -> None:
        """Let the newest checkpoint of a run also hold what was fitted when the run was over, if
        the rest of it is this model: with early stopping the model is that of an earlier epoch.

        Parameters
        ----------
        options
            Of the run.
        fitted
            How the names of what was fitted then begin.
        """
        directory = options.checkpoint_dir
        if directory is None or self._rank or not any(directory.glob("step_*")):
            return
        newest, ours = latest_checkpoint(directory), self._network().state_dict()
        _, stored = self._unpack(newest, self._blank_network)
        if all(
            torch.equal(value, ours[name].cpu()) for name, value in stored.state_dict().items() if not name.startswith(fitted)
        ):
            renew_checkpoint(newest, self._pack(self.record))

    def _before_training(self) -> None:
        """Drop what was derived from weights that are about to change."""

    # ------------------------------------------------------------------ state

    def describe(self) -> dict[str, str]:
        """What there is to know about it at a glance, as model cards and notebooks show it.

        Returns
        -------
        Text by name.
        """
        record = self.record
        facts = {**super().describe(), "mask ratio": str(record.law), "seed": str(record.seed)}
        if record.mask_ratios and sum(record.mask_ratios):
            facts["realised ratios"] = _realised(record.mask_ratios)
        facts["training"] = f"{len(record.history)} epochs" if record.trained else "none"
        if record.history:
            last = record.history[-1]
            kind = "validation" if "validation_loss" in last else "train"
            facts[f"{kind} loss"] = f"{last[f'{kind}_loss']:.4f} nats per hidden slot; {record.blind_loss:.4f} for a blind guess"
        return facts

    def checksum(self) -> str:
        """sha256 of kind, configuration and weights: equal for models that compute the same,
        whatever their history or device.

        Returns
        -------
        64 hexadecimal digits.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        """
        explanation = {"kind": self._kind, "config": self.record.network_settings(), **self._marks()}
        return checksum(self._network(), explanation)

    @staticmethod
    def versions() -> dict[str, str]:
        """Versions of this package and of what its results depend on.

        Returns
        -------
        Version by name.
        """
        return versions()

    @property
    def is_trained(self) -> bool:
        """Whether the weights were trained."""
        return self.record.trained

    @property
    def was_interrupted(self) -> bool:
        """Whether Ctrl-C cut the last training short; not kept on disk."""
        return self._interrupted

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: losses in nats per hidden gene or base, overall and by mask ratio,
        learning rate, throughput per second.
        """
        return pd.DataFrame(self.record.history)

    @property
    def blind_loss(self) -> float:
        """Loss of a prediction that sees nothing, under the validation masks, nats per hidden gene
        or base; to be beaten.
        """
        return self.record.blind_loss

    @property
    def mask_ratio(self) -> RatioLaw:
        """Law of the mask ratio."""
        return self.record.law


def _realised(counts: list[int]) -> str:
    """Mean, and the ends that hold nine tenths, of the ratios that rows were trained at."""
    n_bins, total = len(counts), sum(counts)
    mean = sum((i + 0.5) * n for i, n in enumerate(counts)) / n_bins / total
    within = [i for i, below in enumerate(accumulate(counts)) if 0.05 * total <= below and below - counts[i] <= 0.95 * total]
    return f"{total:,} rows, mean {mean:.2f}, nine tenths from {within[0] / n_bins:.2f} to {(within[-1] + 1) / n_bins:.2f}"
