"""Contigs by the names that an assembly report or a chromAlias lists."""

from __future__ import annotations

import gzip
import pickle
from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio.errors import DataError, UnknownContigError
from r2mae_bio.io import Genome, GenomeReference, classify_alleles, read_variants

if TYPE_CHECKING:
    from pathlib import Path

BASES = {"first": "ACGTACGTAC", "second": "GGGCCC", "mito": "TTTTACGT"}
REPORT = """# Assembly name:  toy
# Sequence-Name\tSequence-Role\tAssigned-Molecule\tAssigned-Molecule-Location/Type\tGenBank-Accn\tRelationship\tRefSeq-Accn\tAssembly-Unit\tSequence-Length\tUCSC-style-name
1\tassembled-molecule\t1\tChromosome\tCM000001.1\t=\tNC_000001.11\tPrimary\t10\tchr1\r
scf7\tunplaced-scaffold\t1\tChromosome\tGL000007.1\t=\tna\tPrimary\t6\tchrUn_GL000007v1
MT\tassembled-molecule\tMT\tMitochondrion\tJ01415.2\t=\tNC_012920.1\tnon-nuclear\t8\tchrM
2\tassembled-molecule\t2\tChromosome\tCM000002.1\t=\tNC_000002.12\tPrimary\t99\tna
"""
ALIAS = "# ucsc\tassembly\tgenbank\trefseq\nchr1\t1\tCM000001.1\tNC_000001.11\nchrUn_GL000007v1\tscf7\tGL000007.1\t\nchrM\tMT\tJ01415.2\tNC_012920.1\n"
OLD_ALIAS = """#alias\tchrom\tsource
1\tchr1\tassembly,ensembl
CM000001.1\tchr1\tgenbank,insdc
NC_000001.11\tchr1\trefseq
scf7\tchrUn_GL000007v1\tassembly
GL000007.1\tchrUn_GL000007v1\tgenbank
MT\tchrM\tassembly
J01415.2\tchrM\tgenbank
NC_012920.1\tchrM\trefseq
"""
FORMS = {"report": REPORT, "chromAlias": ALIAS, "older chromAlias": OLD_ALIAS, "its rows alone": OLD_ALIAS.partition("\n")[2]}
NAMES = [
    ["chr1", "1", "CM000001.1", "NC_000001.11"],
    ["chrUn_GL000007v1", "scf7", "GL000007.1"],
    ["chrM", "MT", "J01415.2", "NC_012920.1"],
]


def open_genome(folder: Path, text: str | bytes, names: list[str], **options) -> Genome:
    (folder / "genome.fa").write_text("".join(f">{n}\n{b}\n" for n, b in zip(names, BASES.values(), strict=True)))
    path = folder / "synonyms.txt"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Genome(folder / "genome.fa", cache_dir=folder / "cache", synonyms=path, **options)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("style", [0, 1, 2])
def test_every_name_finds_its_contig_whichever_the_genome_has(tmp_path: Path, form: str, style: int) -> None:
    genome = open_genome(tmp_path, FORMS[form], [names[style] for names in NAMES])
    for opened in (genome, pickle.loads(pickle.dumps(genome))):
        for names, bases in zip(NAMES, BASES.values(), strict=True):
            assert {opened.fetch(name) for name in names} == {bases}
        with pytest.raises(UnknownContigError, match="There is no contig 'na'.* or a file of synonyms="):
            opened.fetch("na")
        assert not any(name in opened for name in ("2", "NC_000002.12", "refseq", "assembly"))


def test_a_compressed_file_and_a_user_who_knows_better(tmp_path: Path) -> None:
    names = [names[0] for names in NAMES]
    genome = open_genome(tmp_path, gzip.compress(REPORT.encode()), names, aliases={"scf7": "chr1", "mine": "chrM"})
    assert (genome.fetch("scf7"), genome.fetch("mine")) == (BASES["first"], BASES["mito"])


def test_variants_of_one_style_are_checked_on_a_genome_of_another(tmp_path: Path) -> None:
    genome = open_genome(tmp_path, REPORT, [names[0] for names in NAMES])
    rows = "".join(f"{names[-1]}\t1\t.\t{bases[0]}\tN,CC\t.\t.\t.\n" for names, bases in zip(NAMES, BASES.values(), strict=True))
    (tmp_path / "in.vcf").write_text(f"##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n{rows}")
    reference = GenomeReference(genome)
    (batch,) = read_variants(tmp_path / "in.vcf")
    found = classify_alleles(batch, reference.fetch, contig_lengths=reference.contig_lengths)
    np.testing.assert_array_equal(found, ["ambiguous_base", "ok"] * 3)


def test_similar_names_of_sequences_of_other_lengths_are_not_one(tmp_path: Path) -> None:
    """As chrM of hg19 is another mitochondrion than MT of its report."""
    text = REPORT.replace("\t8\tchrM", "\t7\tna")
    genome = open_genome(tmp_path, text, ["chr1", "chrUn_GL000007v1", "chrM"])
    assert "NC_012920.1" not in genome
    assert genome.fetch("MT") == BASES["mito"]  # as without the file


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            REPORT.replace("\t10\tchr1", "\t11\tchr1"),
            "gives 1, CM000001.1, .* 11 bases, the genome has 10 of chr1: .* different assemblies",
        ),
        ("chr1\tx\nx\tchrM\n", r"says that chr1, x, chrM are one sequence, .* contigs chr1, chrM"),
        ("chr5\tNC_5.1\n", r"names no contig of the genome: it has chr5, NC_5.1 ..., the genome chr1"),
        ("# nothing\n\n", "names no contig of the genome: it has no row"),
        (gzip.compress(REPORT.encode())[:-9], "cut or damaged"),
    ],
)
def test_files_of_other_genomes_are_refused(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_genome(tmp_path, text, [names[0] for names in NAMES])


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(">a\nACGT\n")
    with pytest.raises(DataError, match="none.txt cannot be read"):
        Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache", synonyms=tmp_path / "none.txt")
