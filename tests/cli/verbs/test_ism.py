"""``r2mae ism``: a region, or those of a BED file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from r2mae_bio import tl

ARGS = ["genome.fa.gz", "--model", "dna_model"]


def test_a_region_as_a_track(folder: Path, r2mae: Any) -> None:
    chosen = ["--column", "entropy", "--track", "toy", "--context", "32", "--stride", "8", "--hidden-at-once", "2"]
    assert r2mae("ism", "chr1:101-110", *ARGS, *chosen, "--out", "out.bedgraph")[0] == 0
    table = tl.saturation_mutagenesis("chr1:101-110", "genome.fa.gz", "dna_model", context=32, stride=8, hidden_at_once=2)
    tl.to_bedgraph(table, "python.bedgraph", column="entropy", track="toy")
    assert Path("out.bedgraph").read_text() == Path("python.bedgraph").read_text()
    code, out, _ = r2mae("ism", "chr1:101-110", *ARGS, *chosen, "--out", "-")
    assert (code, out) == (0, Path("out.bedgraph").read_text())


def test_regions_of_a_file(folder: Path, printed: Any) -> None:
    said = printed("ism", "peaks.bed", *ARGS, "--out", "out.csv")
    table = pd.read_csv("out.csv")
    assert said["bases"] == len(table) == 70
    assert table["pos"].tolist() == [*range(1001, 1041), *range(2001, 2031)]
