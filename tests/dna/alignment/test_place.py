"""The row of the reference, its contig and the strand it lies on."""

from __future__ import annotations

import pytest

from r2mae_bio.errors import MafError
from r2mae_bio.io import Alignment, Genome

from .conftest import block, shown

REF = "AACCGGTTAACC"


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "ref.fa"
    path.write_text(f">chr1\n{REF}\n>chr2\nGGGGnnnn\n")
    return Genome(path, cache_dir=tmp_path / "cache")


def test_the_reference_may_hold_dots_and_is_no_prefix(write, tmp_path) -> None:
    path = write(block("GCA_1.2.chr1 0 2 + 9 AC", "GCA_1.x 0 2 + 9 GT", "GCA_1.22.chr1 0 2 + 9 TT"))
    alignment = Alignment(path, reference="GCA_1.2", cache_dir=tmp_path)
    assert (alignment.contigs, alignment.species) == (("chr1",), ("GCA_1",))
    assert shown(alignment, "chr1", 0, 2) == ["GT"]


def test_names_without_a_contig(opened) -> None:
    alignment = opened(block("ref 0 2 + 9 AC", "solo 0 2 + 9 GT"))
    assert (alignment.contigs, alignment.species) == (("ref",), ("solo",))


def test_a_block_without_the_reference(opened) -> None:
    with pytest.raises(MafError, match=r"toy\.maf, block 2 \(line 5\): there is no row of the reference 'ref' among b\.1, c\.1;"):
        opened(block("ref.1 0 1 + 9 A"), block("b.1 0 1 + 9 A", "c.1 0 1 + 9 A"))


def test_a_reference_on_the_minus_strand(opened) -> None:
    """Its text is read from the other end, and so are all others, whatever strand they are of."""
    alignment = opened(block("ref.1 1 4 - 12 ACG-T", "b.1 0 4 + 9 A-RTT", "c.1 2 3 - 9 -CG-T"))
    assert shown(alignment, "1", 6, 12) == [".AY-T.", ".ACG-."]


def test_other_rows_on_the_minus_strand_stand_as_they_are_shown(opened) -> None:
    alignment = opened(block("ref.1 1 4 + 12 ACGT", "b.1 0 4 - 9 ACCT"))
    assert shown(alignment, "1", 0, 6) == [".ACCT."]


def test_lengths_that_change(opened) -> None:
    with pytest.raises(MafError, match=r"block 2 .*gives ref\.1 10 bases, another row says 9"):
        opened(block("ref.1 0 1 + 9 A"), block("ref.1 1 1 + 10 A"))


def test_contigs_are_those_of_the_genome(opened, genome) -> None:
    alignment = opened(block("ref.2 0 4 + 8 gggg", "b.1 0 4 + 9 ACGT"), genome=genome)
    assert alignment.contigs == genome.contigs
    assert alignment.lengths.tolist() == [12, 8]
    assert shown(alignment, "2", 0, 5) == shown(alignment, "chr2", 0, 5) == ["ACGT."]
    assert shown(alignment, "chr1", 0, 3) == ["..."]


def test_contigs_of_a_genome_with_species(opened, tmp_path) -> None:
    (tmp_path / "a.fa").write_text(">1\nACGT\n")
    genome = Genome({"other": tmp_path / "a.fa", "ref": tmp_path / "a.fa"}, cache_dir=tmp_path / "cache")
    alignment = opened(block("ref.1 0 1 + 4 A", "b.1 0 1 + 9 G"), genome=genome)
    assert shown(alignment, "ref:1", 0, 2) == ["G."]
    assert shown(alignment, "other:1", 0, 2) == [".."]


def test_synonyms_of_the_genome(opened, tmp_path) -> None:
    (tmp_path / "a.fa").write_text(">one\nACGT\n")
    (tmp_path / "names.tsv").write_text("one\tNC_1.1\tchrA\n")
    genome = Genome(tmp_path / "a.fa", cache_dir=tmp_path / "cache", synonyms=tmp_path / "names.tsv")
    alignment = opened(block("ref.chrA 0 1 + 4 A", "b.1 0 1 + 9 G"), genome=genome)
    assert shown(alignment, "NC_1.1", 0, 2) == ["G."]


def test_a_contig_that_the_genome_lacks(opened, genome) -> None:
    with pytest.raises(MafError, match=r"block 1 .*does not know the contig of ref\.3\. There is no contig '3'"):
        opened(block("ref.3 0 1 + 9 A"), genome=genome)


def test_another_assembly(opened, genome) -> None:
    with pytest.raises(MafError, match=r"block 1 .*gives ref\.1 9 bases, the genome has 12: they are of different assemblies"):
        opened(block("ref.1 0 1 + 9 A"), genome=genome)


@pytest.mark.parametrize(("strand", "start", "text"), [("+", 4, "GG-TT"), ("-", 4, "AA-CC")])
def test_letters_are_compared_with_the_genome(opened, genome, strand, start, text) -> None:
    opened(block(f"ref.1 {start} 4 {strand} 12 {text}"), genome=genome)
    wrong = text.replace("G", "A", 1) if strand == "+" else text.replace("C", "T", 1)
    place, found, has = ("5", "A", "G") if strand == "+" else ("6", "A", "G")
    with pytest.raises(
        MafError, match=rf"block 1 .*at chr1:{place} the reference row has {found}, the genome has {has} \(1 of 4"
    ):
        opened(block(f"ref.1 {start} 4 {strand} 12 {wrong}"), genome=genome)


def test_unknown_letters_agree_with_all(opened, genome) -> None:
    alignment = opened(block("ref.2 2 4 + 8 NRac", "b.1 0 4 + 9 ACGT"), genome=genome)
    assert shown(alignment, "chr2", 2, 6) == ["ACGT"]
