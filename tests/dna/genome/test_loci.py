"""Loci as given and centred, on lines and circles."""

from __future__ import annotations

import pandas as pd
import pytest

from r2mae_bio._errors import (
    DataError,
    RegionError,
    SetupError,
    UnknownContigError,
)
from r2mae_bio.io import extract_loci

from .conftest import as_read, text


def test_extract_loci_as_given_and_centred(genome, truth) -> None:
    regions = [("chr1", 10, 20, "+"), ("2", 5, 15, "-"), ("M", 0, 10, ".")]
    expected = [truth["chr1"][10:20], as_read(truth["chr2"][5:15], True), truth["chrM"][:10]]
    assert text(extract_loci(genome, regions)) == expected
    table = pd.DataFrame(regions, columns=["chrom", "start", "end", "strand"])
    assert text(extract_loci(genome, table)) == expected
    assert text(extract_loci(genome, table.rename(columns={"chrom": "contig"}).drop(columns="strand")))[1] == truth["chr2"][5:15]
    assert text(extract_loci(genome, [("chr1", 50, 60)], 20)) == [truth["chr1"][45:65]]
    assert text(extract_loci(genome, [("chr1", 50, 61)], 5)) == [truth["chr1"][53:58]]
    assert text(extract_loci(genome, [("chrM", 0, 4)], 8, outside="N")) == ["NN" + truth["chrM"][:6]]


def test_extract_loci_on_a_circle(circles, truth) -> None:
    assert text(extract_loci(circles, [("chrM", 0, 4)], 8)) == [truth["chrM"][-2:] + truth["chrM"][:6]]


@pytest.mark.parametrize(
    ("regions", "length", "error", "match"),
    [
        ([("chr1", 0, 5), ("chr1", 0, 6)], None, DataError, "2 different lengths, from 5 to 6 bases.*Pass length="),
        ([], None, DataError, "0 different lengths"),
        ([("chr1", 5, 5)], 4, RegionError, "Region 0 goes from 5 to 5"),
        ([("chr1", 0, 4), ("chrM", 40, 50)], 4, RegionError, "Region 1 goes from 40 to 50 on 'chrM' of 30"),
        ([("chrM", 0, 4)], 8, RegionError, "-2 to 6"),
        ([("chr1", 0)], 4, DataError, "three or four parts"),
        ([("chr1", 0.5, 4)], 4, DataError, "float64"),
        ([("chr1", 0, 4, "?")], 4, DataError, "'\\?'"),
        ([("chr9", 0, 4)], 4, UnknownContigError, "chr9"),
        (pd.DataFrame({"chrom": ["chr1"], "start": [0]}), 4, SetupError, "missing are \\['end'\\]"),
    ],
)
def test_extract_loci_refuses_misuse(genome, regions, length, error, match) -> None:
    with pytest.raises(error, match=match):
        extract_loci(genome, regions, length)
