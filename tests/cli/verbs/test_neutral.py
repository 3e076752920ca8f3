"""``r2mae neutral``, and ``r2mae score`` with what it wrote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from r2mae_bio import tl
from r2mae_bio.io import NeutralExpectation

ARGS = ["genome.fa.gz", "--model", "dna_model"]


def test_it_writes_what_python_makes(folder: Path, r2mae: Any, printed: Any) -> None:
    chosen = ["--exclude", "genes.gff3.gz", "--margin", "50", "--n-sites", "120", "--seed", "3"]
    said = printed("neutral", *ARGS, *chosen, "--out", "neutral.json")
    assert said["n_sites"] == 120
    assert said["n_available"] == 3000 - 4 - 300
    options: dict[str, Any] = {"exclude": "genes.gff3.gz", "margin": 50, "n_sites": 120, "seed": 3, "progress_bar": False}
    made = tl.neutral_expectation("genome.fa.gz", "dna_model", **options)
    assert NeutralExpectation.load("neutral.json").digest() == made.digest()
    code, out, _ = r2mae("neutral", *ARGS, *chosen, "--out", "-")
    assert (code, out) == (0, Path("neutral.json").read_text())
    extra = ["--neutral", "neutral.json", "--n-masks", "2", "--mask-ratio", "0.2,0.4"]
    assert r2mae("score", "cohort.vcf.gz", *ARGS, *extra, "--out", "cli.vcf")[0] == 0
    scored: dict[str, Any] = {"neutral": made, "n_masks": 2, "mask_ratio": (0.2, 0.4), "progress_bar": False}
    tl.score_variants("cohort.vcf.gz", "genome.fa.gz", "dna_model", out="python.vcf", **scored)
    assert Path("cli.vcf").read_bytes() == Path("python.vcf").read_bytes()


def test_a_genome_without_marked_repeats_says_what_to_do(folder: Path, r2mae: Any) -> None:
    code, _, err = r2mae("neutral", *ARGS, "--out", "neutral.json")
    assert code == 1
    assert "exclude=" in err
    assert not Path("neutral.json").exists()
