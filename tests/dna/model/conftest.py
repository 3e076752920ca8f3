"""Toy genomes with something to learn, and models small enough to train in a second."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from r2mae_bio.io import Genome, decode_bases
from r2mae_bio.model import DNAMAE

WINDOW = 64
SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 2, "attention_every": 2, "kernel": 5, "stem_kernel": 7}
TRAIN = {"batch_size": 8, "epoch_windows": 56, "progress_bar": False, "precision": "32-true"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread):
    """In all tests of this folder."""


def periodic(n, *, seed=0, noise=0.05):
    """A motif of 11 bases over and over, some bases replaced at random: its neighbours tell a base,
    its composition does not.
    """
    rng = np.random.default_rng(seed)
    letters = np.frombuffer(b"ACGT", np.uint8)
    motif = rng.permutation(np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 3]))
    codes = np.where(rng.random(n) < noise, rng.integers(0, 4, n), motif[np.arange(n) % 11])
    return letters[codes].tobytes().decode()


def write_genome(folder, text, *, name="toy"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.fa").write_text(f">chr1\n{text}\n")
    return Genome(folder / f"{name}.fa", cache_dir=folder / "cache")


def with_repeats(text):
    """Lower case in the second half of every 400 bases, and a stretch of N."""
    pieces = [text[i : i + 200] for i in range(0, len(text), 200)]
    text = "".join(piece.lower() if i % 2 else piece for i, piece in enumerate(pieces))
    return text[:1000] + "N" * 50 + text[1050:]


@pytest.fixture(scope="session")
def genome(tmp_path_factory):
    return write_genome(tmp_path_factory.mktemp("genome"), periodic(6000))


@pytest.fixture(scope="session")
def masked_genome(tmp_path_factory):
    """The same with soft-masked stretches and N."""
    return write_genome(tmp_path_factory.mktemp("masked"), with_repeats(periodic(6000)))


@pytest.fixture(scope="session")
def new(genome):
    """Make a model; ``scale`` gives it random weights that much larger than usual."""

    def make(source=genome, *, scale=None, **settings):
        model = DNAMAE(source, **{"window": WINDOW, **SIZES, **settings})
        if scale is not None:
            model.initialize()
            with torch.no_grad():
                for parameter in model.network.parameters():
                    parameter.mul_(scale)
        return model

    return make


@pytest.fixture(scope="session")
def wild(new):
    """Random weights, large enough that predictions are far from flat."""
    return new(scale=2.0)


@pytest.fixture(scope="session")
def train_settings():
    return dict(TRAIN)


@pytest.fixture(scope="module")  # so that it is made on one thread
def trained(new, masked_genome):
    """A model after three short epochs, with everything a history may hold."""
    model = new(masked_genome, seed=3)
    model.train(3, **TRAIN)
    return model


@pytest.fixture(scope="session")
def random_codes():
    def draw(rows=5, length=WINDOW, *, seed=0, unknown=0.1):
        rng = np.random.default_rng(seed)
        codes = rng.integers(0, 4, (rows, length)).astype(np.uint8)
        codes[rng.random((rows, length)) < unknown] = 4
        return codes

    return draw


@pytest.fixture(scope="session")
def assert_same():
    """Equal weights, histories and realised ratios, to the bit."""

    def check(a, b):
        mine, theirs = a.network.state_dict(), b.network.state_dict()
        assert [k for k in mine if not torch.equal(mine[k], theirs[k])] == []
        left, right = (m.history.drop(columns="bases_per_second") for m in (a, b))
        pd.testing.assert_frame_equal(left, right, check_exact=True)
        assert a.record.mask_ratios == b.record.mask_ratios
        assert a.record.floors == b.record.floors

    return check


LENGTHS = (1, 2, 17, 64, 65, 150, 300)


@pytest.fixture(scope="module")
def sequences():
    """Shorter and longer than the window, some with N."""
    rng = np.random.default_rng(5)
    texts = [decode_bases(rng.integers(0, 4, n).astype(np.uint8)) for n in LENGTHS]
    return [*texts, texts[-1][:40] + "NNNNN" + texts[-1][45:120], "NACGTTN"]
