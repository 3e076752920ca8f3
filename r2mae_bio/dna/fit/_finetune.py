"""Fine-tuning: an encoder and a fresh head, trained end to end to classify sequences."""

from __future__ import annotations

import copy
import logging
import math
import re
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

import numpy as np
import torch
from torch.nn import functional as F

from r2mae_bio._errors import DataError
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.config._form import check_form
from r2mae_bio.core._finetune_run import FinetuneRun
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.core._precision import has_bfloat16
from r2mae_bio.core._seeded import seeded
from r2mae_bio.dna.fit._linear import strands_agree
from r2mae_bio.dna.fit._linear_readings import FittedReading, KmerFeatures, choose_mix, fit_readings, log_loss, pick_reading
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, as_tensor, predict_classes, predict_logits
from r2mae_bio.dna.genome._bases import reverse_complement
from r2mae_bio.dna.network._classifier import SequenceClassifierHead, SequenceClassifierNetwork

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from r2mae_bio.dna.sequences._table import LabelledSequences, SequenceTable

__all__ = ["FinetuneResult", "LinearChoice", "encoder_depths", "finetune_classifier"]

logger = logging.getLogger("r2mae_bio")


_NUMBERS: Final = ("strength", "dev_mcc", "dev_loss", "states_weight", "linear_weight", "mixed_dev_loss")
"""Of a linear choice."""


@dataclass(frozen=True)
class LinearChoice:
    """The linear reading beside the states, and how the two are weighed."""

    features: KmerFeatures
    """The k-mers that it counts."""
    strength: float
    """Inverse L2 strength of its regression."""
    dev_mcc: float
    """MCC on the dev rows of the linear reading alone."""
    dev_loss: float
    """Its loss there, nats."""
    states_weight: float
    """Weight of the logits of the states."""
    linear_weight: float
    """Weight of the logits of the linear reading."""
    mixed_dev_loss: float
    """Loss on the dev rows of the two together, nats."""

    def __str__(self) -> str:
        return f"{self.states_weight:.2g} x states + {self.linear_weight:.2g} x {self.features}"

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Self:
        """A choice from ``dataclasses.asdict``."""
        check_form(data, {**dict.fromkeys(_NUMBERS, float), "features": dict[str, Any]})
        check_form(data["features"], {"k": int, "both_strands": bool, "position_k": int | None})
        return cls(**{**data, "features": KmerFeatures(**data["features"])})


@dataclass(frozen=True, eq=False)
class FinetuneResult:
    """A fine-tuned classifier."""

    network: SequenceClassifierNetwork
    """With the weights that were best on the dev rows, in evaluation mode."""
    both_strands: bool
    """Whether it was trained on both strands, and predicts by their mean."""
    history: list[dict[str, float]] = field(repr=False)
    """One row per look at the dev rows: step, train_loss (nats), dev_loss (nats), dev_mcc."""
    interrupted: bool
    """Whether Ctrl-C ended the run."""
    linear: LinearChoice | None = None
    """The linear reading in ``network``; None if there is none."""


def finetune_classifier(
    network: nn.Module,
    table: SequenceTable,
    *,
    config: FinetuneConfig | None = None,
    seed: int = 0,
    readings: Sequence[FittedReading] | None = None,
    on_evaluation: Callable[[dict[str, float]], None] | None = None,
) -> FinetuneResult:
    """Train a copy of an encoder, and a head, to classify sequences.

    AdamW with a warm-up and a cosine; layers further down learn more slowly. What is scored on the
    dev rows and kept is a running mean of the weights; training stops early when the dev MCC no
    longer grows. The head reads by position if all sequences have one length. The test part is not
    looked at.

    Then the linear reading that is best on the dev rows is put beside the states ("wide and deep",
    Cheng et al. 2016): the logits of both are added, with the weights that lose least there. Either
    one alone is among the choices.

    Parameters
    ----------
    network
        The encoder, with ``states(codes) -> (B, L, D)`` and ``config.d_model``. It is copied; the
        original stays as it is.
    table
        The task.
    config
        Settings.
    seed
        Of the head, the order of rows, strands and dropout.
    readings
        Linear readings of this task from :func:`r2mae_bio.dna.fit._linear_readings.fit_readings`,
        where they are at hand; else they are fitted.
    on_evaluation
        Called with each row of the history, which is about the states alone.

    Returns
    -------
    The classifier and how it came about. After Ctrl-C it is the best one so far.

    Raises
    ------
    DataError
        There are no dev rows.
    TrainingError
        The loss is not finite.
    KeyboardInterrupt
        Ctrl-C came before the first look at the dev rows, so that there is nothing to keep.
    """
    config = config or FinetuneConfig()
    if not len(table.train) or not len(table.dev):
        message = f"There are {len(table.train)} train and {len(table.dev)} dev rows; needed are some of both."
        raise DataError(message)
    both_strands = strands_agree(table) if config.reverse_complement == "auto" else config.reverse_complement
    if config.linear_reading and readings is None:
        readings = fit_readings(table)
    with seeded(derive_seed(seed, "finetune"), next(network.parameters()).device):
        classifier = _build(network, table, config)
        run = _Run(classifier, table, config, both_strands=both_strands, seed=seed, on_evaluation=on_evaluation)
        interrupted = run.to_the_end()
    best = run.best
    assert best is not None
    classifier.load_state_dict(best)
    linear = None
    if config.linear_reading and readings:
        classifier, linear = _add_linear(classifier, table, readings, both_strands=both_strands)
    return FinetuneResult(classifier.eval().requires_grad_(False), both_strands, run.history, interrupted, linear)


def _add_linear(
    classifier: SequenceClassifierNetwork, table: SequenceTable, readings: Sequence[FittedReading], *, both_strands: bool
) -> tuple[SequenceClassifierNetwork, LinearChoice]:
    picked, score = pick_reading(readings, table.dev, both_strands=both_strands)
    dev = SequenceGroups(table.dev.codes)
    states, linear = (predict_logits(module, dev, both_strands=both_strands) for module in (classifier, picked.module))
    mix, loss = choose_mix(states, linear, table.dev.labels)
    mixed = SequenceClassifierNetwork(classifier.encoder, classifier.head, linear=copy.deepcopy(picked.module), mix=mix)
    mixed.to(next(classifier.parameters()).device)
    return mixed, LinearChoice(picked.features, picked.strength, score["mcc"], score["loss"], *mix, mixed_dev_loss=loss)


def _build(network: nn.Module, table: SequenceTable, config: FinetuneConfig) -> SequenceClassifierNetwork:
    parameter = next(network.parameters())
    head = SequenceClassifierHead(
        int(network.config.d_model),  # type: ignore[union-attr, arg-type]
        len(table.classes),
        length=table.length,
        n_hidden=config.n_hidden,
        n_projected=config.n_projected,
        dropout=config.dropout,
    )
    encoder = copy.deepcopy(network).requires_grad_(True)
    return SequenceClassifierNetwork(encoder, head.to(parameter.device))


def encoder_depths(encoder: nn.Module) -> dict[str, int]:
    """How far below the top each parameter of an encoder lies.

    Blocks are recognised by a number after the first dot of a parameter's name, as in
    ``blocks.3.norm.weight``; the highest number is 0 below the top. Parameters without one lie at
    the top if the first numbered one comes before them, else below all blocks.

    Parameters
    ----------
    encoder
        The encoder.

    Returns
    -------
    Depth of each parameter by name.
    """
    names = [name for name, _ in encoder.named_parameters()]
    numbers = [re.match(r"\w+\.(\d+)\.", name) for name in names]
    blocks = [int(found.group(1)) for found in numbers if found]
    top = max(blocks, default=0)
    first = next((i for i, found in enumerate(numbers) if found), 0)
    depths = {}
    for i, (name, found) in enumerate(zip(names, numbers, strict=True)):
        without = top + 1 if i < first else 0
        depths[name] = top - int(found.group(1)) if found else without
    return depths


Batch: TypeAlias = "tuple[NDArray[np.intp], NDArray[np.uint8]]"
"""Rows and their codes."""


class _Run(FinetuneRun[SequenceClassifierNetwork, FinetuneConfig, Batch]):
    """One run in progress."""

    def __init__(
        self,
        classifier: SequenceClassifierNetwork,
        table: SequenceTable,
        config: FinetuneConfig,
        *,
        both_strands: bool,
        seed: int,
        on_evaluation: Callable[[dict[str, float]], None] | None,
    ) -> None:
        self.train, self.labels = SequenceGroups(table.train.codes), torch.from_numpy(table.train.labels)
        groups = _parameter_groups(classifier, config)
        super().__init__(classifier, groups, config, n_batches=self.train.n_batches(config.batch_size))
        self.both_strands, self.seed, self.on_evaluation = both_strands, seed, on_evaluation
        self.dev, self.dev_rows = SequenceGroups(table.dev.codes), table.dev
        self.half = has_bfloat16(self.device.type) if config.precision == "auto" else config.precision == "bfloat16"
        self.best: dict[str, Tensor] | None = None
        self.best_score = (-math.inf, -math.inf)

    def to_the_end(self) -> bool:
        """Train; returns whether Ctrl-C ended it."""
        try:
            self._run_steps()
        except KeyboardInterrupt:
            if self.best is None:
                raise
            logger.warning("Fine-tuning was interrupted; the weights of step %d are kept.", self.best_step)
            return True
        return False

    def _batches(self) -> Iterator[Batch]:
        for epoch in count():
            rng = derive_generator(self.seed, "finetune-order", epoch)
            for rows, codes in self.train.shuffled(self.config.batch_size, rng):
                if self.both_strands:
                    turn = rng.random(len(codes)) < 0.5
                    codes = np.where(turn[:, None], reverse_complement(codes), codes)
                yield rows, codes

    def _loss(self, step: int, batch: Batch) -> Tensor:
        rows, codes = batch
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits = self.network(as_tensor(codes, self.network)).float()
        return F.cross_entropy(logits, self.labels[rows].to(logits.device))

    def _update_average(self, step: int) -> None:
        super()._update_average(step)
        for held, new in zip(self.averaged.buffers(), self.network.buffers(), strict=True):
            held.copy_(new)

    def _evaluate(self, step: int, train_loss: float) -> None:
        dev_loss, dev_mcc = self._score(self.dev_rows)
        self.history.append({"step": step, "train_loss": train_loss, "dev_loss": dev_loss, "dev_mcc": dev_mcc})
        if self.on_evaluation is not None:
            self.on_evaluation(self.history[-1])
        self.waited += 1
        if dev_mcc > self.best_score[0]:
            self.waited = 0
        if (dev_mcc, -dev_loss) > self.best_score:
            self.best_score, self.best_step = (dev_mcc, -dev_loss), step
            self.best = copy.deepcopy(self.averaged.state_dict())

    def _score(self, rows: LabelledSequences) -> tuple[float, float]:
        """Loss in nats, and MCC."""
        probabilities = predict_classes(self.averaged, self.dev, both_strands=self.both_strands)
        return log_loss(probabilities, rows.labels), class_metrics(rows.labels, probabilities)["mcc"]


def _parameter_groups(classifier: SequenceClassifierNetwork, config: FinetuneConfig) -> list[dict[str, Any]]:
    """Parameters by step size and decay."""
    depths = encoder_depths(classifier.encoder)
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in classifier.named_parameters():
        rate = config.learning_rate
        if name.startswith("encoder."):
            rate *= config.encoder_rate * config.layer_decay ** depths[name.removeprefix("encoder.")]
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
