"""Cells of three types, drawn from a Poisson model, and sequences of known classes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from torch import nn

from r2mae_bio._rng import derive_generator
from r2mae_bio.io import decode_bases, encode_bases

N_CELLS, N_GENES = 150, 60


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return np.repeat(["B", "NK", "T"], N_CELLS // 3)


@pytest.fixture(scope="session")
def counts(labels) -> sparse.csr_array:
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.6, 2.0, size=(3, N_GENES)) + 0.05
    depth = rng.lognormal(0.0, 0.3, size=(N_CELLS, 1))
    return sparse.csr_array(rng.poisson(depth * rates[np.searchsorted(np.unique(labels), labels)]).astype(np.float32))


@pytest.fixture
def everything() -> np.ndarray:
    return np.ones(N_GENES, dtype=bool)


MOTIF = encode_bases("TGACTCA")


N, LENGTH = 900, 30


def as_frame(codes, labels) -> pd.DataFrame:
    split = np.array(["train"] * (len(codes) - 400) + ["dev"] * 200 + ["test"] * 200)
    return pd.DataFrame({"sequence": decode_bases(codes), "label": labels, "split": split})


def draw(p=(0.25,) * 4, n=N, length=LENGTH, seed=0) -> np.ndarray:
    return derive_generator(seed, "draw").choice(4, (n, length), p=p).astype(np.uint8)


@pytest.fixture(scope="module")
def composition() -> pd.DataFrame:
    """Class 1 is rich in G and C."""
    labels = np.arange(N) % 2
    codes = np.where(labels[:, None] == 1, draw((0.1, 0.4, 0.4, 0.1)), draw((0.4, 0.1, 0.1, 0.4), seed=1))
    return as_frame(codes.astype(np.uint8), labels)


@pytest.fixture(scope="module")
def motif() -> pd.DataFrame:
    """Class 1 holds a motif anywhere, class 0 its shuffled letters: composition says nothing."""
    labels, codes, rng = np.arange(N) % 2, draw(), derive_generator(0, "place")
    for row, start in enumerate(rng.integers(0, LENGTH - 7, N)):
        codes[row, start : start + 7] = MOTIF if labels[row] else MOTIF[[6, 2, 4, 0, 5, 1, 3]]
    return as_frame(codes, labels)


@pytest.fixture(scope="module")
def place() -> pd.DataFrame:
    """Class 1 has AC, class 0 CA, at one place."""
    labels, codes = np.arange(N) % 2, draw()
    codes[:, 10], codes[:, 11] = np.where(labels == 1, 0, 1), np.where(labels == 1, 1, 0)
    return as_frame(codes, labels)


class BaseStates:
    """A model whose states are the bases, or, with a mark, whether a motif begins there."""

    window, n_dim = 16, 4

    def __init__(self, weights: float = 1.0) -> None:
        self.weights = np.float32(weights)
        self.network = OneHotNetwork()

    def states(self, codes, *, strand="both"):
        assert codes.shape[1] <= self.window
        return np.eye(5, dtype=np.float32)[codes][..., :4] * self.weights


class OneHotNetwork(nn.Module):
    def __init__(self, weights: float = 1.0) -> None:
        super().__init__()
        self.config, self.weights = SimpleNamespace(d_model=4), weights
        self.scale = nn.Parameter(torch.ones(1))

    def states(self, codes):
        return nn.functional.one_hot(codes, 5)[..., :4].float() * self.scale * self.weights
