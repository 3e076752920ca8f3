"""Frozen and fine-tuned models of bases beside the floors of the same task."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd

from r2mae_bio._errors import CheckpointError, ConfigError, DataError
from r2mae_bio.evaluate._sequence_floors import FLOORS, SEEDED, fit_features
from r2mae_bio.evaluate._sequence_states import POOLINGS, SequenceModel, pool_states, untrained_form
from r2mae_bio.io import read_sequence_table
from r2mae_bio.train import SequenceGroups, class_metrics, finetune_classifier, predict_classes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.io import LabelledSequences, SequenceTable
    from r2mae_bio.train import FinetuneConfig

__all__ = ["SequenceMethod", "floor_methods", "model_methods", "sequence_probe"]

logger = logging.getLogger("r2mae_bio")

Kind: TypeAlias = Literal["floor", "frozen", "finetuned"]
RANDOM_INIT = "random init"
"""Name of the encoder that was never trained."""
COLUMNS = ["method", "kind", "seed", "mcc", "auroc", "accuracy", "macro_f1", "n_test", "n_shared", "seconds"]


@dataclass(frozen=True)
class SequenceMethod:
    """One way to classify the test rows of a task."""

    name: str
    """Name in tables."""
    kind: Kind
    """A floor, a frozen model with a linear probe, or a model trained end to end."""
    seeded: bool
    """Whether seeds differ."""
    run: Callable[[SequenceTable, int], NDArray[np.floating] | None]
    """Probabilities (test rows, K) of a task and a seed; None where the method cannot read the task."""


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

    Everything is learned from the train rows, chosen by the dev rows and scored once on all test rows together. Floors are the share
    of the classes, GC content and length, 5-mer and 6-mer counts, bases and dinucleotides by position (where all lengths are equal)
    in logistic regressions with tuned L2 strength, and a small convolutional network. A frozen model is a logistic regression on its
    pooled states. A model whose result is not above the floors shows nothing about pretraining, and neither does one that is not
    above its own network with random weights.

    Parameters
    ----------
    table
        A frame, or a table with tabs between its columns, see :func:`r2mae_bio.io.read_sequence_table`. Without dev rows some train
        rows become dev rows, others for each seed.
    models
        Pretrained models by name. If none is named ``"random init"``, the network of the first with random weights is added under that
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
    One row per method, kind (``"floor"``, ``"frozen"``, ``"finetuned"``) and seed: mcc, auroc, accuracy, macro_f1, n_test, n_shared
    (test rows whose sequence or reverse complement is also learned from) and seconds.

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
    for seed in seeds:
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
        probabilities = method.run(task, seed)
        if probabilities is None:
            continue
        counts = {"n_test": len(task.test), "n_shared": n_shared, "seconds": time.perf_counter() - start}
        yield {
            "method": method.name,
            "kind": method.kind,
            "seed": seed,
            **class_metrics(task.test.labels, probabilities),
            **counts,
        }


def floor_methods() -> list[SequenceMethod]:
    """The floors as methods."""
    return [SequenceMethod(name, "floor", name in SEEDED, run) for name, run in FLOORS.items()]


def model_methods(
    models: Mapping[str, SequenceModel], *, finetune: bool = False, config: FinetuneConfig | None = None
) -> list[SequenceMethod]:
    """Frozen and, if asked for, fine-tuned models as methods, with the network of random weights where it can be had.

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
        methods += [SequenceMethod(name, "finetuned", True, _finetuned(source, config)) for name, source in sources.items()]
    return methods


def _always(model: SequenceModel) -> Callable[[int], SequenceModel]:
    return lambda seed: model


def _frozen(source: Callable[[int], SequenceModel]) -> Callable[[SequenceTable, int], NDArray[np.floating]]:
    def run(table: SequenceTable, seed: int) -> NDArray[np.floating]:
        model = source(seed)
        pooled = {id(part): pool_states(model, part.codes) for part in (table.train, table.dev, table.test)}
        scales = {name: _scale(values) for name, values in pooled[id(table.train)].items()}
        if table.length is None:
            scales.pop("bins", None)

        def features(name: str) -> Callable[[LabelledSequences], NDArray[np.float32]]:
            return lambda part: (pooled[id(part)][name] - scales[name][0]) / scales[name][1]

        fitted, chosen = fit_features(table, [features(name) for name in POOLINGS if name in scales])
        return fitted.predict_proba(chosen(table.test))

    return run


def _scale(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of each feature; a constant one is only centred."""
    deviation = values.std(axis=0)
    return values.mean(axis=0), np.where(deviation > 1e-6, deviation, np.float32(1))


def _finetuned(
    source: Callable[[int], SequenceModel], config: FinetuneConfig | None
) -> Callable[[SequenceTable, int], NDArray[np.floating]]:
    def run(table: SequenceTable, seed: int) -> NDArray[np.floating]:
        result = finetune_classifier(source(seed).network, table, config=config, seed=seed)
        return predict_classes(result.network, SequenceGroups(table.test.codes), both_strands=result.both_strands)

    return run
