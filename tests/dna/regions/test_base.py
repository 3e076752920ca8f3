"""Tables whose coordinates count from 1 are told from those that count from 0."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from r2mae_bio.errors import BedError
from r2mae_bio.io import read_regions

GTF = ["seqname", "source", "feature", "start", "end", "score", "strand", "frame", "attribute"]
GFF = ["chrom", "source", "type", "start", "end", "score", "strand", "phase", "attributes"]


@pytest.mark.parametrize("names", [GTF, GFF, ["seqname", "feature", "start", "end", "frame"]])
def test_tables_of_annotation_are_refused(names: list[str]) -> None:
    row = {"start": 11, "end": 20, "strand": "+"}
    table = pd.DataFrame([[row.get(name, "1") for name in names]], columns=names)
    with pytest.raises(BedError, match=re.escape(f"{', '.join(names)}: these are the columns of GTF or GFF, and counts from 1")):
        read_regions(table)
    chosen = table[["start", "end"]].assign(chrom="1", start=table["start"] - 1)  # what the message asks for
    assert read_regions(chosen).iloc[0, :3].tolist() == ["1", 10, 20]


def test_pyranges_keeps_the_columns_of_a_gtf_but_counts_from_0() -> None:
    table = pd.DataFrame([("1", "exon", 10, 20, ".")], columns=["Chromosome", "Feature", "Start", "End", "Frame"])
    assert read_regions(table).iloc[0, :3].tolist() == ["1", 10, 20]


def test_widths_tell_whether_ends_are_included() -> None:
    table = pd.DataFrame({"seqnames": ["1", "2"], "start": [11, 5], "end": [20, 5], "strand": "*"})
    with pytest.raises(BedError, match="the widths are end - start . 1, so ends are included"):
        read_regions(table.assign(width=[10, 1]))
    half_open = table.assign(start=table["start"] - 1, width=[10, 1])
    assert read_regions(half_open).to_numpy().tolist() == [["1", 10, 20, "1:10-20", "."], ["2", 4, 5, "2:4-5", "."]]


@pytest.mark.parametrize("width", [{}, {"width": [10, 3]}, {"width": ["10", None]}, {"length": [10, 9]}])
def test_a_contig_named_as_in_r_is_a_warning_where_nothing_else_tells(width: dict) -> None:
    table = pd.DataFrame({"seqnames": ["1", "2"], "start": [10, 5], "end": [20, 15], **width})
    with pytest.warns(UserWarning, match="'seqnames', a name that GTF and GRanges use, which count from 1"):
        assert read_regions(table)["start"].tolist() == [10, 5]
    assert read_regions(table.rename(columns={"seqnames": "chrom"}))["start"].tolist() == [10, 5]
