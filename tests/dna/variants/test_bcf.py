"""BCF: the records that bcftools sees in it, in and out."""

from __future__ import annotations

import os
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from r2mae_bio.dna.variants import _bcf
from r2mae_bio.errors import ConfigError, VcfError
from r2mae_bio.io import read_variants

from .conftest import leftovers, open_writer, run, score

if TYPE_CHECKING:
    from pathlib import Path

pysam = pytest.importorskip("pysam", reason="pysam, which brings bcftools, reads and writes BCF")
bcftools = pytest.importorskip("pysam.bcftools")

DECLARED = """\
##fileformat=VCFv4.3
##FILTER=<ID=PASS,Description="All filters passed">
##FILTER=<ID=q10,Description="x">
##INFO=<ID=END,Number=1,Type=Integer,Description="x">
##INFO=<ID=AC,Number=A,Type=Integer,Description="x">
##INFO=<ID=TXT,Number=.,Type=String,Description="x">
##FORMAT=<ID=GT,Number=1,Type=String,Description="x">
##contig=<ID=1,length=900000000>
##contig=<ID=2>
#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS1
"""
ROWS = [
    "1\t10\trs1\tA\tC\t50\tPASS\tAC=1;TXT=a,b\tGT\t0|1",
    "1\t20\t.\tN\t<NON_REF>\t.\tq10\tEND=30\tGT\t./.",
    "1\t40\t.\tACG\tA,*\t0.5\t.\tAC=1,2\tGT\t1|2",
    "1\t800000000\t.\tC\tC[2:5[\t.\t.\t.\tGT\t0/1",
    "2\t7\t.\tG\tT\t1e-05\t.\tTXT=\u00e9\tGT\t0/0",
]


@pytest.fixture
def vcf(tmp_path: Path) -> Path:
    path = tmp_path / "in.vcf"
    path.write_text(DECLARED + "\n".join(ROWS) + "\n", encoding="utf-8")
    return path


def as_bcf(vcf: Path, *, compressed: bool = True) -> Path:
    path = vcf.with_suffix(".bcf")
    bcftools.view("--no-version", "-Ob" if compressed else "-Ou", "-o", str(path), str(vcf), catch_stdout=False)
    return path


def records(path: Path) -> list[str]:
    """What bcftools makes of a file."""
    return bcftools.view("-H", str(path)).splitlines()


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("batch_size", [2, 100])
def test_records_are_those_of_bcftools(vcf: Path, compressed: bool, batch_size: int) -> None:
    reader = read_variants(as_bcf(vcf, compressed=compressed), batch_size=batch_size)
    batches = list(reader)
    assert [line.decode() for batch in batches for line in batch.lines] == records(vcf) == ROWS
    assert [batch.start for batch in batches] == list(range(0, len(ROWS), batch_size))
    assert reader.header.contigs == {"1": 900_000_000, "2": None}
    assert reader.header.n_samples == 1
    assert [line for batch in reader.batches(skip=2) for line in batch.lines] == [row.encode() for row in ROWS[2:]]


def test_bcf_comes_through_a_pipe(vcf: Path) -> None:
    pipe = vcf.with_name("pipe")
    os.mkfifo(pipe)
    data = as_bcf(vcf).read_bytes()
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    reader = read_variants(pipe)
    writer.join()
    assert [line.decode() for batch in reader for line in batch.lines] == ROWS


@pytest.mark.parametrize("keep", [0.5, -29, -28])
def test_a_cut_file_is_refused(vcf: Path, keep: float) -> None:
    data = as_bcf(vcf).read_bytes()
    cut = vcf.with_name("cut.bcf")
    cut.write_bytes(data[: int(keep * len(data)) if keep > 0 else int(keep)])
    with pytest.raises(VcfError, match="was cut"):
        read_variants(cut)


def test_a_damaged_record_says_how_many_were_read(tmp_path: Path) -> None:
    rows = [f"1\t{i}\t.\tA\tC\t.\t.\tTXT={i * 7919 % 1000003}x{i**3 % 99991}\tGT\t0|1" for i in range(1, 40_000)]
    (tmp_path / "in.vcf").write_text(DECLARED + "\n".join(rows) + "\n")
    path = as_bcf(tmp_path / "in.vcf")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(VcfError, match=r"cut or damaged .*: \d+ records could be read"):
        sum(batch.n_records for batch in read_variants(path))


def test_output_has_the_values_and_everything_that_was_there(vcf: Path, tmp_path: Path) -> None:
    """Also interrupted, and from BCF to BCF."""
    source = as_bcf(vcf)
    run(tmp_path / "whole.vcf", vcf)
    with pytest.raises(InterruptedError):
        run(tmp_path / "out.bcf", source, stop=1, batch_size=2)
    run(tmp_path / "out.bcf", source, batch_size=2)
    assert not leftovers(tmp_path / "out.bcf")
    assert records(tmp_path / "out.bcf") == records(tmp_path / "whole.vcf")
    (whole,) = read_variants(vcf)
    values = score(whole)
    with pysam.VariantFile(str(tmp_path / "out.bcf")) as file:
        found = [value for record in file for value in record.info["LLR"]]
    assert found == [None if x != x else pytest.approx(x, rel=5e-6) for x in values["LLR"].tolist()]


def test_what_is_not_declared_is_declared(source: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A header without contigs, as tables give it; filters and fields that nobody declared."""
    text = source.read_text().replace("\t.\t.\tAC=0", "\t.\tq10\tEND=9;ZZ=3")
    source.write_text(text)
    run(tmp_path / "out.bcf", source)
    run(tmp_path / "out.vcf", source)
    assert records(tmp_path / "out.bcf") == [line for line in (tmp_path / "out.vcf").read_text().splitlines() if line[0] != "#"]
    with pysam.VariantFile(str(tmp_path / "out.bcf")) as file:
        assert list(file.header.contigs) == ["1"]
        assert file.header.info["END"].type == "Integer"
    assert "not defined" not in capfd.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.vcf", "out.bcf", "out.vcf"]


def test_without_pysam_it_is_said_before_any_work(vcf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = as_bcf(vcf)
    reader = read_variants(vcf)
    monkeypatch.setitem(sys.modules, "pysam", None)
    with pytest.raises(ConfigError, match=r"r2mae_bio\[bcf\]"):
        read_variants(path)
    with pytest.raises(ConfigError, match=r"r2mae_bio\[bcf\]"):
        open_writer(vcf.with_name("out.bcf"), reader)
    assert not _bcf.has_pysam()
    assert sorted(p.name for p in vcf.parent.iterdir()) == ["in.bcf", "in.vcf"]


def test_records_that_htslib_refuses_leave_the_work_that_was_done(vcf: Path, tmp_path: Path) -> None:
    """A number and a genotype that are none can be kept in text alone."""
    vcf.write_text(DECLARED + "1\t10\t.\tA\tC\t.\t.\tAC=many\tGT\tx|y\n")
    reader = read_variants(vcf)
    writer = open_writer(tmp_path / "out.bcf", reader)
    (batch,) = reader
    writer.write(batch, score(batch))
    with (
        pytest.warns(UserWarning, match=r"1 of 1 records hold numbers that BCF cannot.* AC=many"),
        pytest.raises(VcfError, match=r"out\.bcf\.part has all of them: give it a name that ends in \.vcf"),
    ):
        writer.finish()
    run(tmp_path / "out.vcf", vcf)
    assert (tmp_path / "out.bcf.part").read_bytes() == (tmp_path / "out.vcf").read_bytes()
    assert not (tmp_path / "out.bcf").exists()
