"""A genome of lines and a circle, and masks of it: one truth value per base."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import strategies as st

from r2mae_bio.io import (
    Genome,
    Intervals,
)

if TYPE_CHECKING:
    from pathlib import Path


LENGTHS = {"chr1": 4000, "chr2": 300, "ring": 700, "tiny": 20}


def write(folder: Path, bases: dict[str, str], name: str = "genome.fa") -> Path:
    path = folder / name
    path.write_text("".join(f">{contig}\n{letters}\n" for contig, letters in bases.items()))
    return path


def random_bases(rng: np.random.Generator, n: int, letters: str = "ACGT") -> str:
    return "".join(rng.choice(list(letters), n))


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("plain")
    path = write(folder, {name: random_bases(rng, n) for name, n in LENGTHS.items()})
    return Genome(path, cache_dir=folder / "cache", circular=["ring"])


@pytest.fixture(scope="module")
def two_species(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng, folder = np.random.default_rng(6), tmp_path_factory.mktemp("species")
    big = write(folder, {f"c{i}": random_bases(rng, n) for i, n in enumerate((900, 500, 800, 300, 700))}, "big.fa")
    small = write(folder, {f"c{i}": random_bases(rng, n) for i, n in enumerate((200, 150))}, "small.fa")
    return Genome({"big": big, "small": small}, cache_dir=folder / "cache")


def mask_of(genome: Genome, intervals: Intervals) -> np.ndarray:
    mask = np.zeros(len(genome), bool)
    for contig, start, end in zip(intervals.contig, intervals.start, intervals.end, strict=True):
        mask[genome.offsets[contig] + start : genome.offsets[contig] + end] = True
    return mask


def naive_mask(genome: Genome, rows: list[tuple[int, int, int]]) -> np.ndarray:
    mask = np.zeros(len(genome), bool)
    for contig, start, end in rows:
        length = int(genome.lengths[contig])
        for position in range(start, end):
            if genome.is_circular[contig]:
                mask[genome.offsets[contig] + position % length] = True
            elif 0 <= position < length:
                mask[genome.offsets[contig] + position] = True
    return mask


stretches = st.lists(st.tuples(st.integers(0, 3), st.integers(-900, 1500), st.integers(0, 900)), max_size=6)
