"""Real variants: read and written unchanged, and checked against the genome they belong to."""

from __future__ import annotations

import gzip
import shutil
from collections import Counter
from os.path import commonprefix
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from Bio import SeqIO

from r2mae_bio.io import (
    Genome,
    GenomeReference,
    InfoField,
    VariantWriter,
    allele_kind,
    classify_alleles,
    minimal_change,
    read_variants,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.shared_data
FOLDERS = ["human_chr20_1mb_1kgp", "celegans_1pct"]
STATUS = InfoField("STATUS", "String", "whether the allele can be scored")


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest, shared_data: Path) -> Path:
    return shared_data / "dna" / request.param


def _lines(path: Path) -> list[bytes]:
    with gzip.open(path) as stream:
        return stream.read().splitlines()


def _records(path: Path) -> list[list[str]]:
    return [line.decode().split("\t") for line in _lines(path) if not line.startswith(b"#")]


def test_counts_are_those_of_the_sources(shared_data: Path) -> None:
    counts = [sum(b.n_records for b in read_variants(shared_data / "dna" / name / "variants.vcf.gz")) for name in FOLDERS]
    assert counts[0] == 28_998
    assert counts == [len(_records(shared_data / "dna" / name / "variants.vcf.gz")) for name in FOLDERS]


@pytest.mark.parametrize("batch_size", [1000, 4096])
def test_read_and_written_unchanged(folder: Path, tmp_path: Path, batch_size: int) -> None:
    reader = read_variants(folder / "variants.vcf.gz", batch_size=batch_size)
    with VariantWriter(tmp_path / "out.vcf.gz", reader.header, [], fingerprint=reader.fingerprint()) as writer:
        for batch in reader:
            writer.write(batch, {})
    assert _lines(tmp_path / "out.vcf.gz") == _lines(folder / "variants.vcf.gz")


def test_regions_by_the_index_are_those_read_through_and_those_of_bcftools(folder: Path, tmp_path: Path) -> None:
    """Also from BCF; copies, so that the index is newer than its file."""
    bcftools = pytest.importorskip("pysam.bcftools", reason="bcftools, which comes with pysam, is the oracle here")
    for name in ("variants.vcf.gz", "variants.vcf.gz.tbi"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    shutil.copy(tmp_path / "variants.vcf.gz", tmp_path / "plain.vcf.gz")
    bcftools.view("-Ob", "-o", str(tmp_path / "in.bcf"), str(tmp_path / "plain.vcf.gz"), catch_stdout=False)
    if folder.name == "celegans_1pct":  # the other header gives a contig shorter than an END, which no .csi holds
        bcftools.index(str(tmp_path / "in.bcf"))
    records = _records(folder / "variants.vcf.gz")
    chrom, middle = records[len(records) // 2][0], int(records[len(records) // 2][1])
    for start, end in ((middle, middle), (middle - 3000, middle + 3000), (1, middle)):
        region = f"{chrom}:{max(start, 1)}-{end}"
        wanted = bcftools.view("-H", "-r", region, str(tmp_path / "variants.vcf.gz")).splitlines()
        for name in ("variants.vcf.gz", "plain.vcf.gz", "in.bcf"):
            found = [line.decode() for batch in read_variants(tmp_path / name, region=region) for line in batch.lines]
            assert len(found) == len(wanted) > 0
            assert [line.split("\t")[:5] for line in found] == [line.split("\t")[:5] for line in wanted]


def _statuses_by_biopython(folder: Path) -> list[str]:
    """One allele at a time, over whole chromosomes in memory."""
    with gzip.open(folder / "genome.fa.gz", "rt") as stream:
        genome = {record.id: str(record.seq).upper() for record in SeqIO.parse(stream, "fasta")}
    statuses = []
    for chrom, pos, _, ref, alts, *_ in _records(folder / "variants.vcf.gz"):
        for alt in alts.split(","):
            site = genome.get(chrom, "")[int(pos) - 1 : int(pos) - 1 + len(ref)]
            if not alt.isalpha():
                statuses.append("symbolic")
            elif len(site) < len(ref):
                statuses.append("off_contig")
            elif max(len(ref), len(alt)) - len(commonprefix([ref, alt])) > 20:  # they share their first bases only
                statuses.append("too_long")
            elif set(site + (ref + alt).upper()) - set("ACGT"):  # nowhere beside what changes
                statuses.append("ambiguous_base")
            else:
                statuses.append("ok" if site == ref.upper() else "ref_mismatch")
    return statuses


def _statuses(folder: Path, cache: Path, source: Path | pd.DataFrame, *, together: bool) -> list[str]:
    reference = GenomeReference(Genome(folder / "genome.fa.gz", cache_dir=cache))
    fast = reference.bases if together else None
    options = {"contig_lengths": reference.contig_lengths, "max_length": 20, "reference_bases": fast}
    return [s for batch in read_variants(source) for s in classify_alleles(batch, reference.fetch, **options).tolist()]


@pytest.mark.parametrize("together", [True, False])
def test_statuses_agree_with_biopython(folder: Path, tmp_path: Path, together: bool) -> None:
    found = _statuses(folder, tmp_path, folder / "variants.vcf.gz", together=together)
    assert found == _statuses_by_biopython(folder)
    assert Counter(found).most_common(1)[0][0] == "ok"


def test_deliberate_damage_is_found(folder: Path, tmp_path: Path) -> None:
    """Every kind of damage, done to the file's own single-nucleotide variants, is seen and the
    neighbours are not.
    """
    table = pd.DataFrame([r[:5] for r in _records(folder / "variants.vcf.gz")], columns=["chrom", "pos", "id", "ref", "alt"])
    table = table[(table["ref"].str.len() == 1) & (table["alt"].str.len() == 1)].head(700).reset_index(drop=True)
    assert set(_statuses(folder, tmp_path, table, together=True)) == {"ok"}
    kinds = np.arange(len(table)) % 7
    wrong = table["ref"].map({"A": "C", "C": "G", "G": "T", "T": "A"})
    damaged = table.assign(
        ref=np.select([kinds == 1, kinds == 2], [wrong, table["ref"].str.lower()], table["ref"]),
        chrom=np.where(kinds == 3, "nowhere", table["chrom"]),
        alt=np.select([kinds == 4, kinds == 5, kinds == 6], ["<DEL>", "N", table["alt"] + ",*"], table["alt"]),
    )
    names = {
        0: ["ok"],
        1: ["ref_mismatch"],
        2: ["ok"],
        3: ["off_contig"],
        4: ["symbolic"],
        5: ["ambiguous_base"],
        6: ["ok", "symbolic"],
    }
    expected = [status for kind in kinds.tolist() for status in names[kind]]
    for together in (True, False):
        assert _statuses(folder, tmp_path, damaged, together=together) == expected


def test_annotated_file_and_table_agree(folder: Path, tmp_path: Path) -> None:
    expected = _statuses(folder, tmp_path / "cache", folder / "variants.vcf.gz", together=True)
    for name in ("out.vcf.gz", "out.parquet"):
        reader = read_variants(folder / "variants.vcf.gz")
        with VariantWriter(tmp_path / name, reader.header, [STATUS], fingerprint=reader.fingerprint()) as writer:
            place = 0
            for batch in reader:
                writer.write(batch, {"STATUS": expected[place : place + batch.n_alleles]})
                place += batch.n_alleles
    assert pq.read_table(tmp_path / "out.parquet")["STATUS"].to_pylist() == expected
    infos = [record[7].rpartition("STATUS=")[2].split(",") for record in _records(tmp_path / "out.vcf.gz")]
    assert [status for info in infos for status in info] == expected


def test_trimmed_alleles_make_the_same_haplotypes(folder: Path) -> None:
    with gzip.open(folder / "genome.fa.gz", "rt") as stream:
        genome = {record.id: str(record.seq).upper() for record in SeqIO.parse(stream, "fasta")}
    kinds: Counter[str] = Counter()
    for chrom, pos, _, ref, alts, *_ in _records(folder / "variants.vcf.gz"):
        for alt in alts.split(","):
            kinds[kind := str(allele_kind(ref, alt))] += 1
            if kind != "symbolic":
                left, right = int(pos) - 1, int(pos) - 1 + len(ref)
                start, removed, inserted = minimal_change(int(pos), ref, alt)
                end = start + len(removed)
                assert genome[chrom][left:start] + inserted + genome[chrom][end:right] == alt
                assert left <= start <= end <= right
    assert kinds["snv"] > 1000
