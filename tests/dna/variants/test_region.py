"""Records of a region: the same by an index and without one, and those of bcftools."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.variants import _region
from r2mae_bio.errors import RegionError, UnknownContigError, VcfError
from r2mae_bio.io import Genome, read_variants

if TYPE_CHECKING:
    from pathlib import Path

HEADER = (
    '##fileformat=VCFv4.3\n##INFO=<ID=END,Number=1,Type=Integer,Description="x">\n##INFO=<ID=XEND,Number=1,Type=Integer,Description="x">\n'
    "##contig=<ID=1,length={length}>\n##contig=<ID=chr2>\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
)
FAR = 600_000_000
"""Beyond what a .tbi can hold, 2**29."""


def rows(n: int = 300, *, shift: int = 0) -> list[str]:
    """Bases, deletions and blocks, in order."""
    rng = derive_generator(0, "region")
    found = []
    for chrom in ("1", "chr2"):
        for pos in sorted(rng.integers(1, 2000, n).tolist()):
            length = int(rng.integers(1, 9))
            at = pos + shift
            kind = int(rng.integers(0, 3))
            info = f"XEND={at + 500}" if kind else f"END={at + int(rng.integers(0, 120))}"
            ref, alt = ("A" * length, "AT") if kind else ("A", "<NON_REF>")
            found.append(f"{chrom}\t{at}\t.\t{ref}\t{alt}\t.\t.\t{info}")
    return found


def write(path: Path, *, shift: int = 0) -> Path:
    path.write_text(HEADER.format(length=FAR + 5000) + "\n".join(rows(shift=shift)) + "\n")
    return path


def lines(source: Any, **options: Any) -> list[str]:
    return [line.decode() for batch in read_variants(source, batch_size=7, **options) for line in batch.lines]


def expected(chrom: str, first: int, last: int, *, shift: int = 0) -> list[str]:
    """By the definition, positions from 1, both included."""
    kept = []
    for row in rows(shift=shift):
        name, pos, _, ref, _, _, _, info = row.split("\t")
        end = max(int(pos) + len(ref) - 1, int(info[4:]) if info.startswith("END") else 0)
        if name == chrom and int(pos) <= last and end >= first:
            kept.append(row)
    return kept


REGIONS = [
    ("1", 1, 5000),
    ("1", 500, 700),
    ("1", 1999, 2600),
    ("1", 777, 777),
    ("chr2", 1, 300),
    ("chr2", 4000, 4001),
    ("3", 1, 9),
]


@pytest.mark.parametrize(("chrom", "first", "last"), REGIONS)
def test_a_file_read_through_gives_what_overlaps(tmp_path: Path, chrom: str, first: int, last: int) -> None:
    path = write(tmp_path / "in.vcf")
    assert lines(path, region=f"{chrom}:{first}-{last}") == expected(chrom, first, last)
    assert lines(path, region=(chrom, first - 1, last)) == expected(chrom, first, last)


@pytest.mark.parametrize(("kind", "shift"), [("tbi", 0), ("csi", 0), ("csi", FAR), ("bcf", 0), ("bcf", FAR)])
def test_an_index_gives_the_same_records_and_those_of_bcftools(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, shift: int
) -> None:
    pysam = pytest.importorskip("pysam", reason="pysam reads indices")
    bcftools = pytest.importorskip("pysam.bcftools")
    plain = write(tmp_path / "in.vcf", shift=shift)
    path = tmp_path / ("in.bcf" if kind == "bcf" else "in.vcf.gz")
    bcftools.view("--no-version", "-Ob" if kind == "bcf" else "-Oz", "-o", str(path), str(plain), catch_stdout=False)
    bcftools.index(*(["-t"] if kind == "tbi" else ["-c"]), str(path))
    used = []
    opened = _region.indexed_lines
    monkeypatch.setattr(
        "r2mae_bio.dna.variants._vcf_read.indexed_lines", lambda *args, **options: used.append(args) or opened(*args, **options)
    )
    for chrom, first, last in REGIONS:
        first, last = first + shift, last + shift
        region = f"{chrom}:{first}-{last}"
        found = lines(path, region=region)
        assert found == expected(chrom, first, last, shift=shift)
        if chrom != "3":
            assert found == bcftools.view("-H", "-r", region, str(path)).splitlines()
        indexed = read_variants(path, region=region)
        with monkeypatch.context() as patch:
            patch.setattr("r2mae_bio.dna.variants._vcf_read.index_of", lambda path: None)
            streamed = read_variants(path, region=region)
        assert [line for b in streamed for line in b.lines] == [line.encode() for line in found]
        assert indexed.fingerprint() == streamed.fingerprint()
        assert [line for b in indexed.batches(skip=len(found) // 2) for line in b.lines] == [
            line.encode() for line in found[len(found) // 2 :]
        ]
    assert used
    assert pysam.__version__


def test_an_index_older_than_the_file_is_not_believed(tmp_path: Path) -> None:
    bcftools = pytest.importorskip("pysam.bcftools", reason="bcftools makes the index")
    path = tmp_path / "in.vcf.gz"
    bcftools.view("-Oz", "-o", str(path), str(write(tmp_path / "in.vcf")), catch_stdout=False)
    bcftools.index("-t", str(path))
    assert _region.index_of(path) == tmp_path / "in.vcf.gz.tbi"
    os.utime(tmp_path / "in.vcf.gz.tbi", (1, 1))
    assert _region.index_of(path) is None
    assert lines(path, region="1:500-700") == expected("1", 500, 700)


def test_names_that_a_genome_knows_are_understood(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(">NC_1.1\nACGTACGT\n>chr2\nACGT\n")
    (tmp_path / "report.txt").write_text("# Sequence-Name\tRefSeq-Accn\n1\tNC_1.1\n2\tchr2\n")
    genome = Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache", synonyms=tmp_path / "report.txt")
    path = write(tmp_path / "in.vcf")
    for name, mine in (("NC_1.1", "1"), ("1", "1"), ("2", "chr2")):
        assert lines(path, region=f"{name}:500-700", genome=genome) == expected(mine, 500, 700)
    assert lines(path, region="2:500-700") == []
    with pytest.raises(UnknownContigError):
        read_variants(path, region="chr3:1-9", genome=genome)
    with pytest.raises(RegionError):
        read_variants(path, region="chr2", genome=genome)


def test_a_table_has_regions_as_well() -> None:
    table = pd.DataFrame([row.split("\t")[:5] for row in rows()], columns=["chrom", "pos", "id", "ref", "alt"])
    found = lines(table, region="1:500-700")
    wanted = [(r[0], int(r[1]), r[3]) for r in table.itertuples(index=False) if r[0] == "1" and int(r[1]) <= 700]
    assert len(found) == sum(pos + len(ref) - 1 >= 500 for _, pos, ref in wanted) > 10
    assert read_variants(table, region="1:500-700").fingerprint() != read_variants(table).fingerprint()


def test_what_is_no_record_is_named_by_its_line(tmp_path: Path) -> None:
    path = tmp_path / "in.vcf"
    path.write_text(HEADER.format(length=9) + "1\t5\t.\tA\tC\t.\t.\t.\n1\tx\t.\tA\tC\t.\t.\t.\n")
    with pytest.raises(VcfError, match=r"Line 8 of the part 1:1-9 of .*position 'x'"):
        lines(path, region="1:1-9")
