"""A model whose answers are known, a genome of a line and a circle, and alleles of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._rng import derive_generator
from r2mae_bio.io import Genome, decode_bases, reverse_complement
from r2mae_bio.tl import score_variants

if TYPE_CHECKING:
    from pathlib import Path


NUMBERS = ["llr", "abs_llr", "p_ref", "p_alt", "entropy", "embedding_distance"]


WINDOW, FLANK = 25, 3


def log_softmax(x: np.ndarray) -> np.ndarray:
    x = x - x.max(axis=-1, keepdims=True)
    return x - np.log(np.exp(x).sum(axis=-1, keepdims=True))


class Model:
    """Both strands are read as the contract says, whatever ``forward`` and ``encode`` do with one
    of them.
    """

    n_dim = 5

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window
        self.n_read = self.n_embedded = 0
        self.n_until_interrupted = 10**9
        rng = derive_generator(1, "toy")
        self.table = rng.normal(size=(13, 5, 4)) * np.exp(-np.abs(np.arange(-6, 7)) / 3)[:, None, None]
        self.letters = rng.normal(size=(5, 5))
        self.slope = rng.normal(size=5)

    def checksum(self) -> str:
        return hashlib.sha256(self.table.tobytes()).hexdigest()

    def forward(self, codes: np.ndarray) -> np.ndarray:
        """Each visible base within six of a position speaks for some bases there."""
        wide = np.pad(codes, ((0, 0), (6, 6)), constant_values=4)
        n = codes.shape[1]
        return log_softmax(sum(self.table[o][wide[:, o : o + n]] for o in range(13) if o != 6))

    def encode(self, codes: np.ndarray) -> np.ndarray:
        before = np.pad(codes, ((0, 0), (1, 0)), constant_values=4)[:, :-1]
        return np.tanh(self.letters[codes] + self.slope * self.letters[before])

    def log_probs(
        self, codes: np.ndarray, hidden: Any = None, *, strand: str = "both", batch_size: int | None = None
    ) -> np.ndarray:
        assert codes.shape[1] <= self.window
        assert strand == "both"
        self.n_read += len(codes)
        self.n_until_interrupted -= len(codes)
        if self.n_until_interrupted < 0:
            raise KeyboardInterrupt
        codes = np.where(hidden, 4, codes).astype(np.uint8)
        other = self.forward(reverse_complement(codes))[:, ::-1, ::-1]
        return log_softmax((self.forward(codes) + other) / 2).astype(np.float32)

    def states(self, codes: np.ndarray, *, layer: int = -1, strand: str = "both", batch_size: int | None = None) -> np.ndarray:
        self.n_embedded += len(codes)
        return ((self.encode(codes) + self.encode(reverse_complement(codes))[:, ::-1]) / 2).astype(np.float32)


def random_bases(n: int, stream: str, *position: int) -> str:
    return decode_bases(derive_generator(3, stream, *position).integers(0, 4, n).astype(np.uint8))


CHROM = (
    random_bases(300, "chrom")[:290] + "nnnnnnnnnn" + random_bases(60, "tail").lower() + "ACACACACACAC" + random_bases(40, "end")
)


CIRCLE = random_bases(40, "circle")  # longer than the window, shorter than two


def open_genome(folder: Path, contigs: dict[str, str], **options: Any) -> Genome:
    path = folder / "genome.fa"
    path.write_text("".join(f">{name}\n{bases}\n" for name, bases in contigs.items()))
    return Genome(path, cache_dir=folder / "cache", **options)


def table(*rows: tuple[str, int, str, str]) -> pd.DataFrame:
    return pd.DataFrame(list(rows), columns=["chrom", "pos", "ref", "alt"])


def score(variants: Any, genome: Any, model: Any = None, **options: Any) -> Any:
    options = {"flank": FLANK, "progress_bar": False, **options}
    return score_variants(variants, genome, Model() if model is None else model, **options)


OTHER = {"A": "C", "C": "G", "G": "T", "T": "A"}


def snvs(positions: range, bases: str = CHROM, chrom: str = "chr1") -> pd.DataFrame:
    """One SNV at each 1-based position."""
    known = [(p, bases[p - 1].upper()) for p in positions if bases[p - 1] not in "nN"]
    return table(*((chrom, p, ref, OTHER[ref]) for p, ref in known))


def window_around(bases: str, start: int, end: int, width: int, *, circular: bool = False) -> str:
    """As many bases on both sides of start:end as a window holds, N beyond the ends."""
    assert (width - (end - start)) % 2 == 0
    first = start - (width - (end - start)) // 2
    if circular:
        return "".join(bases[i % len(bases)] for i in range(first, first + width))
    return "".join(bases[i] if 0 <= i < len(bases) else "N" for i in range(first, first + width))


def random_alleles(bases: str, n: int, stream: str, *position: int) -> list[tuple[int, str, str]]:
    """0-based start, REF, ALT of all kinds, anywhere, REF as in the genome."""
    rng = derive_generator(5, stream, *position)
    alleles: list[tuple[int, str, str]] = []
    while len(alleles) < n:
        start, length = int(rng.integers(0, len(bases))), int(rng.integers(1, 6))
        ref = bases[start : start + length].upper()
        alt = decode_bases(rng.integers(0, 4, int(rng.integers(1, 6))).astype(np.uint8))
        if rng.random() < 0.3:  # within a repeat, where there is one
            alt = ref + ref
        if "N" not in ref:
            alleles.append((start, ref, alt))
    return alleles
