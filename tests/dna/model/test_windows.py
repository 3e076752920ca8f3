"""Many questions about few windows, against readings of one question each."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio._errors import DataError

CLOSE = {"atol": 2e-5, "rtol": 0}
NONE = (np.empty(0, int), np.empty(0, int))


def questions(n=30, *, shape=(5, 64), seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, shape[0], n), rng.integers(0, shape[1], n)


@pytest.mark.parametrize("strand", ["both", "+"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_hidden_bases_are_those_of_log_probs(wild, random_codes, strand, batch_size):
    codes = random_codes()
    rows, positions = questions()
    found = wild.read_windows(codes, hidden=(rows, positions), strand=strand, batch_size=batch_size)
    hidden = np.arange(codes.shape[1]) == positions[:, None]
    expected = wild.log_probs(codes[rows], hidden, strand=strand)[np.arange(rows.size), positions]
    np.testing.assert_allclose(found.log_probs, expected, **CLOSE)
    assert found.log_probs.dtype == np.float32
    assert found.means.shape == found.other_means.shape == (0, wild.n_dim)


@pytest.mark.parametrize("strand", ["both", "+"])
def test_mean_states_are_those_of_the_known_bases(wild, random_codes, strand):
    codes = random_codes()
    rows, positions = questions(seed=1)
    bases = np.random.default_rng(2).integers(0, 4, rows.size)
    found = wild.read_windows(codes, hidden=NONE, other=(rows, positions, bases), means=True, strand=strand)
    changed = codes[rows]
    changed[np.arange(rows.size), positions] = bases
    for windows, means in ((codes, found.means), (changed, found.other_means)):
        known = windows < 4
        states = wild.states(windows, strand=strand)
        np.testing.assert_allclose(means, (states * known[..., None]).sum(1) / known.sum(1)[:, None], **CLOSE)
    assert found.log_probs.shape == (0, 4)


@pytest.mark.parametrize(
    ("hidden", "other", "what"),
    [
        (([5], [0]), None, "rows"),
        (([0], [64]), None, "positions"),
        (([0, 1], [0]), None, "positions"),
        (([0.5], [0]), None, "rows"),
        (([], []), ([0], [0], [4]), "bases"),
    ],
)
def test_questions_that_cannot_be(wild, random_codes, hidden, other, what):
    with pytest.raises(DataError, match=f"{what} are"):
        wild.read_windows(random_codes(), hidden=hidden, other=other)
