"""What a DNA model says of codes: strands, mates, hidden bases, and what it refuses to read."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio._errors import DataError

CLOSE = {"atol": 1e-5, "rtol": 0}


def other_strand(codes):
    return np.where(codes < 4, 3 - codes, 4).astype(codes.dtype)[:, ::-1]


# ---------------------------------------------------------------- log-probabilities


def test_probabilities(wild, random_codes):
    found = wild.log_probs(random_codes())
    assert found.shape == (5, 64, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.exp(found).sum(-1), 1, atol=1e-5)
    assert np.exp(found).max(-1).mean() > 0.4  # far from flat


def test_hidden_bases_are_not_read(wild, random_codes):
    codes = random_codes(unknown=0)
    hidden = np.random.default_rng(0).random(codes.shape) < 0.4
    expected = wild.log_probs(codes, hidden)
    np.testing.assert_array_equal(wild.log_probs(np.where(hidden, 3 - codes, codes), hidden), expected)
    np.testing.assert_array_equal(wild.log_probs(np.where(hidden, 4, codes)), expected)
    assert np.abs(wild.log_probs(codes) - expected).max() > 0.1


def test_both_strands_are_the_normalised_mean_of_two_readings(wild, random_codes):
    codes = random_codes()
    forward = wild.log_probs(codes, strand="+")
    backward = wild.log_probs(other_strand(codes), strand="+")[:, ::-1, ::-1]
    mean = (forward + backward) / 2
    expected = mean - np.log(np.exp(mean).sum(-1, keepdims=True))
    np.testing.assert_allclose(wild.log_probs(codes), expected, **CLOSE)
    assert np.abs(forward - backward).max() > 0.5  # the network itself is not symmetric


def test_symmetry_of_log_probs_and_states(wild, random_codes):
    codes = random_codes()
    hidden = np.random.default_rng(1).random(codes.shape) < 0.3
    turned = wild.log_probs(other_strand(codes), hidden[:, ::-1])[:, ::-1, ::-1]
    np.testing.assert_allclose(turned, wild.log_probs(codes, hidden), **CLOSE)
    for layer in (0, 1, -1):
        turned = wild.states(other_strand(codes), layer=layer)[:, ::-1]
        np.testing.assert_allclose(turned, wild.states(codes, layer=layer), **CLOSE)


@pytest.mark.parametrize("batch_size", [1, 3, 1000])
def test_mates_order_and_batch_size_do_not_matter(wild, random_codes, batch_size):
    codes = random_codes(7)
    whole, states = wild.log_probs(codes), wild.states(codes)
    np.testing.assert_allclose(wild.log_probs(codes, batch_size=batch_size), whole, **CLOSE)
    np.testing.assert_allclose(wild.states(codes, batch_size=batch_size), states, **CLOSE)
    np.testing.assert_allclose(wild.log_probs(codes[::-1]), whole[::-1], **CLOSE)
    np.testing.assert_allclose(wild.log_probs(codes[2:3], batch_size=batch_size), whole[2:3], **CLOSE)


def test_no_rows_give_no_rows(wild, random_codes):
    nothing = random_codes()[:0]
    assert wild.log_probs(nothing).shape == (0, 64, 4)
    assert wild.states(nothing).shape == (0, 64, 16)


def test_integers_of_any_kind_and_views(wild, random_codes):
    codes = random_codes()
    expected = wild.log_probs(codes)
    for same in (codes.astype(np.int64), codes.tolist(), np.asfortranarray(codes), np.broadcast_to(codes, (1, 5, 64))[0]):
        np.testing.assert_array_equal(wild.log_probs(same), expected)


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros((2, 65), np.uint8), r"shape \(2, 65\).*length 1 to 64"),
        (np.zeros(9, np.uint8), r"shape \(9,\)"),
        (np.zeros((2, 0), np.uint8), "length 1 to 64"),
        (np.zeros((2, 9)), "float64"),
        (np.zeros((2, 9), bool), "bool"),
        (np.full((2, 9), 5), "run from 5 to 5"),
        (np.full((2, 9), -1), "run from -1 to -1"),
    ],
)
def test_codes_that_cannot_be(wild, codes, words):
    for read in (wild.log_probs, wild.states):
        with pytest.raises(DataError, match=words):
            read(codes)


@pytest.mark.parametrize("hidden", [np.zeros((2, 8), bool), np.zeros((2, 9), int), np.zeros(9, bool)])
def test_masks_that_cannot_be(wild, hidden):
    with pytest.raises(DataError, match=r"hidden is .*booleans of the shape of the codes, \(2, 9\)"):
        wild.log_probs(np.zeros((2, 9), np.uint8), hidden)
