"""``r2mae score``: files and streams hold the same records, and an interrupted run goes on."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Any

import pytest

from r2mae_bio import tl
from r2mae_bio.dna.scoring import _output
from r2mae_bio.model import DNAMAE

_NUMBER = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
ARGS = ["score", "cohort.vcf.gz", "genome.fa.gz", "--model", "dna_model"]


def test_it_writes_what_python_writes(folder: Path, r2mae: Any) -> None:
    assert r2mae(*ARGS, "--out", "scored.vcf.gz", "--prefix", "TOY")[0] == 0
    tl.score_variants("cohort.vcf.gz", "genome.fa.gz", "dna_model", out="python.vcf.gz", prefix="TOY", progress_bar=False)
    assert Path("scored.vcf.gz").read_bytes() == Path("python.vcf.gz").read_bytes()
    code, out, _ = r2mae(*ARGS, "--out", "-", "--prefix", "TOY")
    assert code == 0
    assert out.encode() == gzip.decompress(Path("scored.vcf.gz").read_bytes())


def test_variants_may_come_through_a_pipe(folder: Path, r2mae: Any) -> None:
    assert r2mae(*ARGS, "--out", "scored.vcf")[0] == 0
    read, write = os.pipe()
    os.write(write, gzip.decompress(Path("cohort.vcf.gz").read_bytes()))  # as zcat would, and little enough for one write
    os.close(write)
    before = os.dup(0)
    try:
        os.dup2(read, 0)
        code, out, err = r2mae("score", "-", *ARGS[2:], "--out", "-")
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(read)
    assert code == 0, err
    assert out == Path("scored.vcf").read_text()


def cut(r2mae: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[int, str, str]:
    """A run into cut.vcf that is interrupted at its third reading."""
    monkeypatch.setattr(_output, "RECORDS", 4)
    read, calls = DNAMAE.read_windows, []

    def interrupted(self: DNAMAE, *args: Any, **kwargs: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return read(self, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(DNAMAE, "read_windows", interrupted)
        return r2mae(*ARGS, "--out", "cut.vcf")


def test_an_interrupted_run_goes_on(folder: Path, r2mae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, err = cut(r2mae, monkeypatch)
    assert code == 130
    assert err.splitlines()[-1].startswith("interrupted")
    assert not Path("cut.vcf").exists()
    assert r2mae(*ARGS, "--out", "cut.vcf")[0] == 0
    assert r2mae(*ARGS, "--out", "whole.vcf")[0] == 0
    assert Path("cut.vcf").read_bytes() == Path("whole.vcf").read_bytes()


def test_a_part_of_another_run_is_refused_with_the_option_that_begins_anew(
    folder: Path, r2mae: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cut(r2mae, monkeypatch)[0] == 130
    code, _, err = r2mae(*ARGS, "--prefix", "TOY", "--out", "cut.vcf")
    assert code == 1
    assert "Begin anew with --no-resume, or remove cut.vcf.part and cut.vcf.part.json." in err
    assert r2mae(*ARGS, "--prefix", "TOY", "--out", "cut.vcf", "--no-resume")[0] == 0


def test_a_region_and_bcf(folder: Path, r2mae: Any) -> None:
    bcftools = pytest.importorskip("pysam.bcftools", reason="pysam reads and writes BCF")
    assert r2mae(*ARGS, "--out", "whole.vcf")[0] == 0
    code, out, err = r2mae(*ARGS, "--region", "1:103-105", "--out", "-")
    assert code == 0, err
    kept = [line for line in Path("whole.vcf").read_text().splitlines() if line.split("\t")[1:2] in (["103"], ["104"], ["105"])]
    found = [line for line in out.splitlines() if line[0] != "#"]
    assert [_NUMBER.sub("0.", line) for line in found] == [_NUMBER.sub("0.", line) for line in kept]
    numbers = [[float(number) for line in lines for number in _NUMBER.findall(line)] for lines in (found, kept)]
    assert numbers[0] == pytest.approx(numbers[1], abs=1e-5)  # minibatches are others, and so is the rounding
    assert r2mae(*ARGS, "--out", "whole.bcf")[0] == 0
    assert bcftools.view("-H", "whole.bcf") == bcftools.view("-H", "whole.vcf")
    assert r2mae(*ARGS, "--region", "chr9:1-5", "--out", "none.vcf")[0] == 1
