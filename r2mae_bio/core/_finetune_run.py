"""What fine-tuning on cells and on sequences share: steps, their size, a running mean of the
weights, and when to stop.
"""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from r2mae_bio._errors import TrainingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

__all__ = ["FinetuneRun", "FinetuneSettings"]

_CLIP = 1.0
"""Largest norm of a gradient."""

BatchT = TypeVar("BatchT")
NetworkT = TypeVar("NetworkT", bound=nn.Module)
ConfigT = TypeVar("ConfigT", bound="FinetuneSettings")


class FinetuneSettings(Protocol):
    """The settings that a run reads."""

    @property
    def learning_rate(self) -> float: ...
    @property
    def warmup(self) -> float: ...
    @property
    def average(self) -> float: ...
    @property
    def patience(self) -> int: ...
    def steps(self, n_batches: int) -> int: ...
    def evaluation_interval(self, n_batches: int) -> int: ...


class FinetuneRun(ABC, Generic[NetworkT, ConfigT, BatchT]):
    """One run in progress: AdamW with a warm-up and a cosine; what is judged and kept is a running
    mean of the weights.

    Parameters
    ----------
    network
        The network; trained in place.
    groups
        Its parameters by step size and decay, as an optimiser takes them.
    config
        Settings.
    n_batches
        Batches of an epoch.
    """

    def __init__(self, network: NetworkT, groups: list[dict[str, Any]], config: ConfigT, *, n_batches: int) -> None:
        self.network, self.config = network, config
        self.device = next(network.parameters()).device
        self.n_steps, self.interval = config.steps(n_batches), config.evaluation_interval(n_batches)
        fused = True if self.device.type == "cuda" else None  # one kernel instead of hundreds
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.98), fused=fused)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate)
        self.averaged = copy.deepcopy(network)
        self._weights, self._means = (
            [p.detach() for p in module.parameters() if p.requires_grad] for module in (network, self.averaged)
        )
        self.history: list[dict[str, float]] = []
        self.best_step = self.waited = 0
        self.after_step: Callable[[int], None] = lambda _: None

    @abstractmethod
    def _batches(self) -> Iterator[BatchT]:
        """Batches without end."""

    @abstractmethod
    def _loss(self, step: int, batch: BatchT) -> Tensor:
        """Loss of the network, which is in training mode, at a step counted from 1."""

    @abstractmethod
    def _evaluate(self, step: int, train_loss: float) -> None:
        """Score the running mean, add to the history, keep the weights if they are the best, and
        count the looks since the last best.
        """

    def _run_steps(self) -> None:
        losses: list[float] = []
        for step, batch in enumerate(self._batches(), start=1):
            self.network.train()
            losses.append(self._learn(step, self._loss(step, batch)))
            self.after_step(1)
            if step % self.interval == 0 or step == self.n_steps:
                self._evaluate(step, float(np.mean(losses)))
                losses = []
            if step == self.n_steps or self.waited >= self.config.patience:
                return

    def _learn(self, step: int, loss: Tensor) -> float:
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingError(self._diverged(f"The loss is {value} at step {step}"))
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        self.scheduler.step()
        self._update_average(step)
        return value

    def _diverged(self, found: str) -> str:
        return (
            f"{found}; needed are finite values. Lower learning_rate (now {self.config.learning_rate:g}) or encoder_rate; "
            "if this is the first step, check the encoder's weights."
        )

    def _update_average(self, step: int) -> None:
        """Early on the mean is over few steps, so that the first weights do not linger."""
        decay = min(self.config.average, step / (step + 10)) if self.config.average else 0.0
        average = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        average(self._means, self._weights, step)

    def _rate(self, step: int) -> float:
        """Step size as a share of the largest."""
        warmup = max(1, round(self.config.warmup * self.n_steps))
        if step < warmup:
            return (step + 1) / warmup
        return 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, self.n_steps - warmup)))
