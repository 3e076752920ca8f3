"""What all transfer tables share: one fit on the reference, then many views of query cells, each
scored by the same probes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from r2mae_bio._errors import DataError
from r2mae_bio._splits import as_labels
from r2mae_bio.evaluate.methods._embedder import all_measured, fit_embedder
from r2mae_bio.evaluate.scores._probe import fit_probe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import ArrayLike

    from r2mae_bio._splits import Split
    from r2mae_bio.evaluate.methods._embedder import Embedder, SparseCounts
    from r2mae_bio.evaluate.scores._probe import FittedProbe, ProbeKind, ProbeResult

__all__ = ["CLASS_COLUMNS", "SCORES", "Cells", "Round", "View", "check_cells", "check_split", "known_classes", "transfer_table"]

SCORES = ["probe", "accuracy", "macro_f1"]
"""Columns at the end of every transfer table."""
CLASS_COLUMNS = ["label", "n_label", "f1"]
"""Columns that follow when scores are asked for by class."""

Labels: TypeAlias = NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells and what only probes may see of them."""

    counts: sparse.csr_array
    """Raw counts (n_cells, n_genes)."""
    labels: Labels
    """Class per cell (n_cells,)."""

    def take(self, rows: NDArray[np.intp]) -> Cells:
        """The cells at these positions."""
        return Cells(self.counts[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class View:
    """Query cells as they would be measured."""

    columns: dict[str, Any]
    """What tells this view from the others of the table."""
    what: str
    """The same in words, for a line of progress."""
    cells: Cells
    """The query."""
    measured: NDArray[np.bool_]
    """Measured genes (n_genes,)."""
    matched: bool = False
    """Whether probes learn from reference cells that were embedded with the measured genes alone,
    instead of all.
    """


@dataclass(frozen=True, eq=False)
class Round:
    """What every method learns from once, and what it is then asked."""

    seed: int
    """Seed of the methods."""
    reference: Cells
    """What methods and probes learn from."""
    views: Sequence[View]
    """What they are asked."""
    batch: ArrayLike | None = None
    """Batch per reference cell (n_cells,), for methods that ask for it."""


def transfer_table(
    embedders: Sequence[Embedder],
    rounds: Iterable[Round],
    *,
    columns: Sequence[str],
    probes: Sequence[ProbeKind],
    by_class: bool,
    on_result: Callable[[str], None] | None,
) -> pd.DataFrame:
    """Rows of all methods, round by round; ``columns`` are those of a table that is not by class.

    Rounds may come from an iterator: the cells of a round are then held while it is scored.
    """
    rows: list[dict[str, Any]] = []
    for asked in rounds:
        for embedder in embedders:
            rows += _score(embedder, asked, probes=probes, by_class=by_class, on_result=on_result)
    return pd.DataFrame(rows, columns=[*columns, *CLASS_COLUMNS * by_class])


def _score(
    embedder: Embedder,
    asked: Round,
    *,
    probes: Sequence[ProbeKind],
    by_class: bool,
    on_result: Callable[[str], None] | None,
) -> Iterator[dict[str, Any]]:
    """Rows of one method in one round: it is fitted once, and each view is embedded once for all
    probes.

    Reference cells are embedded with every gene measured, and each probe is trained on them once;
    views that are matched have probes of their own.
    """
    reference = asked.reference
    fitted = fit_embedder(embedder, reference.counts, seed=asked.seed, batch=asked.batch)

    def trained(measured: NDArray[np.bool_]) -> list[FittedProbe]:
        embedding = fitted.embed(reference.counts, measured)
        return [fit_probe(embedding, reference.labels, kind=kind) for kind in probes]

    whole = trained(all_measured(reference.counts))
    for view in asked.views:
        embedding = fitted.embed(view.cells.counts, view.measured)
        for probe in trained(view.measured) if view.matched and not view.measured.all() else whole:
            result = probe.score(embedding, view.cells.labels)
            row = {"method": embedder.name, "seed": asked.seed, **view.columns, "probe": probe.kind}
            yield from _rows(row, result, view.cells.labels, by_class=by_class)
            if on_result is not None:
                on_result(
                    f"{embedder.name}, seed {asked.seed}, {view.what}, {probe.kind} probe: macro-F1 {result.macro_f1:.3f}",
                )


def _rows(row: dict[str, Any], result: ProbeResult, labels: Labels, *, by_class: bool) -> Iterator[dict[str, Any]]:
    row = {**row, "accuracy": result.accuracy, "macro_f1": result.macro_f1}
    if not by_class:
        yield row
        return
    size = Counter(labels.tolist())
    for label, f1 in result.per_class.items():
        yield {**row, "label": label, "n_label": size[label], "f1": f1}


def check_cells(counts: SparseCounts, labels: ArrayLike) -> Cells:
    """Counts and labels of as many cells."""
    cells = Cells(sparse.csr_array(counts), as_labels(labels))
    if len(cells.labels) != cells.counts.shape[0]:
        message = f"There are {cells.counts.shape[0]} cells and {len(cells.labels)} labels; one label per cell is needed."
        raise DataError(message)
    return cells


def check_split(split: Split, n_cells: int) -> None:
    """Refuse a split that leaks, is empty on one side or belongs to other cells."""
    rows = np.concatenate([split.reference, split.query])
    if len(np.unique(rows)) < len(rows):
        message = "Reference and query share cells, or repeat them; a cell that was learned from must not be scored."
        raise DataError(message)
    if not len(split.reference) or not len(split.query) or rows.min() < 0 or rows.max() >= n_cells:
        message = f"The split has rows that the {n_cells} cells lack, or an empty side; make it from the same labels."
        raise DataError(message)


def known_classes(labels: Labels, split: Split, group: str) -> NDArray[np.bool_]:
    """Which query cells of a held-out group have a class that the reference has (n_query,); refuse
    a group without any.
    """
    known = np.isin(labels[split.query], labels[split.reference])
    if not known.any():
        message = f"The group {group!r} shares no class with the others; make its labels agree with theirs, or leave it out."
        raise DataError(message)
    return known
