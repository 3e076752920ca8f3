"""What stands in the report of a comparison: one list of blocks, whatever form it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from r2mae_bio.evaluate.report._figures import PROBES, Styles, curve_figure, dot_figure, method_styles
from r2mae_bio.evaluate.scores._frame import column_head, method_table, to_markdown

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

    from r2mae_bio.evaluate.report._findings import Findings

__all__ = ["Block", "blocks"]

TITLES = {
    "panels": "Panels: only some genes measured",
    "depth": "Depth: only some molecules sequenced",
    "denoising": "Denoising: molecules that were held out",
    "integration": "Integration: batches mixed, classes kept",
}
TEXTS = {
    "panels": "Probes learn from reference cells measured in full and are asked about query cells of which only a panel of genes was "
    "measured; the columns are the share of the genes. Macro-F1, larger is better.",
    "depth": "As above, with all genes measured and each molecule of the query cells kept with the probability in the head of "
    "the column. Macro-F1, larger is better.",
    "denoising": "Methods predict a tenth of each query cell's molecules from the other nine tenths. Smaller is better.",
    "integration": "Metrics lie between 0 and 1, but ari, which can fall a little below 0 by chance; larger is better. No metric is "
    "enough alone, and there is no total: noise mixes batches perfectly, and an untouched embedding may keep the classes best.",
}


class Block(NamedTuple):
    """A piece of a report."""

    kind: Literal["h1", "h2", "h3", "p", "table", "list", "figure"]
    """What it is."""
    text: str
    """Its text; the lines of a markdown table or of a list; what a figure shows."""
    file: str = ""
    """Name of the figure's file."""
    png: bytes = b""
    """The figure."""


def blocks(result: Findings) -> Iterator[Block]:
    """The report, block by block."""
    yield Block("h1", f"{result.reference} beside its controls")
    yield Block("p", _description(result.settings))
    if result.notes:
        yield Block("list", "\n".join(result.notes))
    summaries, differences = result.summary(), result.differences()
    methods = [name for task, frame in result.frames.items() if task != "denoising" for name in frame["method"].unique()]
    styles = method_styles(list(dict.fromkeys(methods)), result.reference)
    for task, frame in result.frames.items():
        yield Block("h2", TITLES[task])
        yield Block("p", f"{TEXTS[task]} {_spread(frame)}")
        yield from _figure(task, summaries[task], styles)
        yield from _means(task, summaries[task])
        if task in differences:
            yield from _paired(task, differences[task], result.reference)


def _description(settings: dict[str, Any]) -> str:
    known = {key: value for key, value in settings.items() if value is not None}
    return "; ".join(f"{key}: {', '.join(map(str, v)) if isinstance(v, list) else v}" for key, v in known.items()) + "."


def _spread(frame: pd.DataFrame) -> str:
    groups = f", each of which holds out one group ({', '.join(map(str, frame['group'].unique()))})" if "group" in frame else ""
    return f"Mean ± standard deviation over {frame['seed'].nunique()} seeds{groups}; the best of each column in bold."


def _figure(task: str, summary: pd.DataFrame, styles: Styles) -> Iterator[Block]:
    if task == "integration":
        yield Block("figure", "Metrics of integration by method", "integration.png", dot_figure(summary, styles))
    elif task in ("panels", "depth"):
        column, axis = ("fraction", "share of the genes measured") if task == "panels" else ("depth", "share of the molecules")
        # a designed panel is no point on the curve of random ones
        shown = summary[summary["panel"].str.endswith("%")] if task == "panels" else summary
        if shown[column].nunique() > 1:
            yield Block(
                "figure", f"Macro-F1 against the {axis}", f"{task}.png", curve_figure(shown, styles, column=column, axis=axis)
            )


def _means(task: str, summary: pd.DataFrame) -> Iterator[Block]:
    if task == "denoising":
        for metric, title in {"poisson_nll": "Poisson negative log-likelihood", "mse_log": "Error of log profiles"}.items():
            yield Block("h3", title)
            yield Block("table", to_markdown(summary, metric=metric, digits=4))
    elif task == "integration":
        for kind, part in summary.groupby("kind", sort=False):
            yield Block("h3", str(kind).capitalize())
            yield Block("table", to_markdown(part, metric="value", columns="metric"))
    else:
        for probe in summary["probe"].unique():
            yield Block("h3", PROBES.get(probe, probe).capitalize())
            yield Block("table", to_markdown(summary, probe=probe))


def _paired(task: str, differences: pd.DataFrame, reference: str) -> Iterator[Block]:
    split, columns = {"panels": ("probe", "panel"), "depth": ("probe", "depth"), "integration": ("kind", "metric")}.get(
        task, ("", "")
    )
    digits = 4 if task == "denoising" else 3
    for name, part in differences.groupby(split, sort=False) if split else [("", differences)]:
        what = f", {PROBES.get(str(name), str(name))}" if name else ""
        yield Block("h3", f"{reference} minus the method, paired{what}")
        yield Block("p", "Mean difference, its 95% confidence interval, and in how many pairs the first was better.")
        yield Block("table", _difference_table(part, columns, digits))


def _difference_table(part: pd.DataFrame, columns: str, digits: int) -> str:
    heads = list(part[columns].unique()) if columns else ["difference"]
    body: dict[str, list[str]] = {}
    for method, rows in part.groupby("method", sort=False):
        texts = {row[columns] if columns else heads[0]: _difference(row, digits) for row in rows.to_dict("records")}
        body[str(method)] = [texts.get(head, "") for head in heads]
    return method_table([column_head(head) for head in heads], body)


def _difference(row: dict[str, Any], digits: int) -> str:
    if np.isnan(row["mean"]):
        return ""
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"
    return f"{row['mean']:+.{digits}f}{interval}, {row['wins']}/{row['n']}"
