"""Regions from BED files, tables and lists."""

from __future__ import annotations

import gzip
import os
import threading
from typing import TYPE_CHECKING

import pytest

from r2mae_bio._lines import compress_bgzf
from r2mae_bio.errors import BedError
from r2mae_bio.io import read_regions

if TYPE_CHECKING:
    from pathlib import Path


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
        (b"track\t3\t4", ("track", 3, 4, "track:3-4", ".")),
        (b"browser 3 4", ("browser", 3, 4, "browser:3-4", ".")),
        (b"\xef\xbb\xbfchr1\t0\t5", ("chr1", 0, 5, "chr1:0-5", ".")),
        (b"chr1\t0\t5\ta\t7\t*", ("chr1", 0, 5, "a", ".")),
        (b"chr1\t0\t5\ta\t7\t", ("chr1", 0, 5, "a", ".")),
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
        (b"@SQ\tSN:chr1\tLN:900", "Line 3 .* the beginning of an interval list of Picard or SAM, .* make BED of it"),
        (b"fixedStep chrom=chr1 start=1", "Line 3 .* the beginning of wiggle"),
        (b"##fileformat=VCFv4.2", "Line 3 .* the beginning of VCF"),
        (b"#CHROM\tPOS\tID\tREF\tALT", "Line 3 .* the beginning of VCF"),
        (b"##gff-version 3", "Line 3 .* the beginning of GFF"),
        (
            b"chr1\thavana\texon\t11\t20\t.\t+\t.\tgene_id 1;",
            r"Line 3 .* looks like GTF or GFF: their starts count from 1.*\$4 - 1",
        ),
        (b"\t1\t5", "Line 3 .* names no contig"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, line: bytes, message: str) -> None:
    with pytest.raises(BedError, match=message):
        read(tmp_path, b"# comment\nchr1\t1\t2\n" + line + b"\nchr1\t1\t2\n")


def test_further_numbers_are_no_strand_and_that_is_said(tmp_path: Path) -> None:
    text = b"chr1\t0\t5\t0.1\t0.2\t+\nchr1\t5\t9\t0.1\t0.2\t0.3\nchr1\t6\t9\t0.1\t0.2\t0.4\n"
    with pytest.warns(UserWarning, match=r"sixth column of .*r.bed is no strand everywhere \('0.3' in line 2\)"):
        found = read(tmp_path, text)
    assert [region[4] for region in found] == ["+", ".", "."]


def test_a_bed_file_from_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(b"chr1\t1\t2\n" * 9999,))
    writer.start()
    assert len(read_regions(tmp_path / "pipe")) == 9999
    writer.join()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BedError, match="none.bed cannot be read .No such file"):
        read_regions(tmp_path / "none.bed")


@pytest.mark.parametrize("text", [b"", b"# nothing\n", b"track\n\n"])
def test_no_region_is_an_error(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(BedError, match="r.bed holds no region"):
        read(tmp_path, text)


def test_cut_files_are_refused(tmp_path: Path) -> None:
    whole = gzip.compress(b"".join(b"chr1\t%d\t%d\t%x\n" % (i, i + 1, i * 7919**3) for i in range(5000)))
    with pytest.raises(BedError, match="cut or damaged after line [1-9]"):
        read(tmp_path, whole[: len(whole) // 2])
