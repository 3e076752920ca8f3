"""The panel table: train on whole measurements, score cells of which only a panel of genes was measured."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from .._errors import ConfigError, DataError
from ._probe import FittedProbe, ProbeKind, fit_probe
from ._split import Split, as_labels, panel_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from ._embedder import Embedder, FittedEmbedder, SparseCounts

__all__ = ["panel_transfer", "summarize", "to_markdown"]

Labels: TypeAlias = NDArray[np.str_]
Cells: TypeAlias = tuple[sparse.csr_array, Labels]
Metric: TypeAlias = Literal["accuracy", "macro_f1"]
METRICS: tuple[Metric, ...] = ("accuracy", "macro_f1")
COLUMNS = ["method", "seed", "fraction", "n_genes", "probe", *METRICS]


def panel_transfer(
    embedders: Sequence[Embedder],
    counts: SparseCounts,
    labels: ArrayLike,
    *,
    split: Split,
    fractions: Sequence[float] = (1.0, 0.3, 0.1, 0.03),
    seeds: Sequence[int] = (0, 1, 2),
    probes: Sequence[ProbeKind] = ("linear", "knn"),
    on_result: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Score every method on query cells of which only a random panel of genes was measured.

    Per seed, a method is fitted on the counts of the reference cells, without labels; reference cells are embedded with every
    gene measured, and each probe is trained on them once. Query cells are then embedded with the panel of that seed and fraction,
    the same panel for every method, and scored by the same probe. Panels of one seed are nested, see :func:`panel_mask`.

    Parameters
    ----------
    embedders
        Methods with different names.
    counts
        Raw counts (n_cells, n_genes).
    labels
        Class per cell (n_cells,), seen by the probes only.
    split
        Reference and query cells, the same for every seed.
    fractions
        Shares of the genes that the panels measure, each above 0, at most 1.
    seeds
        Seeds of panels and methods; the spread over seeds is what :func:`summarize` reports.
    probes
        Kinds of probe, see :func:`fit_probe`.
    on_result
        Called with one line of text after each scored panel.

    Returns
    -------
    One row per method, seed, fraction and probe, with columns method, seed, fraction, n_genes (measured genes), probe, accuracy
    and macro_f1 (over the classes among the query cells).

    Raises
    ------
    ConfigError
        If names repeat or nothing is asked for.
    DataError
        If labels or split do not fit the counts.
    """
    _check_request(embedders, fractions, seeds, probes)
    cells, classes = sparse.csr_array(counts), as_labels(labels)
    _check_data(cells, classes, split)
    reference, query = _take(cells, classes, split.reference), _take(cells, classes, split.query)
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        panels = {fraction: panel_mask(cells.shape[1], fraction, seed=seed) for fraction in fractions}
        for embedder in embedders:
            fitted, fitted_probes = _fit(embedder, reference, seed, probes)
            for scores in _score(fitted, fitted_probes, query, panels):
                rows.append({"method": embedder.name, "seed": seed, **scores})
                if on_result is not None:
                    on_result(_line(rows[-1]))
    return pd.DataFrame(rows, columns=COLUMNS)


def summarize(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds.

    Parameters
    ----------
    frame
        Result of :func:`panel_transfer`, or several of them concatenated.

    Returns
    -------
    One row per method, fraction, n_genes and probe, in the order of `frame`, with columns accuracy_mean, accuracy_std,
    macro_f1_mean, macro_f1_std and n_seeds. The standard deviation divides by n_seeds - 1 and is NaN for one seed.

    Raises
    ------
    DataError
        If a column is missing.
    """
    _check_columns(frame, COLUMNS)
    keys = ["method", "fraction", "n_genes", "probe"]
    named = {f"{metric}_{stat}": (metric, stat) for metric in METRICS for stat in ("mean", "std")}
    return frame.groupby(keys, sort=False, observed=True).agg(**named, n_seeds=("seed", "nunique")).reset_index()


def to_markdown(summary: pd.DataFrame, *, probe: ProbeKind, metric: Metric = "macro_f1") -> str:
    """A markdown table, methods by fractions, ``mean ± standard deviation``, the best of each column in bold.

    Parameters
    ----------
    summary
        Result of :func:`summarize`.
    probe
        Kind of probe to show.
    metric
        ``"accuracy"`` or ``"macro_f1"``.

    Returns
    -------
    Lines of the table, the largest fraction first. Methods that print the same best mean are all bold.

    Raises
    ------
    ConfigError
        If the probe or the metric is not in the summary.
    DataError
        If a column is missing or a cell of the table has several rows.
    """
    if metric not in METRICS:
        msg = f"The metric is {metric!r}; choose one of {', '.join(METRICS)}."
        raise ConfigError(msg)
    _check_columns(summary, ["method", "fraction", "probe", f"{metric}_mean", f"{metric}_std"])
    shown = summary[summary["probe"] == probe]
    if shown.empty:
        msg = f"The summary has no rows of the probe {probe!r}; it has {', '.join(map(repr, summary['probe'].unique()))}."
        raise ConfigError(msg)
    if shown.duplicated(["method", "fraction"]).any():
        msg = "A method has several rows for one fraction; pass the summary of one data set."
        raise DataError(msg)
    fractions = sorted(shown["fraction"].unique(), reverse=True)
    columns = [_markdown_column(shown[shown["fraction"] == fraction], metric) for fraction in fractions]
    head = ["method", *(f"{100 * fraction:.3g}%" for fraction in fractions)]
    body = [[method.replace("|", "\\|"), *(column.get(method, "") for column in columns)] for method in shown["method"].unique()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *body])


def _markdown_column(rows: pd.DataFrame, metric: Metric) -> dict[str, str]:
    """Method to text for one fraction."""
    means = rows[f"{metric}_mean"].round(3)
    texts = {}
    for method, mean, std in zip(rows["method"], means, rows[f"{metric}_std"], strict=True):
        text = f"{mean:.3f}" if np.isnan(std) else f"{mean:.3f} ± {std:.3f}"
        texts[method] = f"**{text}**" if mean == means.max() else text
    return texts


def _take(cells: sparse.csr_array, classes: Labels, rows: NDArray[np.intp]) -> Cells:
    return cells[rows], classes[rows]


def _fit(
    embedder: Embedder, reference: Cells, seed: int, probes: Sequence[ProbeKind]
) -> tuple[FittedEmbedder, list[FittedProbe]]:
    """The method trained without labels, and the probes trained on its view of whole reference cells."""
    counts, classes = reference
    fitted = embedder.fit(counts, seed=seed)
    embedding = fitted.embed(counts, np.ones(counts.shape[1], dtype=bool))
    return fitted, [fit_probe(embedding, classes, kind=kind) for kind in probes]


def _score(
    fitted: FittedEmbedder, probes: Sequence[FittedProbe], query: Cells, panels: dict[float, NDArray[np.bool_]]
) -> Iterator[dict[str, Any]]:
    """Scores per panel and probe; a panel is embedded once for all probes."""
    counts, classes = query
    for fraction, measured in panels.items():
        embedding = fitted.embed(counts, measured)
        for trained in probes:
            result = trained.score(embedding, classes)
            yield {
                "fraction": fraction,
                "n_genes": int(measured.sum()),
                "probe": trained.kind,
                "accuracy": result.accuracy,
                "macro_f1": result.macro_f1,
            }


def _line(row: dict[str, Any]) -> str:
    return f"{row['method']}, seed {row['seed']}, {row['n_genes']} genes, {row['probe']} probe: macro-F1 {row['macro_f1']:.3f}"


def _check_request(
    embedders: Sequence[Embedder], fractions: Sequence[float], seeds: Sequence[int], probes: Sequence[ProbeKind]
) -> None:
    asked = {"embedders": [e.name for e in embedders], "fractions": fractions, "seeds": seeds, "probes": probes}
    for what, values in asked.items():
        repeated = [value for value, n in Counter(values).items() if n > 1]
        if repeated or not len(values):
            found = f"repeat {repeated[0]!r}" if repeated else "are empty"
            msg = f"The {what} {found}; pass at least one, each once (embedders are told apart by their name)."
            raise ConfigError(msg)


def _check_data(cells: sparse.csr_array, classes: Labels, split: Split) -> None:
    if len(classes) != cells.shape[0]:
        msg = f"There are {cells.shape[0]} cells and {len(classes)} labels; one label per cell is needed."
        raise DataError(msg)
    rows = np.concatenate([split.reference, split.query])
    if len(np.unique(rows)) < len(rows):
        msg = "Reference and query share cells, or repeat them; a cell that was learned from must not be scored."
        raise DataError(msg)
    if not len(split.reference) or not len(split.query) or rows.min() < 0 or rows.max() >= len(classes):
        msg = f"The split has rows that the {len(classes)} cells lack, or an empty side; make it from the same labels."
        raise DataError(msg)


def _check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    missing = [column for column in columns if column not in frame]
    if missing:
        msg = f"The frame lacks the columns {', '.join(missing)}; pass the result of panel_transfer or summarize."
        raise DataError(msg)
