"""``make demo``, cut short: its files are there, and its numbers are those of its files."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import anndata
import pandas as pd

from tutorials import demo, demo_table
from tutorials.fast import shorten

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

FILES = {"umap.png", "umap_dark.png", "labels.png", "panel_labels.csv", "whole.h5ad", "panel.h5ad", "report.md"}


def test_it_writes_what_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shorten(monkeypatch.setattr)
    out, images = tmp_path / "demo", tmp_path / "images"
    images.mkdir()
    monkeypatch.setattr(sys, "argv", ["demo", "--out", str(out), "--images", str(images)])
    demo.main()
    assert {path.name for path in out.iterdir()} == FILES
    assert {path.name for path in images.iterdir()} == {"umap.png", "umap_dark.png"}
    printed = capsys.readouterr().out
    assert all(f"{out}/{name}" in printed for name in FILES)

    labels = pd.read_csv(out / "panel_labels.csv", index_col=0)
    whole, panel = anndata.read_h5ad(out / "whole.h5ad"), anndata.read_h5ad(out / "panel.h5ad")
    assert panel.shape == (len(labels), demo.N_GENES)
    assert not set(whole.obs_names) & set(panel.obs_names)
    assert whole.obsm["X_r2mae"].shape[1] == panel.obsm["X_r2mae"].shape[1] == 64
    right = labels["bulk_labels"] == labels["r2mae_label"]
    surer = labels["r2mae_label_confidence"].sort_values(ascending=False, kind="stable").index[: len(labels) // 2]
    report = (out / "report.md").read_text()
    told = [int(number) for number in re.findall(r"^- \*\*(\d+)%", report, flags=re.MULTILINE)]
    assert told == [round(100 * right.mean()), round(100 * right[surer].mean())]
    assert right.mean() > labels["bulk_labels"].value_counts(normalize=True).max()


def test_the_long_table_has_every_method() -> None:
    rows = [
        {"method": method.name, "probe": probe, "panel": "100%", "fraction": 1.0, "seed": 0, "macro_f1": 0.5, "accuracy": 0.5}
        for method in demo_table.METHODS
        for probe in ("linear", "knn")
    ]
    text = demo_table.table(pd.DataFrame(rows), anndata.AnnData(shape=(3, 4)))
    assert all(text.count(f"| {method.name} |") == 4 for method in demo_table.METHODS)
