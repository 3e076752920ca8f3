"""MAF as a stream: every row checked, every error with file, block and line."""

from __future__ import annotations

import gzip

import pytest

from r2mae_bio._lines import BGZF_END, compress_bgzf
from r2mae_bio.dna.alignment._maf import Row, read_blocks
from r2mae_bio.errors import MafError

from .conftest import HEAD, block

GOOD = block("ref.1 0 4 + 9 ACGT", "b.2 5 3 - 9 a-nt")


def test_rows_are_read_as_they_are_shown(write) -> None:
    (found,) = read_blocks(write("# of a program\n", GOOD))
    assert (found.number, found.line) == (1, 3)
    assert found.rows == [Row("ref.1", 0, 4, False, 9, b"ACGT"), Row("b.2", 5, 3, True, 9, b"A-NT")]


def test_other_lines_are_passed_over(write) -> None:
    text = "a pass=2\ns ref.1 0 2 + 9 AC\nq ref.1 99\ni ref.1 N 0 C 0\n# note\ns b.2 0 2 + 9 AC\ne c.3 0 4 + 9 I\na\ns ref.1 2 1 + 9 G\n"
    blocks = list(read_blocks(write(text, "\n\na score=3\n\n##eof maf\n")))
    assert [(b.number, b.line, [row.source for row in b.rows]) for b in blocks] == [(1, 2, ["ref.1", "b.2"]), (2, 9, ["ref.1"])]


def test_tabs_line_ends_and_a_track_line(write) -> None:
    text = GOOD.replace(" ", "\t").replace("\n", "\r\n")
    blocks = list(read_blocks(write(text, head="track name=x mafDot=off\n##maf version=1\r\n")))
    assert [row.text for row in blocks[0].rows] == [b"ACGT", b"A-NT"]


@pytest.mark.parametrize("compress", [gzip.compress, lambda text: compress_bgzf(text) + BGZF_END], ids=["gzip", "bgzip"])
def test_compressed_files_are_told_by_content(write, compress) -> None:
    path = write(GOOD, GOOD)
    plain = list(read_blocks(path))
    path.write_bytes(compress(path.read_bytes()))
    assert list(read_blocks(path)) == plain


BAD = {
    "ref.1 0 4 + 9 ACG": "has 3 bases, its size says 4",
    "ref.1 0 4 + 9 ACG-": "has 3 bases, its size says 4",
    "ref.1 6 4 + 9 ACGT": "lies at 6 to 10 of a contig of 9 bases",
    "ref.1 6 4 - 9 ACGT": "lies at 6 to 10 of a contig of 9 bases",
    "ref.1 0 4 + 9": "has 6 fields; needed are 7",
    "ref.1 0 4 + 9 AC GT": "has 8 fields; needed are 7",
    "ref.1 -1 4 + 9 ACGT": "whole numbers for start",
    "ref.1 x 4 + 9 ACGT": "whole numbers for start",
    "ref.1 0 4 * 9 ACGT": r"a strand \+ or -",
    "ref.1 0 4 + 9 AC.T": "holds '.'; .* without mafDot",
    "ref.1 0 4 + 9 ACXT": "holds 'X'; .* Correct the file",
    "ref.1 0 4 + 9 ACÄT": "holds 'Ã'",
}


@pytest.mark.parametrize(("row", "problem"), BAD.items(), ids=BAD)
def test_rows_that_cannot_be(write, row, problem) -> None:
    path = write(GOOD, block(row))
    with pytest.raises(MafError, match=rf"toy\.maf, block 2 \(line 6\): .*{problem}"):
        list(read_blocks(path))


def test_rows_of_unequal_length(write) -> None:
    with pytest.raises(MafError, match=r"block 1 \(line 2\): the row of b\.2 has 3 columns, the first row 4"):
        list(read_blocks(write(block("ref.1 0 4 + 9 ACGT", "b.2 0 3 + 9 ACG"))))


def test_a_row_outside_of_a_block(write) -> None:
    with pytest.raises(MafError, match=r"block 1 .*line 6 is a row outside of a block"):
        list(read_blocks(write(GOOD, "s ref.1 0 1 + 9 A\n")))


@pytest.mark.parametrize(("text", "problem"), [("", "is empty"), (">chr1\nACGT\n", "begins with '>chr1")])
def test_other_files_are_refused(write, text, problem) -> None:
    with pytest.raises(MafError, match=f"{problem}.*needed is a MAF file"):
        list(read_blocks(write(head=text)))


@pytest.mark.parametrize("keep", [0.4, 0.9])
def test_a_cut_gzip_file_says_how_far_it_is_good(write, keep) -> None:
    path = write(*(block(f"ref.1 {i} 1 + 99999 {'ACGT'[i * i % 4]}") for i in range(5000)))
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed[: int(keep * len(packed))])
    numbers = []
    with pytest.raises(MafError, match=r"block \d+ .*cut or damaged"):
        numbers += (found.number for found in read_blocks(path))
    assert HEAD.startswith("##maf")


def test_a_cut_plain_file_is_found_in_its_last_row(write) -> None:
    path = write(GOOD)
    path.write_text(path.read_text()[:-4])
    with pytest.raises(MafError, match="the file was cut"):
        list(read_blocks(path))
