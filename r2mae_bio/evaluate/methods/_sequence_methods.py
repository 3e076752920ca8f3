"""Ways to classify sequences, as a task asks for them: controls, frozen and fine-tuned models."""

from __future__ import annotations

import logging
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from r2mae_bio._errors import CheckpointError
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.dna.fit._finetune import finetune_classifier
from r2mae_bio.dna.fit._linear import fit_features
from r2mae_bio.dna.fit._linear_readings import fit_readings
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, predict_classes
from r2mae_bio.evaluate.methods._sequence_controls import CONTROLS, SEEDED, sequence_control
from r2mae_bio.evaluate.methods._sequence_states import POOLINGS, pool_states, untrained_form

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import SequenceModel
    from r2mae_bio.dna.fit._linear_readings import FittedReading
    from r2mae_bio.dna.network._classifier import SequenceClassifierNetwork
    from r2mae_bio.dna.sequences._table import LabelledSequences, SequenceTable

__all__ = ["Prediction", "SequenceMethod", "control_methods", "model_methods"]

logger = logging.getLogger("r2mae_bio")

Kind: TypeAlias = Literal["floor", "frozen", "finetuned", "finetuned_states"]
"""What rows of the table are told apart by; ``"floor"`` is a control without pretraining."""
RANDOM_INIT = "random init"
"""Name of the encoder that was never trained."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What a method says about the test rows."""

    kind: Kind
    """The kind of row that it becomes."""
    probabilities: NDArray[np.floating]
    """Probabilities (test rows, K)."""
    chosen: str = ""
    """What the dev rows chose, in words; empty if nothing is said."""


@dataclass(frozen=True)
class SequenceMethod:
    """One way to classify the test rows of a task."""

    name: str
    """Name in tables."""
    kind: Kind
    """A control, a frozen model with a linear probe, or a model trained end to end."""
    seeded: bool
    """Whether seeds differ."""
    run: Callable[[SequenceTable, int], list[Prediction]]
    """Predictions for a task and a seed; none where the method cannot read the task."""


def control_methods() -> list[SequenceMethod]:
    """The controls as methods."""
    return [SequenceMethod(name, "floor", name in SEEDED, _control(name)) for name in CONTROLS]


def model_methods(
    models: Mapping[str, SequenceModel], *, finetune: bool = False, config: FinetuneConfig | None = None
) -> list[SequenceMethod]:
    """Frozen and, if asked for, fine-tuned models as methods, with the network of random weights
    where it can be had.

    Parameters
    ----------
    models, finetune, config
        See :func:`sequence_probe`.

    Returns
    -------
    The methods, frozen ones first.
    """
    sources: dict[str, Callable[[int], SequenceModel]] = {name: _always(model) for name, model in models.items()}
    first = next(iter(models.values()), None)
    if first is not None and RANDOM_INIT not in models:
        try:
            untrained_form(first, 0)
            sources[RANDOM_INIT] = lambda seed: untrained_form(first, seed)
        except CheckpointError:
            logger.warning("There is no model named %r and none can be made; what pretraining adds stays open.", RANDOM_INIT)
    drawn = sources.keys() - models.keys()
    methods = [SequenceMethod(name, "frozen", name in drawn, _frozen(source)) for name, source in sources.items()]
    if finetune:
        readings = _Readings()
        methods += [
            SequenceMethod(name, "finetuned", True, _finetuned(source, config, readings)) for name, source in sources.items()
        ]
    return methods


def _always(model: SequenceModel) -> Callable[[int], SequenceModel]:
    return lambda seed: model


def _control(name: str) -> Callable[[SequenceTable, int], list[Prediction]]:
    def run(table: SequenceTable, seed: int) -> list[Prediction]:
        probabilities = sequence_control(table, name, seed=seed)
        return [] if probabilities is None else [Prediction("floor", probabilities)]

    return run


def _frozen(source: Callable[[int], SequenceModel]) -> Callable[[SequenceTable, int], list[Prediction]]:
    def run(table: SequenceTable, seed: int) -> list[Prediction]:
        model = source(seed)
        pooled = {id(part): pool_states(model, part.codes) for part in (table.train, table.dev, table.test)}
        scales = {name: _scale(values) for name, values in pooled[id(table.train)].items()}
        if table.length is None:
            scales.pop("bins", None)

        def features(name: str) -> Callable[[LabelledSequences], NDArray[np.float32]]:
            return lambda part: (pooled[id(part)][name] - scales[name][0]) / scales[name][1]

        fitted, chosen = fit_features(table, [features(name) for name in POOLINGS if name in scales])
        return [Prediction("frozen", fitted.predict_proba(chosen(table.test)))]

    return run


def _scale(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each feature; a constant one is only centred."""
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation > 1e-6, deviation, np.float32(1))


class _Readings:
    """Linear readings of tasks, fitted once for all models and seeds."""

    def __init__(self) -> None:
        self.fitted: weakref.WeakKeyDictionary[SequenceTable, list[FittedReading]] = weakref.WeakKeyDictionary()

    def of(self, table: SequenceTable) -> list[FittedReading]:
        if table not in self.fitted:
            self.fitted[table] = fit_readings(table)
        return self.fitted[table]


def _finetuned(
    source: Callable[[int], SequenceModel], config: FinetuneConfig | None, readings: _Readings
) -> Callable[[SequenceTable, int], list[Prediction]]:
    config = config or FinetuneConfig()

    def run(table: SequenceTable, seed: int) -> list[Prediction]:
        fitted = readings.of(table) if config.linear_reading else None
        result = finetune_classifier(source(seed).network, table, config=config, seed=seed, readings=fitted)
        networks: dict[Kind, SequenceClassifierNetwork] = {"finetuned": result.network}
        if result.linear is not None:
            networks["finetuned_states"] = result.network.states_alone()
        groups, chosen = SequenceGroups(table.test.codes), str(result.linear or "")
        return [
            Prediction(kind, predict_classes(network, groups, both_strands=result.both_strands), chosen if network.linear else "")
            for kind, network in networks.items()
        ]

    return run
