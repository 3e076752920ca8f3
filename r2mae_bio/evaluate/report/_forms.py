"""The report as markdown, as a page that needs no other file, and as a folder."""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path
from typing import TYPE_CHECKING

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import whole_folder
from r2mae_bio.evaluate.report._contents import blocks

if TYPE_CHECKING:
    from r2mae_bio.evaluate.report._contents import Block
    from r2mae_bio.evaluate.report._findings import Findings

__all__ = ["check_new", "report_html", "report_markdown", "save_report"]

_PAGE_NAME = "report.html"
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


def report_markdown(result: Findings) -> str:
    """The report as markdown; figures are links to files beside it."""
    return _as_markdown(list(blocks(result)))


def report_html(result: Findings) -> str:
    """The report as one page, figures included."""
    return _as_html(list(blocks(result)))


def save_report(result: Findings, folder: str | Path, *, overwrite: bool = False) -> Path:
    """Write the report, its figures and all frames into a new folder: whole or not at all.

    Raises
    ------
    ConfigError
        The folder exists, or is to be replaced and holds no report.
    """
    folder = check_new(folder, overwrite=overwrite)
    with whole_folder(folder, overwrite=overwrite) as temporary:
        _write(result, temporary)
    return folder


def _write(result: Findings, folder: Path) -> None:
    pieces = list(blocks(result))
    (folder / "report.md").write_text(_as_markdown(pieces), encoding="utf-8")
    (folder / _PAGE_NAME).write_text(_as_html(pieces), encoding="utf-8")
    for block in pieces:
        if block.kind == "figure":
            (folder / block.file).write_bytes(block.png)
    tables = {"": result.frames, "_summary": result.summary(), "_differences": result.differences()}
    for suffix, frames in tables.items():
        for task, frame in frames.items():
            frame.to_csv(folder / f"{task}{suffix}.csv", index=False)


def check_new(folder: str | Path, *, overwrite: bool = False) -> Path:
    """Refuse a folder that exists; with ``overwrite`` only what is no report."""
    path = Path(folder).expanduser()
    if not path.exists() or (overwrite and (path / _PAGE_NAME).is_file()):
        return path
    what = "holds no report, and would be lost" if overwrite else "exists"
    message = f"{path} {what}; name a folder that does not exist, or remove it first."
    raise ConfigError(message)


def _as_markdown(pieces: list[Block]) -> str:
    forms = {"h1": "# {}", "h2": "## {}", "h3": "### {}", "p": "{}", "table": "{}"}
    parts = []
    for block in pieces:
        if block.kind == "figure":
            parts.append(f"![{block.text}]({block.file})")
        elif block.kind == "list":
            parts.append("\n".join(f"- {line}" for line in block.text.splitlines()))
        else:
            parts.append(forms[block.kind].format(block.text))
    return "\n\n".join(parts) + "\n"


def _as_html(pieces: list[Block]) -> str:
    parts = []
    for block in pieces:
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
    return PAGE.format(title=html.escape(pieces[0].text), style=STYLE, body="\n".join(parts))


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
