"""Labelled sequences whose classes a motif tells, and an encoder that learns them in a second."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn

from r2mae_bio._rng import derive_generator
from r2mae_bio.config._finetune_sequences import FinetuneConfig
from r2mae_bio.io import (
    decode_bases,
    encode_bases,
    reverse_complement,
)

LENGTH = 24


MOTIF = encode_bases("GATTAC")


@dataclass(frozen=True)
class ToySettings:
    d_model: int = 16


class ToyEncoder(nn.Module):
    """A base and its neighbours, in two blocks."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.config = ToySettings()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.embed = nn.Embedding(5, 16)
            self.blocks = nn.ModuleList(nn.Conv1d(16, 16, 7, padding=3) for _ in range(2))
            self.norm = nn.LayerNorm(16)

    def states(self, codes: torch.Tensor) -> torch.Tensor:
        x = self.embed(codes).transpose(1, 2)
        for block in self.blocks:
            x = x + torch.relu(block(x))
        return self.norm(x.transpose(1, 2))


def random_codes(n: int, length: int = LENGTH, *, seed: int = 0) -> np.ndarray:
    return derive_generator(seed, "toy").integers(0, 4, (n, length)).astype(np.uint8)


def plant(codes: np.ndarray, rows: np.ndarray, motif: np.ndarray, *, seed: int = 0, at: int | None = None) -> None:
    rng = derive_generator(seed, "plant")
    for row in rows:
        start = int(rng.integers(0, codes.shape[1] - len(motif) + 1)) if at is None else at
        codes[row, start : start + len(motif)] = motif


def frame(codes: np.ndarray, labels: np.ndarray, n_dev: int, n_test: int) -> pd.DataFrame:
    split = np.array(["train"] * (len(codes) - n_dev - n_test) + ["dev"] * n_dev + ["test"] * n_test)
    return pd.DataFrame({"sequence": decode_bases(codes), "label": labels, "split": split})


def motif_frame(n: int = 600) -> pd.DataFrame:
    """Class 1 holds the motif somewhere, on either strand."""
    codes, labels = random_codes(n), np.arange(n) % 2
    plant(codes, np.flatnonzero(labels), MOTIF)
    codes[::4] = reverse_complement(codes[::4])
    codes[1::4] = reverse_complement(codes[1::4])
    return frame(codes, labels, 100, 100)


QUICK = FinetuneConfig(
    n_steps=150,
    evaluate_every=25,
    batch_size=32,
    learning_rate=5e-3,
    average=0.9,
    patience=10,
    reverse_complement=False,
    linear_reading=False,
)


LINEAR = FinetuneConfig(**{**QUICK.to_json(), "linear_reading": True})
