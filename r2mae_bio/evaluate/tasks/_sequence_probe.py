"""Frozen and fine-tuned models of bases beside the controls of the same task."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pandas as pd

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.dna.sequences._table import read_sequence_table
from r2mae_bio.evaluate.methods._sequence_methods import control_methods, model_methods

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from r2mae_bio.config._finetune_sequences import FinetuneConfig
    from r2mae_bio.dna._protocols import SequenceModel
    from r2mae_bio.dna.sequences._table import SequenceTable
    from r2mae_bio.evaluate.methods._sequence_methods import SequenceMethod

__all__ = ["score_methods", "sequence_probe"]

COLUMNS = ["method", "kind", "seed", "mcc", "auroc", "accuracy", "macro_f1", "n_test", "n_shared", "seconds", "chosen"]


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
    rows together. Controls are the share of the classes, GC content and length, 5-mer and 6-mer
    counts, bases and dinucleotides by position (where all lengths are equal) in logistic
    regressions with tuned L2 strength, and a small convolutional network. A frozen model is a
    logistic regression on its pooled states. A fine-tuned one has two rows, with and without the
    linear reading of k-mers beside its states. A model whose result is not above the controls shows
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
        Include the controls that need no pretraining, of the kind ``"floor"``.
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
        There is nothing to do: no seed, or neither controls nor models.
    DataError
        The table cannot be used, or has no test rows.
    SetupError
        A column is missing.
    """
    methods = [*(control_methods() if floors else []), *model_methods(models or {}, finetune=finetune, config=finetune_config)]
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
