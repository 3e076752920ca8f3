"""``r2mae compare``: a report in a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

ARGS = [
    "compare",
    "cells.h5ad",
    "--labels-key",
    "group",
    "--layer",
    "counts",
    "--tasks",
    "panels",
    "--seeds",
    "0",
    "--panels",
    "1",
]


def test_a_report_of_the_methods_asked_for(folder: Path, r2mae: Any, printed: Any) -> None:
    chosen = ["--methods", "pca", "--methods", "noise", "--out", "report"]
    code, out, err = r2mae(*ARGS, *chosen)
    assert (code, out) == (0, "wrote report/report.html\n")
    assert all(line.startswith(("[", "warning: ")) for line in err.splitlines())
    said = printed(*ARGS, *chosen, "--overwrite")
    assert {row["method"] for row in said["summary"]["panels"]} == {"PCA, zero fill", "noise"}
    assert said["settings"]["cells"] == 60
    assert (Path("report") / "panels.csv").is_file()
