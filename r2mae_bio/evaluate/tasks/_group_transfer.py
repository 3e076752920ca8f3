"""Labels across studies, donors or technologies: learn from all groups but one, answer for the
one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._splits import Split, as_batches, group_splits
from r2mae_bio.evaluate._checks import check_unique
from r2mae_bio.evaluate.methods._embedder import all_measured
from r2mae_bio.evaluate.tasks._transfer import SCORES, Cells, Round, View, check_cells, known_classes, transfer_table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike

    from r2mae_bio.evaluate.methods._embedder import Embedder, SparseCounts
    from r2mae_bio.evaluate.scores._probe import ProbeKind

__all__ = ["label_transfer"]

Unseen = Literal["drop", "wrong"]
COLUMNS = ["method", "seed", "group", "n_query", "n_unseen", *SCORES]


def label_transfer(
    embedders: Sequence[Embedder],
    counts: SparseCounts,
    labels: ArrayLike,
    *,
    groups: ArrayLike,
    batch: ArrayLike | None = None,
    unseen: Unseen = "drop",
    seeds: Sequence[int] = (0, 1, 2),
    probes: Sequence[ProbeKind] = ("linear", "knn"),
    by_class: bool = False,
    on_result: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Hold out each group in turn, and transfer the labels of all others to it.

    Methods and probes learn from the cells of the other groups; every gene counts as measured. A
    class that the other groups lack cannot be transferred by anybody.

    Parameters
    ----------
    embedders
        Methods with different names.
    counts
        Raw counts (n_cells, n_genes).
    labels
        Class per cell (n_cells,), seen by the probes only.
    groups
        Study, donor or technology per cell (n_cells,), at least two.
    batch
        Batch per cell (n_cells,), told to methods that ask for it (:class:`BatchAware`), for the
        reference cells only.
    unseen
        ``"drop"`` leaves cells of classes that the other groups lack out of the scores; ``"wrong"``
        counts them as errors.
    seeds
        Seeds of the methods.
    probes
        Kinds of probe, see :func:`fit_probe`.
    by_class
        One row per class among the query cells, with the further columns label, n_label (query
        cells of the class) and f1.
    on_result
        Called with one line of text after each score.

    Returns
    -------
    One row per method, seed, held-out group and probe, with columns method, seed, group, n_query
    (cells scored), n_unseen (cells of the group whose class the other groups lack), probe, accuracy
    and macro_f1.

    Raises
    ------
    ConfigError
        Names repeat, nothing is asked for, or ``unseen`` is unknown.
    DataError
        Labels, groups or batches do not fit the counts, or a group shares no class with the
        others.
    """
    check_unique(embedders=embedders, seeds=seeds, probes=probes)
    if unseen not in get_args(Unseen):
        message = f"unseen is {unseen!r}; choose one of {', '.join(map(repr, get_args(Unseen)))}."
        raise ConfigError(message)
    cells = check_cells(counts, labels)
    batches = None if batch is None else as_batches(batch, len(cells.labels))
    splits = _splits(groups, len(cells.labels))

    def rounds() -> Iterator[Round]:
        for group, split in splits.items():
            reference, view = cells.take(split.reference), _view(cells, split, group, unseen)
            told = None if batches is None else batches[split.reference]
            yield from (Round(seed, reference, [view], told) for seed in seeds)

    return transfer_table(embedders, rounds(), columns=COLUMNS, probes=probes, by_class=by_class, on_result=on_result)


def _splits(groups: ArrayLike, n_cells: int) -> dict[str, Split]:
    if len(np.asarray(groups)) != n_cells:
        message = f"There are {n_cells} cells and {len(np.asarray(groups))} groups; one group per cell is needed."
        raise DataError(message)
    return group_splits(groups)


def _view(cells: Cells, split: Split, group: str, unseen: Unseen) -> View:
    known = known_classes(cells.labels, split, group)
    rows = split.query[known] if unseen == "drop" else split.query
    columns = {"group": group, "n_query": len(rows), "n_unseen": int((~known).sum())}
    return View(columns, f"{group} held out", cells.take(rows), all_measured(cells.counts))
