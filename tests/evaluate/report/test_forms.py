"""The report of a comparison."""

from __future__ import annotations

import base64
import re

import pandas as pd
import pytest

from r2mae_bio.errors import ConfigError
from r2mae_bio.evaluate import (
    ComparisonResult,
)

from .conftest import FAST


def test_the_folder_holds_the_report_and_every_number(result, tmp_path):
    folder = result.save(tmp_path / "new" / "report")
    names = {path.name for path in folder.iterdir()}
    csv = {f"{task}{kind}.csv" for task in FAST for kind in ("", "_summary", "_differences")}
    assert names == {"report.md", "report.html", "panels.png", "depth.png"} | csv
    assert [path.name for path in folder.parent.iterdir()] == ["report"]
    pd.testing.assert_frame_equal(pd.read_csv(folder / "panels.csv"), result.frames["panels"])
    assert (folder / "report.md").read_text() == result.to_markdown()
    assert "![Macro-F1 against the share of the genes measured](panels.png)" in result.to_markdown()


def test_the_page_needs_no_other_file(result, tmp_path):
    page = result.save(tmp_path / "report").joinpath("report.html").read_text()
    images = re.findall(r'src="(.*?)"', page)
    assert len(images) == 2
    assert all(source.startswith("data:image/png;base64,") for source in images)
    assert base64.b64decode(images[0].partition(",")[2]) == (tmp_path / "report" / "panels.png").read_bytes()
    assert "href" not in page
    # every row of every markdown table, and its best cells
    rows = [line for line in result.to_markdown().splitlines() if line.startswith("| ") and "---" not in line]
    assert page.count("<tr>") == len(rows)
    assert page.count("<strong>") == result.to_markdown().count("**") // 2


def test_names_are_escaped(result):
    frame = result.frames["panels"].replace({"method": {"noise": "a <b> | c"}})
    named = ComparisonResult({"panels": frame}, "factor analysis")
    assert "<td>a &lt;b&gt; | c</td>" in named.to_html()
    assert "<b>" not in named.to_html()
    assert r"| a <b> \| c |" in named.to_markdown()


def test_integration_is_reported_metric_by_metric(integrated, tmp_path):
    result = ComparisonResult({"integration": integrated}, "R2MAE")
    text = result.to_markdown()
    assert "| method | bras | ilisi |" in text
    assert "| noise | +0.200 [+0.200, +0.200], 2/2 |" in text
    assert not re.search("^.*total.*[|]", text, flags=re.MULTILINE)
    assert (result.save(tmp_path / "out") / "integration.png").stat().st_size > 10_000


def test_a_report_replaces_a_report_if_asked_and_nothing_else(result, tmp_path):
    folder = result.save(tmp_path / "report")
    (folder / "panels.csv").unlink()
    with pytest.raises(ConfigError, match="exists"):
        result.save(folder)
    result.save(folder, overwrite=True)
    assert (folder / "panels.csv").is_file()
    (folder / "report.html").unlink()
    with pytest.raises(ConfigError, match="holds no report, and would be lost"):
        result.save(folder, overwrite=True)
    assert (folder / "panels.csv").is_file()
