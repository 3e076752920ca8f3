"""``tl.to_bedgraph``: coordinates, order, compression, whole or not at all."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._lines import open_lines
from r2mae_bio.io import Genome

from .toy_predictors import RING, TEXT, Counter


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{TEXT}\n>ring\n{RING}\n")
    return Genome(path, cache_dir=tmp_path / "cache", circular=["ring"])


def parse(text):
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("track")]
    return [(chrom, int(start), int(end), float(value)) for chrom, start, end, value in rows]


def test_a_bedgraph_holds_the_column_in_bed_coordinates(genome, tmp_path):
    table = rb.tl.saturation_mutagenesis("chr1:11-16", genome, Counter())
    path = rb.tl.to_bedgraph(table, tmp_path / "folder" / "i.bedgraph")
    found = parse(path.read_text())
    assert [row[:3] for row in found] == [("chr1", i, i + 1) for i in range(10, 16)]
    np.testing.assert_allclose([row[3] for row in found], table["information"], rtol=1e-5)
    assert [row[1] for row in parse(rb.tl.to_bedgraph(table, path, column="llr_A").read_text())] == [10, 11, 12, 14, 15]
    assert list(path.parent.iterdir()) == [path]


def test_a_bedgraph_is_sorted(genome, tmp_path):
    tables = [rb.tl.saturation_mutagenesis(r, genome, Counter()) for r in (("ring", 9, 15), "chr1:7-9", "chr1:2-4")]
    found = parse(rb.tl.to_bedgraph(pd.concat(tables), tmp_path / "all.bg").read_text())
    assert found == sorted(found)
    assert len(found) == 12


def test_gz_is_bgzip_of_the_same_text(genome, tmp_path):
    table = rb.tl.saturation_mutagenesis("chr1:2-20", genome, Counter())
    plain, packed = (rb.tl.to_bedgraph(table, tmp_path / name, track="my track") for name in ("a.bedgraph", "a.bedgraph.gz"))
    assert gzip.decompress(packed.read_bytes()).decode() == plain.read_text()
    assert plain.read_text().startswith('track type=bedGraph name="my track"\nchr1\t1\t2\t')
    assert packed.read_bytes()[12:14] == b"BC"
    with open_lines(packed, DataError) as stream:  # refuses a bgzip file without its last block
        assert len(list(stream)) == 20


def test_tabix_finds_the_rows_of_a_region(genome, tmp_path):
    pysam = pytest.importorskip("pysam", reason="pysam is the oracle here")
    tables = [rb.tl.saturation_mutagenesis(r, genome, Counter()) for r in (("ring", 2, 12), "chr1:2-20")]
    packed = rb.tl.to_bedgraph(pd.concat(tables), tmp_path / "a.bedgraph.gz")
    pysam.tabix_index(str(packed), preset="bed")
    with pysam.TabixFile(str(packed)) as file:
        assert file.contigs == ["chr1", "ring"]
        rows = [row for region in (("chr1", 4, 9), ("ring", 0, 100)) for row in file.fetch(*region)]
    expected = [("chr1", i, i + 1) for i in range(4, 9)] + [("ring", i, i + 1) for i in range(2, 12)]
    assert [row[:3] for row in parse("\n".join(rows))] == expected


def test_a_bedgraph_is_written_whole_or_not_at_all(genome, tmp_path, monkeypatch):
    table = rb.tl.saturation_mutagenesis("chr1:2-20", genome, Counter())
    path = rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph")
    before = path.read_bytes()

    def fail(stream):
        message = "no space left"
        raise OSError(message)

    monkeypatch.setattr("r2mae_bio._files.flush_to_disk", fail)
    with pytest.raises(OSError, match="no space left"):
        rb.tl.to_bedgraph(table, path, column="entropy")
    assert path.read_bytes() == before
    assert list(tmp_path.glob("*a.bedgraph*")) == [path]


@pytest.mark.parametrize("dtype", ["int64", "uint32", "float64", "Int64", "Float64"])
def test_whole_numbers_are_written_exactly(tmp_path, dtype):
    numbers = [0, 1234567, 123456789, 2**31]
    table = pd.DataFrame({"chrom": "1", "pos": [1.0, 2.0, 3.0, 4.0], "depth": pd.array(numbers, dtype)})
    text = rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph", column="depth").read_text()
    assert text == "".join(f"1\t{i}\t{i + 1}\t{number}\n" for i, number in enumerate(numbers))


def test_other_numbers_have_six_digits(tmp_path):
    table = pd.DataFrame({"chrom": "1", "pos": ["5", "6", "7"], "information": [1 / 3, -1e-9, 1e300]})
    assert [row.split("\t")[3] for row in rb.tl.to_bedgraph(table, tmp_path / "a").read_text().splitlines()] == [
        "0.333333",
        "-1e-09",
        "1e+300",
    ]


def test_bases_without_a_value_are_not_looked_at(tmp_path):
    table = pd.DataFrame({"chrom": ["1", None], "pos": [3, None], "information": pd.array([2.5, None], "Float64")})
    assert rb.tl.to_bedgraph(table, tmp_path / "a").read_text() == "1\t2\t3\t2.5\n"


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("pos", 1.5, r"Row 0 .* has 1.5 in the column pos; needed is a whole number"),
        ("pos", 0, "has the position 0; needed is one from 1 to"),
        ("pos", -3, "has -3 in the column pos"),
        ("pos", 2**31, "has the position 2147483648"),
        ("pos", None, "has None in the column pos"),
        ("chrom", None, "has None in the column chrom"),
        ("chrom", "chr 1", "needed is text without white space"),
        ("chrom", "", "has '' in the column chrom"),
        ("chrom", 1.0, "has 1.0 in the column chrom"),
    ],
)
def test_sites_that_are_none_are_named(tmp_path, column, value, message):
    table = pd.DataFrame({"chrom": ["1"], "pos": [1], "information": [1.0]}).assign(**{column: pd.Series([value], dtype=object)})
    with pytest.raises(DataError, match=message):
        rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph")
    assert not list(tmp_path.iterdir())


def test_columns_of_one_name_are_refused(tmp_path):
    table = pd.DataFrame([["1", 1, 0.5, 0.7]], columns=["chrom", "pos", "information", "information"])
    with pytest.raises(DataError, match="several columns named 'information'"):
        rb.tl.to_bedgraph(table, tmp_path / "a.bedgraph")


def test_a_table_that_is_no_track_is_refused(genome, tmp_path):
    table = rb.tl.saturation_mutagenesis("chr1:2-20", genome, Counter())
    for error, match, wrong, settings in (
        (SetupError, r"missing are \['depth'\]", table, {"column": "depth"}),
        (DataError, "chr1:2 occurs more than once", pd.concat([table, table]), {}),
        (DataError, "needed are finite numbers", table, {"column": "ref"}),
        (DataError, "needed are finite numbers", table.assign(information=np.inf), {}),
        (DataError, "holds no value", table.assign(information=np.nan), {}),
        (ConfigError, "without quotation marks", table, {"track": 'a"b'}),
    ):
        with pytest.raises(error, match=match):
            rb.tl.to_bedgraph(wrong, tmp_path / "no.bedgraph", **settings)
    assert not list(tmp_path.glob("*no.bedgraph*"))
