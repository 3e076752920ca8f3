"""A genome with soft-masked and unknown bases, and the same in capitals."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from r2mae_bio.io import Genome

if TYPE_CHECKING:
    from pathlib import Path


def write(folder: Path, bases: dict[str, str]) -> Genome:
    path = folder / "genome.fa"
    path.write_text("".join(f">{contig}\n{letters}\n" for contig, letters in bases.items()))
    return Genome(path, cache_dir=folder / "cache")


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(8)
    bases = {name: "".join(rng.choice(list("ACGTacgtN"), n)) for name, n in (("chr1", 3000), ("chr2", 900))}
    return write(tmp_path_factory.mktemp("soft"), bases)


@pytest.fixture(scope="module")
def upper(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng = np.random.default_rng(9)
    return write(tmp_path_factory.mktemp("upper"), {"chr1": "".join(rng.choice(list("ACGT"), 3000, p=[0.4, 0.1, 0.1, 0.4]))})
