"""The benchmark of alignments in models of DNA, on a toy fungus made here."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pytest

from benchmarks import aligned_cases, aligned_dna
from benchmarks.aligned_controls import smoothed
from benchmarks.coding_variants import PROTEIN, changes, coding_positions, sample
from r2mae_bio.io import Genome

GENE = "ATGGCATGTAAATTCGGATAA"  # Met Ala Cys Lys Phe Gly stop


@pytest.fixture
def genes(tmp_path):
    """One gene on either strand, that on the minus strand in two pieces, and one without a stop."""
    turned = GENE[::-1].translate(str.maketrans("ACGT", "TGCA"))
    text = "CC" + GENE + "GG" + turned[:10] + "TTTT" + turned[10:] + "AC" + GENE[:18]
    (tmp_path / "genome.fa").write_text(f">chr_1\n{text}\n")
    at = text.index(turned[:10])
    spans = [(3, 23, "+", 1), (at + 1, at + 10, "-", 2), (at + 15, at + 25, "-", 2), (len(text) - 17, len(text), "+", 3)]
    with gzip.open(tmp_path / "genes.gff.gz", "wt") as stream:
        for start, end, strand, number in spans:
            stream.write(f'chr_1\tJGI\tCDS\t{start}\t{end}\t.\t{strand}\t0\tname "x"; proteinId {number}; exonNumber 1\n')
            stream.write(f'chr_1\tJGI\texon\t{start}\t{end}\t.\t{strand}\t.\tname "x"; transcriptId {number}\n')
    return Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache"), coding_positions(tmp_path / "genes.gff.gz", {"chr_1"})


def test_changes_are_those_of_the_codons_on_either_strand(genes):
    genome, positions = genes
    table = changes(genome, positions)
    assert len(table) == 2 * 5 * 9  # two genes are whole; of each five codons between start and stop
    letters = genome.fetch("chr_1")
    assert [letters[pos - 1] for pos in table["pos"]] == table["ref"].tolist()
    forward = table[table["pos"] < 25]
    kinds = []
    for i in range(3, 18):
        for base in "ACGT".replace(GENE[i], ""):
            codon = GENE[i // 3 * 3 : i // 3 * 3 + 3]
            after = (GENE[:i] + base + GENE[i + 1 :])[i // 3 * 3 :][:3]
            kinds.append(
                "synonymous" if PROTEIN[codon] == PROTEIN[after] else "nonsense" if PROTEIN[after] == "*" else "missense"
            )
    assert forward["kind"].tolist() == kinds
    assert forward["kind"].value_counts().to_dict() == table[table["pos"] > 25]["kind"].value_counts().to_dict()
    drawn = sample(table, 3, seed=1)
    assert drawn["kind"].value_counts().to_dict() == dict.fromkeys(("nonsense", "missense", "synonymous"), 3)


@pytest.fixture
def fungus(tmp_path):
    """Three chromosomes of which nothing but coding sequence is made, with two relatives."""
    rng = np.random.default_rng(0)
    sense = [codon for codon, amino in PROTEIN.items() if amino != "*"]
    lines, genes = ["##maf version=1\n"], []
    for name in ("chr_1", "chr_10", "chr_11", "chr_13"):
        text = "".join("ATG" + "".join(rng.choice(sense, 98)) + "TAA" for _ in range(6))
        genes += [f"{name}\tJGI\tCDS\t{300 * i + 1}\t{300 * i + 300}\t.\t+\t0\tproteinId {i}; exonNumber 1\n" for i in range(6)]
        bases = np.frombuffer(text.encode(), np.uint8)
        lines.append(f"a score=1\ns {aligned_cases.SETTINGS['ztritici'].reference}.{name} 0 {bases.size} + {bases.size} {text}\n")
        for species, changed in (("near", 0.02), ("far", 0.1)):
            row = np.where(rng.random(bases.size) < changed, rng.choice(bases, bases.size), bases)
            lines.append(f"s {species}.{name} 0 {bases.size} + {bases.size} {row.tobytes().decode()}\n")
        lines.append("\n")
    with gzip.open(tmp_path / "tba_refIPO323.maf.gz", "wt") as stream:
        stream.writelines(lines)
    with gzip.open(tmp_path / "genes.gff.gz", "wt") as stream:
        stream.writelines(genes)
    return tmp_path


@pytest.mark.slow
def test_it_trains_scores_and_goes_on(fungus, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(aligned_dna, "SIZES", {"d_model": 8, "n_layers": 1, "n_heads": 2, "attention_every": 1})
    options = ["--json", str(tmp_path / "found.json"), "--data", str(fungus), "--folder", str(tmp_path / "runs"), "--variants", "40",
               "--seeds", "1", "--steps", "2", "--report", str(tmp_path / "report.md")]  # fmt: skip
    aligned_dna.main([*options, "--models", "aligned, fixed .15"])
    aligned_dna.main([*options, "--models", "aligned, fixed .15;sequence alone, uniform"])
    (tmp_path / "found.json").write_text(json.dumps({"controls": {}, "runs": []}))  # as if killed before it scored
    aligned_dna.main([*options, "--models", "aligned, fixed .15;sequence alone, uniform"])
    found = json.loads((tmp_path / "found.json").read_text())
    assert [run["model"] for run in found["runs"]] == ["aligned, fixed .15", "sequence alone, uniform"]
    assert capsys.readouterr().out.count('{"model": ') == 4, "what is in the file is not run again"
    assert all(0 <= value["nonsense"] <= 1 for value in found["controls"].values())
    text = (tmp_path / "report.md").read_text()
    for said in ("| Markov, order 5 |", "| columns, log-linear fit |", "| aligned, fixed .15 |", "over sequence alone"):
        assert said in text
    assert found["runs"][0]["validation_nats"] < found["runs"][1]["validation_nats"]


def test_codons_of_genes_covered_in_part_are_taken_from_gtf(tmp_path):
    text = "CC" + GENE[:7] + "NN" + GENE[9:] + "GG" + GENE.replace("AAA", "TAA")
    (tmp_path / "genome.fa").write_text(f">22\n{text}\n")
    lines = [  # stop codons are beside what they end
        f'chr22\tx\t{kind}\t{start}\t{end}\t.\t+\t.\tgene_id "g"; transcript_id "{name}";\n'
        for kind, start, end, name in (
            ("CDS", 3, 20, "A"), ("stop_codon", 21, 23, "A"), ("exon", 1, 40, "A"), ("CDS", 26, 43, "B"), ("stop_codon", 44, 46, "B")
        )
    ]  # fmt: skip
    (tmp_path / "genes.gtf").write_text("".join(lines))
    genome = Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache")
    genes = coding_positions(tmp_path / "genes.gtf", {"22"})
    assert genes == {"22 A": ("22", "+", list(range(2, 23))), "22 B": ("22", "+", list(range(25, 46)))}
    assert not len(changes(genome, genes)), "one is not known whole, one has a stop within"
    table = changes(genome, genes, whole=False)
    assert sorted(set(table["pos"])) == [6, 7, 8, 12, 13, 14, 15, 16, 17, 18, 19, 20]
    assert len(table) == 4 * 9


def test_chr22_holds_stretches_out(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    sense = [codon for codon, amino in PROTEIN.items() if amino != "*"]
    text = "".join("ATG" + "".join(rng.choice(sense, 98)) + "TAA" for _ in range(20))
    far = "".join(rng.choice(list("ACGT")) if rng.random() < 0.1 else base for base in text)
    blocks = ((0, 4000), (4100, 6000))  # between which nothing is aligned
    with gzip.open(tmp_path / "x.chr22.y.maf.gz", "wt") as stream:
        stream.write("##maf version=1\n")
        for start, end in blocks:
            rows = (("Hsap.22", text), ("Ptro.22", far))
            stream.write(
                "a\n" + "".join(f"s {name} {start} {end - start} + 6000 {row[start:end]}\n" for name, row in rows) + "\n"
            )
    (tmp_path / "genes.gtf").write_text(
        "".join(f'chr22\tx\tCDS\t{300 * i + 1}\t{300 * i + 300}\t.\t+\t0\ttranscript_id "{i}";\n' for i in range(20))
    )
    setting = aligned_cases.SETTINGS["chr22"]._replace(validated=("22", 0, 600), scored=[("22", 3900, 4500)])
    case = aligned_cases.open_case(setting, tmp_path, tmp_path / "genes.gtf", tmp_path / "runs", 10, gap=128)
    assert case.split.to_json()["train"] == [["22", 728, 3772], ["22", 4628, 6000]]
    assert case.split.to_json()["validation"] == [["22", 0, 600]]
    assert case.others == ["Ptro"]
    positions = case.table["pos"].to_numpy()
    assert ((positions > 3900) & (positions <= 4500)).all()
    assert not ((positions > 3999) & (positions <= 4101)).any(), "codons of which the alignment has no base"
    monkeypatch.setitem(aligned_cases.SETTINGS, "chr22", setting)
    monkeypatch.setattr(aligned_dna, "SIZES", {"d_model": 8, "n_layers": 1, "n_heads": 2, "attention_every": 1})
    options = ["--case", "chr22", "--json", str(tmp_path / "found.json"), "--data", str(tmp_path), "--folder", str(tmp_path / "runs"),
               "--variants", "10", "--seeds", "1", "--steps", "2", "--models", "relatives, uniform"]  # fmt: skip
    with pytest.raises(SystemExit):
        aligned_dna.main(options)
    aligned_dna.main([*options, "--genes", str(tmp_path / "genes.gtf")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["case"] == "chr22"
    assert found["runs"][0]["model"] == "relatives, uniform"
    assert set(found["controls"]) >= {"substitutions, 0 bases beside", "substitutions, 3 bases beside", "Markov, order 5"}
    with pytest.raises(SystemExit):
        aligned_dna.main([*options, "--case", "ztritici"])


def test_substitutions_lean_on_shorter_contexts():
    counts = np.zeros((4,) * 4)
    counts[0, 1, 2, 3] = 64  # C between A and G, for which others have T
    found = np.exp(smoothed(counts, 1))
    alone = (64 * np.eye(4)[3] + 16) / 128  # C alone, leaning on a quarter each
    assert found[0, 1, 2] == pytest.approx((64 * np.eye(4)[3] + 64 * alone) / 128)
    assert found[3, 1, 3] == pytest.approx(alone)
    assert found[2, 2, 2] == pytest.approx(0.25)
