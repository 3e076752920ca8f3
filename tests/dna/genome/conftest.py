"""Four contigs with every letter, as truth and as a genome, lines or circles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from Bio.Seq import Seq

from r2mae_bio.io import Genome

if TYPE_CHECKING:
    from pathlib import Path


LENGTHS = {"chr1": 211, "chr2": 64, "chrM": 30, "NC_000913.3": 5}


@pytest.fixture(scope="module")
def truth() -> dict[str, str]:
    rng = np.random.default_rng(3)
    return {name: "".join(rng.choice(list("ACGTNRYacgtnry"), n)) for name, n in LENGTHS.items()}


@pytest.fixture(scope="module")
def fasta(truth: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fasta") / "genome.fa"
    lines = [
        f">{name} made up\n" + "\n".join(bases[i : i + 13] for i in range(0, len(bases), 13)) for name, bases in truth.items()
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def genome(fasta: Path) -> Genome:
    return Genome(fasta, cache_dir=fasta.parent / "cache")


@pytest.fixture(scope="module")
def circles(fasta: Path) -> Genome:
    return Genome(fasta, cache_dir=fasta.parent / "cache", circular=["MT", "NC_000913"])


def text(rows: np.ndarray) -> list[str]:
    return [row.tobytes().decode() for row in rows]


def as_read(bases: str, reverse: bool) -> str:
    return str(Seq(bases).reverse_complement()) if reverse else bases
