"""``r2mae ism``: a region, or those of a BED file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from r2mae_bio import tl
from r2mae_bio.dna.scoring._saturation import COLUMNS

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


def test_rows_that_overlap_are_one_region_of_a_track(folder: Path, r2mae: Any) -> None:
    Path("several.bed").write_text("chr1\t1010\t1020\nchr1\t1000\t1015\nchr1\t1012\t1014\n")
    Path("one.bed").write_text("chr1\t1000\t1020\n")
    for name in ("several", "one"):
        assert r2mae("ism", f"{name}.bed", *ARGS, "--column", "llr_A", "--out", f"{name}.bedgraph")[0] == 0
    assert Path("several.bedgraph").read_text() == Path("one.bedgraph").read_text()
    assert r2mae("ism", "several.bed", *ARGS, "--out", "several.csv")[0] == 0
    assert pd.read_csv("several.csv")["pos"].tolist() == [*range(1011, 1021), *range(1001, 1016), 1013, 1014]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--column", "entrpy", "--out", "o.bedgraph"], "column is 'entrpy'; needed is one of logp_A"),
        (["--track", 'a "name"', "--out", "o.bedgraph"], "without quotation marks"),
        (["--column", "entropy", "--out", "o.csv"], "column given, which a table does not have"),
        (["--track", "toy", "--out", "o.parquet"], "track given, which a table does not have"),
    ],
)
def test_what_cannot_be_written_is_refused_before_anything_is_predicted(
    folder: Path, r2mae: Any, monkeypatch: pytest.MonkeyPatch, wrong: list[str], said: str
) -> None:
    monkeypatch.setattr("r2mae_bio.tl.saturation_mutagenesis", lambda *args, **kwargs: pytest.fail("it predicts"))
    code, _, err = r2mae("ism", "chr1:101-110", *ARGS, *wrong)
    assert code == 1
    assert said in err


def test_every_column_can_be_asked_for(folder: Path) -> None:
    table = tl.saturation_mutagenesis("chr1:101-103", "genome.fa.gz", "dna_model")
    assert list(COLUMNS) == [name for name in table.columns if name not in ("chrom", "pos", "ref")]
