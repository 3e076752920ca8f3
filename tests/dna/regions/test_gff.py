"""Features of GFF and GTF files as stretches."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from r2mae_bio.dna.regions._gff import is_gff, read_features
from r2mae_bio.errors import BedError

TEXT = (
    "##gff-version 3\n##sequence-region 1 1 900\n"
    "1\tRefSeq\tregion\t1\t900\t.\t+\t.\tID=1:1..900\n"
    "1\tRefSeq\tgene\t11\t20\t.\t+\t.\tID=a\n\n"
    "1\tRefSeq\tCDS\t11\t11\t.\t-\t0\tParent=a\r\n"
    "###\n##FASTA\n>1\nACGT\n"
)


@pytest.mark.parametrize("packed", [False, True])
def test_starts_count_from_0_and_whole_sequences_are_no_features(tmp_path: Path, packed: bool) -> None:
    path = tmp_path / ("a.gff3.gz" if packed else "a.gff3")
    path.write_bytes(gzip.compress(TEXT.encode()) if packed else TEXT.encode())
    assert read_features(path).to_numpy().tolist() == [["1", 10, 20, "gene"], ["1", 10, 11, "CDS"]]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.gff3.gz", True), ("b.GTF", True), (Path("x/c.gff"), True), ("a.bed", False), ("gff", False), ([("a.gff", 1, 2)], False)],
)
def test_the_name_says_the_form(name: object, expected: bool) -> None:
    assert is_gff(name) is expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1\t10\t20\n", "Line 1"),
        ("1\ta\tgene\t0\t20\t.\t+\t.\tx\n", "Line 1"),
        ("#\n1\ta\tgene\t30\t20\t.\t+\t.\tx\n", "Line 2"),
        ("##gff-version 3\n", "no feature"),
    ],
)
def test_what_is_no_feature_is_named_by_line(tmp_path: Path, text: str, found: str) -> None:
    path = tmp_path / "a.gff"
    path.write_text(text)
    with pytest.raises(BedError, match=found):
        read_features(path)


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.gff.gz"
    path.write_bytes(gzip.compress(b"1\ta\tgene\t1\t20\t.\t+\t.\tx\n" * 99)[:-20])
    with pytest.raises(BedError, match="cut or damaged"):
        read_features(path)
