"""Variants as pysam and bcftools read, write and check them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from Bio import bgzf

from r2mae_bio._rng import derive_generator
from r2mae_bio.io import Genome, GenomeReference, classify_alleles, read_variants

from .conftest import run, score

if TYPE_CHECKING:
    from pathlib import Path

pysam = pytest.importorskip("pysam", reason="pysam, which brings bcftools, is the oracle here")
SYMBOLIC = ("<DEL>", "*", "N[chr2:5[")


@pytest.fixture
def genome(tmp_path: Path) -> Path:
    """Two contigs; lower case and N in the first."""
    rng = derive_generator(0, "outside readers")
    first, second = ("".join(rng.choice(list("ACGT"), n)) for n in (600, 300))
    first = first[:100] + first[100:200].lower() + "N" * 20 + first[220:]
    (tmp_path / "genome.fa").write_text(f">chr1\n{first}\n>chr2\n{second}\n")
    return tmp_path / "genome.fa"


def make_vcf(path: Path, genome: Path, *, mode: str = "w", n: int = 300, damage: float = 0.3) -> list[tuple]:
    """Records in order of position, written by pysam; a share of REFs is not what the genome holds.

    Returns chromosome, position, identifier, REF and ALTs of each.
    """
    rng = derive_generator(1, "outside readers")
    rows = []
    with pysam.FastaFile(str(genome)) as fasta:
        header = pysam.VariantHeader()
        header.info.add("END", 1, "Integer", "last base of a symbolic allele")  # pysam writes it with <DEL>
        for chrom, length in zip(fasta.references, fasta.lengths, strict=True):
            header.contigs.add(chrom, length=length)
            for start in np.sort(rng.integers(0, length - 6, n // 2)).tolist():
                ref = fasta.fetch(chrom, start, start + int(rng.integers(1, 5))).upper()
                if rng.random() < damage:
                    ref = "".join(rng.choice(list("ACGT"), len(ref)))
                alts = ["".join(rng.choice(list("ACGT"), rng.integers(1, 4))) for _ in range(rng.integers(1, 4))]
                alts = [alt for alt in dict.fromkeys(alts) if alt != ref] or ["<DEL>"]
                if rng.random() < 0.1:
                    alts.append(str(rng.choice(SYMBOLIC[:2])))
                rows.append((chrom, start + 1, f"v{len(rows)}", ref, tuple(alts)))
    with pysam.VariantFile(str(path), mode, header=header) as out:
        for chrom, pos, name, ref, alts in rows:
            out.write(out.new_record(contig=chrom, start=pos - 1, alleles=(ref, *alts), id=name))
    return rows


def records_of(path: Path) -> list[tuple]:
    with pysam.VariantFile(str(path)) as file:
        return [(r.chrom, r.pos, r.id or ".", r.ref, r.alts) for r in file]


def alleles_of(path: Path, *, batch_size: int = 7) -> list[tuple]:
    """One row for each alternate allele, as this package reads them."""
    rows = []
    for batch in read_variants(path, batch_size=batch_size):
        names = [batch.id[record] for record in batch.record.tolist()]
        rows += zip(batch.allele_chrom, batch.allele_pos.tolist(), names, batch.allele_ref, batch.alt, strict=True)
    return rows


def by_allele(records: list[tuple]) -> list[tuple]:
    return [(chrom, pos, name, ref, alt) for chrom, pos, name, ref, alts in records for alt in alts]


@pytest.mark.parametrize(("name", "mode"), [("in.vcf", "w"), ("in.vcf.gz", "wz")])
def test_what_pysam_writes_is_read(tmp_path: Path, genome: Path, name: str, mode: str) -> None:
    rows = make_vcf(tmp_path / name, genome, mode=mode)
    assert records_of(tmp_path / name) == rows
    assert alleles_of(tmp_path / name) == by_allele(rows)
    assert read_variants(tmp_path / name).header.contigs == {"chr1": 600, "chr2": 300}


@pytest.mark.parametrize("tool", ["htslib", "Biopython"])
def test_bgzip_of_others_is_read(tmp_path: Path, source: Path, tool: str) -> None:
    packed = tmp_path / "packed.vcf.gz"
    if tool == "htslib":
        pysam.tabix_compress(str(source), str(packed))
    else:
        with bgzf.BgzfWriter(packed, "wb") as out:
            out.write(source.read_bytes())
    assert alleles_of(packed) == alleles_of(source) == by_allele(records_of(packed))


def as_pysam(column: Any, place: slice) -> list:
    """Values of the alleles of one record, missing ones as None, numbers with six digits."""
    values = [None if value is np.ma.masked or value != value else value for value in column[place]]
    return [pytest.approx(value, rel=5e-6) if isinstance(value, np.floating) else value for value in values]


@pytest.mark.parametrize("name", ["out.vcf", "out.vcf.gz"])
def test_pysam_reads_the_values_that_were_written(tmp_path: Path, source: Path, name: str) -> None:
    run(tmp_path / name, source)
    (whole,) = read_variants(source)
    expected, place = score(whole), 0
    with pysam.VariantFile(str(tmp_path / name)) as file:
        assert file.header.info["LLR"].number == "A"
        assert file.header.info["RANK"].type == "Integer"
        for record in file:
            here = slice(place, place + len(record.alts))
            for key, column in expected.items():
                found = [None if value == "." else value for value in record.info[key]]  # of text, it gives the dot
                assert found == as_pysam(column, here), (record.pos, key)
            place = here.stop
    assert place == whole.n_alleles
    assert records_of(tmp_path / name) == records_of(source)


def test_tabix_finds_what_was_written(tmp_path: Path, source: Path) -> None:
    run(tmp_path / "out.vcf.gz", source)
    pysam.tabix_index(str(tmp_path / "out.vcf.gz"), preset="vcf")
    with pysam.VariantFile(str(tmp_path / "out.vcf.gz")) as file:
        assert [r.pos for r in file.fetch("1", 49, 90)] == list(range(50, 91))
        assert [r.pos for r in file.fetch("1", 156, 1000)] == [157]
    with pysam.TabixFile(str(tmp_path / "out.vcf.gz")) as file:
        assert file.contigs == ["1"]


def statuses_of(vcf: Path, genome: Path) -> list[tuple[str, str, str]]:
    """Identifier, ALT and status of each allele."""
    reference = GenomeReference(Genome(genome, cache_dir=genome.parent / "cache"))
    rows = []
    for batch in read_variants(vcf):
        found = classify_alleles(batch, reference.fetch, contig_lengths=reference.contig_lengths)
        names = [batch.id[record] for record in batch.record.tolist()]
        rows += zip(names, batch.alt, (str(status) for status in found), strict=True)
    return rows


def test_statuses_are_those_of_an_indexed_fasta(tmp_path: Path, genome: Path) -> None:
    rows = make_vcf(tmp_path / "in.vcf", genome)
    expected = []
    with pysam.FastaFile(str(genome)) as fasta:
        for chrom, pos, name, ref, alts in rows:
            held = fasta.fetch(chrom, pos - 1, pos - 1 + len(ref)).upper()
            for alt in alts:
                known = set(held + ref + alt) <= set("ACGT")
                verdict = "ok" if held == ref else "ref_mismatch"
                status = "symbolic" if alt in SYMBOLIC else verdict if known else "ambiguous_base"
                expected.append((name, alt, status))
    assert statuses_of(tmp_path / "in.vcf", genome) == expected
    assert {status for *_, status in expected} == {"ok", "ref_mismatch", "symbolic", "ambiguous_base"}


def test_reference_checks_are_those_of_bcftools(tmp_path: Path, genome: Path) -> None:
    """``bcftools norm --check-ref x`` leaves out what the reference contradicts. It takes N for any
    base, which here is a reason of its own; where it moves indels to, is not looked at.
    """
    bcftools = pytest.importorskip("pysam.bcftools")
    make_vcf(tmp_path / "in.vcf", genome)
    kept = bcftools.norm("-c", "x", "-f", str(genome), str(tmp_path / "in.vcf")).splitlines()
    kept = {line.split("\t")[2] for line in kept if not line.startswith("#")}
    statuses = [row for row in statuses_of(tmp_path / "in.vcf", genome) if row[2] in ("ok", "ref_mismatch")]
    assert [name in kept for name, *_ in statuses] == [status == "ok" for *_, status in statuses]
    assert len({status for *_, status in statuses}) == 2
