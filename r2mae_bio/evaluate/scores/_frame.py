"""Tables over seeds: mean, spread, markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._keys import as_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

    from r2mae_bio.evaluate.scores._probe import ProbeKind

__all__ = ["KEYS", "METRICS", "check_columns", "column_head", "method_table", "metrics_of", "summarize", "to_markdown"]

KEYS = (
    *("set", "method", "panel", "fraction", "depth", "train_share", "group"),
    *("n_genes", "reference", "probe", "label", "kind", "metric"),
)
"""Columns that say what a row is about, the seed apart."""
METRICS: dict[str, bool] = {
    "accuracy": True,
    "macro_f1": True,
    "f1": True,
    "poisson_nll": False,
    "mse_log": False,
    "value": True,
}
"""Columns with scores, and whether a larger one is better."""


def summarize(frame: pd.DataFrame, *, over: str | Sequence[str] = ("seed",)) -> pd.DataFrame:
    """Mean and standard deviation over seeds.

    Parameters
    ----------
    frame
        Result of :func:`panel_transfer`, :func:`depth_transfer`, :func:`label_transfer`,
        :func:`denoising` or :func:`integration`, or several of one kind concatenated.
    over
        Columns whose rows are averaged, such as ``("seed", "group")``.

    Returns
    -------
    One row per method and whatever else tells rows apart (panel, fraction, n_genes, depth,
    train_share, group, probe, label, kind, metric), in the order of ``frame``, with two columns per
    metric, such as macro_f1_mean and macro_f1_std, and n_seeds. The standard deviation divides by
    the number of rows minus 1 and is NaN for one row.

    Raises
    ------
    DataError
        A column is missing.
    """
    over = as_names(over)
    check_columns(frame, ["method", *over])
    keys = [key for key in KEYS if key in frame and key not in over]
    named = {f"{metric}_{stat}": (metric, stat) for metric in metrics_of(frame) for stat in ("mean", "std")}
    grouped = frame.groupby(keys, sort=False, observed=True, dropna=False)
    return grouped.agg(**named, n_seeds=("seed", "nunique")).reset_index()


def to_markdown(
    summary: pd.DataFrame,
    *,
    probe: ProbeKind | None = None,
    metric: str = "macro_f1",
    columns: str | None = None,
    digits: int = 3,
) -> str:
    """A markdown table, methods by panels, ``mean ± standard deviation``, the best of each column
    in bold.

    Parameters
    ----------
    summary
        Result of :func:`summarize`.
    probe
        Kind of probe to show, for summaries that have several.
    metric
        A metric of the summary.
    columns
        Column of the summary that is spread over the table, such as metric for :func:`integration`;
        if None, the first of panel, fraction, depth and group that it has, or a single column named
        after the metric.
    digits
        Digits after the point.

    Returns
    -------
    Lines of the table. Panels and depths that are shares of the whole stand first, the largest
    first, others as they came. Methods that print the same best mean are all bold.

    Raises
    ------
    ConfigError
        The probe or the metric is not in the summary.
    DataError
        A column is missing or a cell of the table has several rows.
    """
    spread = columns or next((c for c in ("panel", "fraction", "depth", "group") if c in summary), None)
    _check_metric(summary, metric)
    check_columns(summary, ["method", f"{metric}_std", *([spread] if spread else []), *(["probe"] if probe else [])])
    shown = summary if probe is None else summary[summary["probe"] == probe]
    if shown.empty:
        message = f"The summary has no rows of the probe {probe!r}; it has {', '.join(map(repr, summary['probe'].unique()))}."
        raise ConfigError(message)
    if shown.duplicated(["method", spread] if spread else ["method"]).any():
        message = f"A method has several rows for one {spread or 'metric'}; pass the summary of one data set, and name the probe."
        raise DataError(message)
    parts = {metric: shown} if spread is None else {column_head(v): shown[shown[spread] == v] for v in _ordered(shown, spread)}
    texts = [_markdown_column(rows, metric, digits) for rows in parts.values()]
    body = {method: [text.get(method, "") for text in texts] for method in shown["method"].unique()}
    return method_table(list(parts), body)


def method_table(heads: Sequence[str], body: Mapping[str, Sequence[str]]) -> str:
    """Lines of a markdown table with a row per method."""
    rows = [[method.replace("|", "\\|"), *cells] for method, cells in body.items()]
    head = ["method", *heads]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [head, ["---"] * len(head), *rows])


def column_head(value: object) -> str:
    """A share as a percentage, anything else as it is."""
    return f"{100 * value:.3g}%" if isinstance(value, float) else str(value)


def metrics_of(frame: pd.DataFrame) -> list[str]:
    """Metrics that a table has, in its order."""
    metrics = [column for column in frame.columns if column in METRICS]
    if not metrics:
        message = "The frame has no column with a metric; pass the result of panel_transfer, label_transfer or their like."
        raise DataError(message)
    return metrics


def check_columns(frame: pd.DataFrame, columns: Sequence[str]) -> None:
    """Refuse a frame that lacks columns."""
    missing = [column for column in columns if column not in frame]
    if missing:
        message = (
            f"The frame lacks the columns {', '.join(missing)}; pass the result of panel_transfer or its like, or of summarize."
        )
        raise DataError(message)


def _check_metric(summary: pd.DataFrame, metric: str) -> None:
    known = [column.removesuffix("_mean") for column in summary.columns if column.endswith("_mean")]
    if metric not in known:
        message = f"The metric is {metric!r}; choose one of {', '.join(known) or 'those of a summary'}."
        raise ConfigError(message)


def _ordered(shown: pd.DataFrame, spread: str) -> list[object]:
    """Shares by size, then names as they came."""
    values = list(shown[spread].unique())
    if spread != "panel":
        return sorted(values, reverse=True) if spread in ("depth", "fraction") else values
    share = dict(zip(shown["panel"], shown.get("fraction", shown["panel"]), strict=True))
    shares = sorted((v for v in values if str(v).endswith("%")), key=lambda v: share[v], reverse=True)
    return [*shares, *(v for v in values if v not in shares)]


def _markdown_column(rows: pd.DataFrame, metric: str, digits: int) -> dict[str, str]:
    """Method to text for one column of the table."""
    means = rows[f"{metric}_mean"].round(digits)
    best = means.max() if METRICS.get(metric, True) else means.min()
    texts = {}
    for method, mean, std in zip(rows["method"], means, rows[f"{metric}_std"], strict=True):
        text = f"{mean:.{digits}f}" if np.isnan(std) else f"{mean:.{digits}f} ± {std:.{digits}f}"
        texts[method] = f"**{text}**" if mean == best else text
    return texts
