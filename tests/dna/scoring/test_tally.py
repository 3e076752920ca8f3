"""What is said of a run in which names or assemblies do not match."""

from __future__ import annotations

import logging
import warnings
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from .conftest import CHROM, OTHER, open_genome, score, snvs, table

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.io import Genome

HEADER = "##fileformat=VCFv4.2\n{}#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return open_genome(tmp_path_factory.mktemp("genome"), {"chr1": CHROM, "NC_000002.12": CHROM[:50]})


def write(path: Path, variants: pd.DataFrame, contigs: str = "") -> Path:
    rows = variants.itertuples(index=False)
    path.write_text(HEADER.format(contigs) + "".join(f"{r.chrom}\t{r.pos}\t.\t{r.ref}\t{r.alt}\t.\t.\t.\n" for r in rows))
    return path


def test_counts_by_status_are_logged(genome: Genome, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    good = snvs(range(1, 31))
    variants = pd.concat([good, table(("nowhere", 5, "A", "C"), ("chr1", 5, CHROM[4], "<DEL>"))])
    for out in (None, tmp_path / "out.vcf"):
        caplog.clear()
        with caplog.at_level(logging.INFO, "r2mae_bio"):
            score(variants, genome, out=out)
        assert caplog.messages == ["30 of 32 alleles were scored: 30 ok, 1 off_contig, 1 symbolic"]


@pytest.mark.parametrize("as_file", [True, False])
def test_contigs_of_another_naming_are_told_before_and_after(genome: Genome, tmp_path: Path, as_file: bool) -> None:
    variants = pd.concat([snvs(range(1, 21), chrom="2"), snvs(range(1, 4), chrom="X")])
    with pytest.warns(UserWarning, match="off_contig") as caught:
        score(write(tmp_path / "in.vcf", variants) if as_file else variants, genome, out=tmp_path / "out.vcf")
    before, after = (str(warning.message) for warning in caught)
    assert before.startswith("23 of 23 records are on contigs that the genome does not have")
    assert "(off_contig): 2 (20), X (3). The genome has chr1, NC_000002.12." in before
    assert after == "0 of 23 alleles were scored (23 off_contig)."


def test_a_few_records_elsewhere_are_no_fault(genome: Genome) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(pd.concat([snvs(range(1, 101)), snvs(range(1, 12), chrom="scaffold_7")]), genome)
        assert (found["status"] == "off_contig").sum() == 11
        found = score(pd.concat([snvs(range(1, 10)), snvs(range(1, 9), chrom="scaffold_7")]), genome)  # too few to tell
        assert (found["status"] == "off_contig").sum() == 8


def test_lengths_in_the_header_tell_of_another_assembly(genome: Genome, tmp_path: Path) -> None:
    n = len(CHROM)
    right = f"##contig=<ID=1,length={n}>\n##contig=<ID=2,length=7>\n##contig=<ID=chr9>\n"
    variants = snvs(range(1, 11), chrom="1")
    score(write(tmp_path / "right.vcf", variants, right), genome)  # nothing lies on what differs
    wrong = write(tmp_path / "wrong.vcf", variants, right.replace(f"length={n}", "length=1234"))
    with pytest.warns(UserWarning, match=f"different assemblies: 1 has 1,234 bases in the header and {n} in the genome"):
        found = score(wrong, genome)
    assert set(found["status"]) == {"ok"}


def test_another_reference_is_told_by_what_it_says(genome: Genome) -> None:
    variants = snvs(range(1, 101))
    variants.loc[::4, ["ref", "alt"]] = [[OTHER[ref], ref] for ref in variants.loc[::4, "ref"]]
    ref = variants.loc[0, "ref"]
    with pytest.warns(UserWarning, match="ref_mismatch") as caught:
        score(variants, genome)
    assert str(caught[0].message) == (
        "75 of 100 alleles were scored (75 ok, 25 ref_mismatch). 25 have a REF that the genome does not "
        f"(first: chr1:1 has REF {ref}, the genome {CHROM[0]}): is this the assembly that the variants were called on?"
    )


def test_a_genome_that_is_too_short_is_told(genome: Genome) -> None:
    variants = table(*(("NC_000002.12", pos, CHROM[pos - 1], OTHER[CHROM[pos - 1]]) for pos in range(31, 71)))
    with pytest.warns(UserWarning, match=r"20 lie beyond the ends of their contigs \(first: NC_000002.12:51\)"):
        score(variants, genome)


def test_nothing_to_score_is_told_and_no_record_is_not(genome: Genome, tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"^0 of 1 alleles were scored \(1 symbolic\).$"):
        score(table(("chr1", 5, CHROM[4], "<NON_REF>")), genome)
    score(write(tmp_path / "empty.vcf", snvs(range(0))), genome)
