"""Frozen and fine-tuned models of bases beside the floors of the same task."""

from __future__ import annotations

import logging
import time
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from r2mae_bio._errors import CheckpointError, ConfigError, DataError
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.core._class_metrics import class_metrics
from r2mae_bio.dna.fit._finetune import finetune_classifier
from r2mae_bio.dna.fit._linear import fit_features
from r2mae_bio.dna.fit._linear_readings import fit_readings
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, predict_classes
from r2mae_bio.dna.sequences._table import read_sequence_table
from r2mae_bio.evaluate.methods._sequence_floors import FLOORS, SEEDED
from r2mae_bio.evaluate.methods._sequence_states import POOLINGS, pool_states, untrained_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import SequenceModel
    from r2mae_bio.dna.fit._linear_readings import FittedReading
    from r2mae_bio.dna.network._classifier import SequenceClassifierNetwork
    from r2mae_bio.dna.sequences._table import LabelledSequences, SequenceTable

__all__ = ["Prediction", "SequenceMethod", "floor_methods", "model_methods", "sequence_probe"]

logger = logging.getLogger("r2mae_bio")

Kind: TypeAlias = Literal["floor", "frozen", "finetuned", "finetuned_states"]
RANDOM_INIT = "random init"
"""Name of the encoder that was never trained."""
COLUMNS = ["method", "kind", "seed", "mcc", "auroc", "accuracy", "macro_f1", "n_test", "n_shared", "seconds", "chosen"]


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
    """A floor, a frozen model with a linear probe, or a model trained end to end."""
    seeded: bool
    """Whether seeds differ."""
    run: Callable[[SequenceTable, int], list[Prediction]]
    """Predictions for a task and a seed; none where the method cannot read the task."""


def sequence_probe(
    table: pd.DataFrame | Path | str,
    models: Mapping[str, SequenceModel] | None = None,
    *,
    sequence_key: str = "sequence",
    label_key: str = "label",
    split_key: str = "split",
    floors: bool = True,
    finetune: bool = False,
    finetune_config: FinetuneConfig | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    on_result: Callable[[dict[str, Any]], None] | None = None,
) -> pd.DataFrame:
    """Classify labelled sequences with frozen models, with fine-tuned ones, and without any.

    Everything is learned from the train rows, chosen by the dev rows and scored once on all test
    rows together. Floors are the share of the classes, GC content and length, 5-mer and 6-mer
    counts, bases and dinucleotides by position (where all lengths are equal) in logistic
    regressions with tuned L2 strength, and a small convolutional network. A frozen model is a
    logistic regression on its pooled states. A fine-tuned one has two rows, with and without the
    linear reading of k-mers beside its states. A model whose result is not above the floors shows
    nothing about pretraining, and neither does one that is not above its own network with random
    weights.

    Parameters
    ----------
    table
        A frame, or a table with tabs between its columns, see
        :func:`r2mae_bio.io.read_sequence_table`. Without dev rows some train rows become dev rows,
        others for each seed.
    models
        Pretrained models by name, of this package or another, see :class:`SequenceModel`. If none
        is named ``"random init"``, the network of the first with random weights is added under that
        name; where it cannot be built anew, because it is not of this package, a warning is logged.
    sequence_key, label_key, split_key
        Columns of bases, classes and parts.
    floors
        Include the floors.
    finetune
        Also train the models end to end.
    finetune_config
        Settings of that.
    seeds
        What depends on chance is repeated for each; what does not has one row, with the first seed.
    on_result
        Called with each row as it is found.

    Returns
    -------
    One row per method, kind (``"floor"``, ``"frozen"``, ``"finetuned"`` and, of the same run
    without the linear reading, ``"finetuned_states"``) and seed: mcc, auroc, accuracy, macro_f1,
    n_test, n_shared (test rows whose sequence or reverse complement is also learned from), seconds
    of the run and chosen, how states and linear reading are weighed.

    Raises
    ------
    ConfigError
        There is nothing to do: no seed, or neither floors nor models.
    DataError
        The table cannot be used, or has no test rows.
    SetupError
        A column is missing.
    """
    methods = [*(floor_methods() if floors else []), *model_methods(models or {}, finetune=finetune, config=finetune_config)]
    if not methods or not len(seeds):
        message = f"There are {len(methods)} methods and {len(seeds)} seeds; needed are floors or models, and at least one seed."
        raise ConfigError(message)
    rows: list[dict[str, Any]] = []
    task: SequenceTable | None = None
    for seed in seeds:
        if task is None or task.dev_from_train:
            task = read_sequence_table(table, sequence_key=sequence_key, label_key=label_key, split_key=split_key, seed=seed)
        once = seed != seeds[0] and not task.dev_from_train
        for row in score_methods(task, [m for m in methods if m.seeded or not once], seed=seed):
            rows.append(row)
            if on_result is not None:
                on_result(row)
    return pd.DataFrame(rows, columns=COLUMNS)


def score_methods(task: SequenceTable, methods: Sequence[SequenceMethod], *, seed: int) -> Iterator[dict[str, Any]]:
    """Rows of :func:`sequence_probe` for one task and seed, one by one as they are found."""
    if not len(task.test):
        message = "The table has no test rows; needed is a part named 'test'."
        raise DataError(message)
    n_shared = task.n_shared()
    for method in methods:
        start = time.perf_counter()
        predictions = method.run(task, seed)
        seconds = time.perf_counter() - start
        for prediction in predictions:
            yield {
                "method": method.name,
                "kind": prediction.kind,
                "seed": seed,
                **class_metrics(task.test.labels, prediction.probabilities),
                "n_test": len(task.test),
                "n_shared": n_shared,
                "seconds": seconds,
                "chosen": prediction.chosen,
            }


def floor_methods() -> list[SequenceMethod]:
    """The floors as methods."""
    return [SequenceMethod(name, "floor", name in SEEDED, _floor(name)) for name in FLOORS]


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


def _floor(name: str) -> Callable[[SequenceTable, int], list[Prediction]]:
    def run(table: SequenceTable, seed: int) -> list[Prediction]:
        probabilities = FLOORS[name](table, seed)
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
