"""Regions from BED files, tables and lists."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.dna.variants._sinks import compress_bgzf
from r2mae_bio.errors import BedError
from r2mae_bio.io import Genome, extract_loci, read_regions

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ["chrom", "start", "end", "name", "strand"]
BED12 = b"chr2\t10\t90\tgene\t960\t-\t20\t80\t0\t2\t10,20,\t0,60,"


def read(tmp_path: Path, text: bytes) -> list[tuple]:
    (tmp_path / "r.bed").write_bytes(text)
    return list(read_regions(tmp_path / "r.bed").itertuples(index=False, name=None))


@pytest.mark.parametrize(
    ("line", "region"),
    [
        (b"chr1\t0\t5", ("chr1", 0, 5, "chr1:0-5", ".")),
        (b"chr1\t0\t5\tsite one", ("chr1", 0, 5, "site one", ".")),
        (b"chr1\t0\t5\t.\t7", ("chr1", 0, 5, "chr1:0-5", ".")),
        (b"chr1\t0\t5\ta\t7\t+", ("chr1", 0, 5, "a", "+")),
        (b"chr1 0  5 a 7 -", ("chr1", 0, 5, "a", "-")),
        (BED12, ("chr2", 10, 90, "gene", "-")),
        (b"track1\t3\t4", ("track1", 3, 4, "track1:3-4", ".")),
        (b"browser_scaffold\t3\t4", ("browser_scaffold", 3, 4, "browser_scaffold:3-4", ".")),
    ],
)
def test_three_to_twelve_columns(tmp_path: Path, line: bytes, region: tuple) -> None:
    assert read(tmp_path, line + b"\n") == [region]


def test_what_is_no_region_is_passed_over(tmp_path: Path) -> None:
    text = b'browser position chr1:1-9\ntrack name="x" visibility=2\n#chrom\tstart\tend\n\nchr1\t1\t2\n   \ntrack\tname=y\nchr1\t3\t4'
    expected = [("chr1", 1, 2, "chr1:1-2", "."), ("chr1", 3, 4, "chr1:3-4", ".")]
    for form in (text, text + b"\n", text.replace(b"\n", b"\r\n"), gzip.compress(text), compress_bgzf(text) + compress_bgzf(b"")):
        if form[:4] == b"\x1f\x8b\x08\x04":
            with pytest.raises(BedError, match="without the block that ends one"):
                read(tmp_path, form)
        else:
            assert read(tmp_path, form) == expected


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"chr1\t5", "Line 3 .* has 2 columns"),
        (b"chr1\t5\t5", "Line 3 .* has the start 5 and the end 5"),
        (b"chr1\t6\t5", "Line 3 .* the start must be smaller"),
        (b"chr1\t-1\t5", "Line 3 .* has the coordinate '-1'"),
        (b"chr1\t1.5\t5", "Line 3 .* has the coordinate '1.5'"),
        (b"chr1\t1\t1e3", "Line 3 .* has the coordinate '1e3'"),
        (b"chr1\t1\t" + b"9" * 5000, "Line 3 .* has the coordinate '999"),
        (b"chr1\t1 \t5", "Line 3 .* has the coordinate '1 '"),
        (b"chrom\tstart\tend", "Line 3 .* has the coordinate 'start'.* must begin with #"),
        (b"chr1\t1\t5\ta\t0\t*", r"Line 3 .* has the strand '\*'"),
        (b"\t1\t5", "Line 3 .* names no contig"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(BedError, match=message):
        read(tmp_path, b"# comment\nchr1\t1\t2\n" + line + b"\nchr1\t1\t2\n")


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"track\n\n"])
def test_no_region_is_an_error(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BedError, match="r.bed holds no region"):
        read(tmp_path, text)


def test_cut_files_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"chr1\t%d\t%d\t%x\n" % (i, i + 1, i * 7919**3) for i in range(5000)))
    with pytest.raises(BedError, match="cut or damaged after line [1-9]"):
        read(tmp_path, whole[: len(whole) // 2])


REGIONS = st.lists(
    st.tuples(
        st.sampled_from(["chr1", "2", "X_y"]),
        st.integers(0, 2**40),
        st.integers(1, 2**40),
        st.text("ab c", max_size=3),
        st.sampled_from("+-."),
    ),
    min_size=1,
    max_size=8,
)


@given(REGIONS)
def test_file_table_and_list_agree(tmp_path_factory: pytest.TempPathFactory, parts: list[tuple]) -> None:
    rows = [(chrom, start, start + size, name.strip(), strand) for chrom, start, size, name, strand in parts]
    expected = [(c, s, e, name or f"{c}:{s}-{e}", strand) for c, s, e, name, strand in rows]
    text = "".join(f"{c}\t{s}\t{e}\t{name or '.'}\t0\t{strand}\n" for c, s, e, name, strand in rows)
    path = tmp_path_factory.mktemp("bed") / "r.bed"
    path.write_text(text)
    for source in (path, str(path), rows, pd.DataFrame(rows, columns=COLUMNS)):
        found = read_regions(source)
        assert list(found.columns) == COLUMNS
        assert list(found.itertuples(index=False, name=None)) == expected
        assert (found["start"].dtype, found["end"].dtype) == (np.int64, np.int64)
        assert found.index.tolist() == list(range(len(rows)))


@pytest.mark.parametrize(
    "names",
    [
        ["chrom", "start", "end"],
        ["Chromosome", "Start", "End"],
        ["#chrom", "chromStart", "chromEnd"],
        ["seqnames", "START", "stop"],
    ],
)
def test_usual_names_of_columns(names: list[str]) -> None:
    table = pd.DataFrame([(1, 2.0, 3.0)], columns=names, index=["a"])
    assert read_regions(table).iloc[0].tolist() == ["1", 2, 3, "1:2-3", "."]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (["chr1:1-5"], "Item 0 .* count from 0 or 1"),
        ([("chr1", 1, 5), ("chr1", 1)], "Item 1 .* needed is a tuple"),
        ([("chr1", 1, 5), ("chr1", 1, 1)], "Row 1 .* the start must be smaller"),
        ([("chr1", -1, 5)], "Row 0 .* has -1 in the column start"),
        ([("chr1", 1, 5.5)], "Row 0 .* has 5.5 in the column end"),
        ([(None, 1, 5)], "Row 0 .* has None in the column chrom"),
        ([("chr1", 1, 5, "a", "x")], "Row 0 .* has the strand 'x'"),
        ([], "The table holds no region"),
        (pd.DataFrame({"chrom": ["1"], "pos": [1]}), "needed is one named start"),
        (pd.DataFrame({"chrom": ["1"], "start": [1], "end": [3], "End": [3]}), "The columns end, End all mean end"),
        (pd.DataFrame({"chrom": ["1"], "start": [7], "end": [3]}, index=["peak"]), r"Row 0 \(index 'peak'\) has the start 7"),
    ],
)
def test_bad_tables_and_lists_are_named(source: Any, message: str) -> None:
    with pytest.raises(BedError, match=message):
        read_regions(source)


def test_regions_are_read_from_the_genome_they_name(tmp_path: Path) -> None:
    (tmp_path / "g.fa").write_text(">chr1\nACGTTGCANN\n")
    (tmp_path / "r.bed").write_text("chr1\t0\t4\ta\t0\t+\n1\t1\t5\tb\t0\t-\n")
    loci = extract_loci(Genome(tmp_path / "g.fa", cache_dir=tmp_path / "cache"), read_regions(tmp_path / "r.bed"))
    assert [row.tobytes() for row in loci] == [b"ACGT", b"AACG"]
