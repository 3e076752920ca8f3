"""The report of a comparison: one list of blocks, as markdown and as a page that needs no other
file.
"""

from __future__ import annotations

import base64
import html
import re
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import whole_folder
from r2mae_bio.evaluate.report._report_figures import Styles, curve_figure, dot_figure, method_styles
from r2mae_bio.evaluate.scores._frame import to_markdown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd

    from r2mae_bio.evaluate.report._findings import Findings

__all__ = ["report_html", "report_markdown", "save_report"]

PROBES = {"linear": "linear probe", "knn": "k nearest neighbours"}
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
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 72rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; font-size: .9rem; display: block; overflow-x: auto; }
th, td { padding: .25rem .7rem; border-bottom: 1px solid #ddd; text-align: left; white-space: nowrap; }
th { border-bottom: 2px solid #888; }
img { max-width: 100%; height: auto; }
h2 { margin-top: 2.5rem; }
"""
PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
"""


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


def report_markdown(result: Findings) -> str:
    """The report as markdown; figures are links to files beside it."""
    return _as_markdown(list(_blocks(result)))


def report_html(result: Findings) -> str:
    """The report as one page, figures included."""
    return _as_html(list(_blocks(result)))


def save_report(result: Findings, folder: Path) -> Path:
    """Write the report, its figures and all frames into a new folder: whole or not at all.

    Raises
    ------
    ConfigError
        The folder exists.
    """
    if folder.exists():
        msg = f"{folder} exists; name a folder that does not, or remove it first."
        raise ConfigError(msg)
    with whole_folder(folder) as temporary:
        _write(result, temporary)
    return folder


def _write(result: Findings, folder: Path) -> None:
    blocks = list(_blocks(result))
    (folder / "report.md").write_text(_as_markdown(blocks), encoding="utf-8")
    (folder / "report.html").write_text(_as_html(blocks), encoding="utf-8")
    for block in blocks:
        if block.kind == "figure":
            (folder / block.file).write_bytes(block.png)
    tables = {"": result.frames, "_summary": result.summary(), "_differences": result.differences()}
    for suffix, frames in tables.items():
        for task, frame in frames.items():
            frame.to_csv(folder / f"{task}{suffix}.csv", index=False)


# ---------------------------------------------------------------- contents


def _blocks(result: Findings) -> Iterator[Block]:
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
    lines = [["method", *(f"{100 * h:.3g}%" if isinstance(h, float) else str(h) for h in heads)]]
    lines.append(["---"] * len(lines[0]))
    for method, rows in part.groupby("method", sort=False):
        texts = {row[columns] if columns else heads[0]: _difference(row, digits) for row in rows.to_dict("records")}
        lines.append([str(method).replace("|", "\\|"), *(texts.get(head, "") for head in heads)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _difference(row: dict[str, Any], digits: int) -> str:
    if np.isnan(row["mean"]):
        return ""
    interval = "" if np.isnan(row["low"]) else f" [{row['low']:+.{digits}f}, {row['high']:+.{digits}f}]"
    return f"{row['mean']:+.{digits}f}{interval}, {row['wins']}/{row['n']}"


# ---------------------------------------------------------------- forms


def _as_markdown(blocks: list[Block]) -> str:
    forms = {"h1": "# {}", "h2": "## {}", "h3": "### {}", "p": "{}", "table": "{}"}
    parts = []
    for block in blocks:
        if block.kind == "figure":
            parts.append(f"![{block.text}]({block.file})")
        elif block.kind == "list":
            parts.append("\n".join(f"- {line}" for line in block.text.splitlines()))
        else:
            parts.append(forms[block.kind].format(block.text))
    return "\n\n".join(parts) + "\n"


def _as_html(blocks: list[Block]) -> str:
    parts = []
    for block in blocks:
        if block.kind == "figure":
            data = base64.b64encode(block.png).decode("ascii")
            parts.append(f'<img src="data:image/png;base64,{data}" alt="{html.escape(block.text)}">')
        elif block.kind == "list":
            items = "".join(f"<li>{html.escape(line)}</li>" for line in block.text.splitlines())
            parts.append(f"<ul>{items}</ul>")
        elif block.kind == "table":
            parts.append(_html_table(block.text))
        else:
            parts.append(f"<{block.kind}>{html.escape(block.text)}</{block.kind}>")
    return PAGE.format(title=html.escape(blocks[0].text), style=STYLE, body="\n".join(parts))


def _html_table(markdown: str) -> str:
    """A table of :func:`to_markdown`, whose second line is the rule."""
    head, _, *body = (_split_row(line) for line in markdown.splitlines())
    rows = [f"<tr>{''.join(f'<td>{_html_cell(cell)}</td>' for cell in row)}</tr>" for row in body]
    heads = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _split_row(line: str) -> list[str]:
    cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [cell.strip().replace("\\|", "|") for cell in cells]


def _html_cell(cell: str) -> str:
    best = re.fullmatch(r"\*\*(.+)\*\*", cell)
    return f"<strong>{html.escape(best[1])}</strong>" if best else html.escape(cell)
