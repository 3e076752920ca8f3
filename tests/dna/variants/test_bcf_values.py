"""Numbers that BCF does not hold are counted, and no others: htslib itself is the oracle."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import pytest

from r2mae_bio.dna.variants._bcf import write_bcf
from r2mae_bio.dna.variants._bcf_values import NumbersInBcf

if TYPE_CHECKING:
    from pathlib import Path

HEADER = """\
##fileformat=VCFv4.3
##INFO=<ID=I,Number=.,Type=Integer,Description="x">
##INFO=<ID=F,Number=.,Type=Float,Description="x">
##INFO=<ID=S,Number=.,Type=String,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
##FORMAT=<ID=DP,Number=.,Type=Integer,Description="x">
##contig=<ID=1>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1\tS2
"""
ROW = "1\t10\t.\tA\tC\t{}\t.\t{}\tGT:DP\t0/1:3\t0/1:{}\n"
HELD = [
    *["I=1", "I=-5,2147483647", "I=-2147483640", "I=.", "I=1,.", "S=1.5", "S=many", ".", "Z=1.5", "I=+5"],
    *["F=1.5", "F=.5", "F=1e-30", "F=-3e38", "F=nan", "F=.", "F=0.1234567891234", "F=0", "F=-inf", "F=1e-37"],
]
CHANGED = [
    *["I=1.5", "I=3000000000", "I=many", "I=1,x", "I=1e3", "I=-2147483641", "S=a;I=9999999999", "I=0x10"],
    *["F=many", "F=1e39", "F=1.5x", "F=1e-300", "F=1,y"],
]


def count(*rows: str) -> NumbersInBcf:
    numbers = NumbersInBcf(HEADER.encode().splitlines())
    numbers.add(row.encode() for row in rows)
    return numbers


@pytest.mark.parametrize("info", HELD)
def test_what_is_held_is_not_counted(info: str) -> None:
    assert count(ROW.format("50.0", info, "4")).n_changed == 0


@pytest.mark.parametrize("info", CHANGED)
def test_what_is_not_held_is_counted(info: str) -> None:
    assert count(ROW.format("50.0", info, "4")).n_changed == 1


def test_qual_and_samples_too() -> None:
    assert count(ROW.format(".", ".", "."), ROW.format("1e-5", ".", "2147483647")).n_changed == 0
    numbers = count(ROW.format("1", ".", "1"), ROW.format("1", ".", "1,4000000000"), ROW.format("high", ".", "1"))
    assert (numbers.n_records, numbers.n_changed) == (3, 2)
    with pytest.warns(UserWarning, match=r"2 of 3 records .* record 2 \(1:10\) with DP=1,4000000000 of a sample\. Write .vcf.gz"):
        numbers.report()


def test_a_header_says_what_is_a_number() -> None:
    numbers = NumbersInBcf([])
    numbers.add([ROW.format(".", "I=1.5", "9999999999").encode()])
    assert numbers.n_changed == 0


@pytest.mark.parametrize(("info", "told"), [*((info, False) for info in HELD), *((info, True) for info in CHANGED)])
def test_htslib_keeps_what_is_held_and_changes_what_is_not(tmp_path: Path, info: str, told: bool) -> None:
    bcftools = pytest.importorskip("pysam.bcftools")
    text = tmp_path / "in.vcf"
    text.write_text(HEADER + ROW.format("50", info, "4"))
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        write_bcf(text, tmp_path / "out.bcf")
    assert bool(seen) == told
    found = bcftools.view("-H", str(tmp_path / "out.bcf")).split("\t")[7]
    same = [_number(one) for one in found.split("=")[-1].split(",")] == [_number(one) for one in info.split("=")[-1].split(",")]
    assert same == (not told)


def _number(text: str) -> str:
    """As htslib writes it."""
    try:
        return f"{float(text):.6g}" if "." in text or "e" in text or text[0] == "+" else text
    except ValueError:
        return text
