"""Runs that are killed are continued and compared; a difference would be counted."""

from __future__ import annotations

import shutil

import pytest

from benchmarks import kills

N_CELLS = 120


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kills")
    kills.make(folder, N_CELLS)
    return folder


def test_a_digest_is_of_the_numbers_and_the_names(folder):
    out = folder / "embedded"
    kills.embed(folder, out)
    first = kills.digest("embed", out, N_CELLS)
    kills.embed(folder, out)
    assert kills.digest("embed", out, N_CELLS) == first
    assert "missing" in kills.digest("embed", out, N_CELLS + 1)


def test_training_that_is_called_again_gives_the_same_model(folder):
    out = folder / "trained"
    kills.train(folder, out)
    first = kills.digest("train", out, N_CELLS)
    shutil.rmtree(out)
    kills.train(folder, out)
    assert kills.digest("train", out, N_CELLS) == first
