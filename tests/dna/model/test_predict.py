"""Predictions of hidden bases, also of sequences longer than the window."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.io import encode_bases, reverse_complement

CLOSE = {"atol": 1e-5, "rtol": 0}


def test_hiding_one_at_a_time_is_log_probs_with_that_base_hidden(wild, sequences):
    text = sequences[2]
    codes, found = encode_bases(text), wild.predict([text])[0]
    assert found.dtype == np.float32
    for place in range(len(text)):
        hidden = np.arange(len(text))[None] == place
        np.testing.assert_allclose(found[place], np.exp(wild.log_probs(codes[None], hidden)[0, place]), **CLOSE)


def test_a_base_does_not_enter_its_own_prediction(wild, sequences):
    text = sequences[3]
    before = wild.predict([text])[0]
    for place in (0, 30, 63):
        other = text[:place] + ("A" if text[place] != "A" else "C") + text[place + 1 :]
        after = wild.predict([other])[0]
        np.testing.assert_allclose(after[place], before[place], **CLOSE)
        assert np.abs(np.delete(after, place, 0) - np.delete(before, place, 0)).max() > 1e-3


@pytest.mark.parametrize("settings", [{}, {"hidden_at_once": 5}, {"overlap": 0}, {"strand": "+", "hidden_at_once": 8}])
def test_predictions_add_up_to_one_at_every_position(wild, sequences, settings):
    for text, rows in zip(sequences, wild.predict(sequences, **settings), strict=True):
        assert rows.shape == (len(text), 4)  # N has probabilities too
        np.testing.assert_allclose(rows.sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("hidden_at_once", [1, 4, 1000])
def test_predictions_are_the_same_on_both_strands(wild, sequences, hidden_at_once):
    found = wild.predict(sequences, hidden_at_once=hidden_at_once)
    turned = wild.predict([reverse_complement(text) for text in sequences], hidden_at_once=hidden_at_once)
    for rows, others in zip(found, turned, strict=True):
        np.testing.assert_allclose(others[::-1, ::-1], rows, **CLOSE)


def test_predictions_do_not_depend_on_batches(wild, sequences):
    whole = wild.predict(sequences, hidden_at_once=3)
    for other in (wild.predict(sequences[::-1], hidden_at_once=3, batch_size=2)[::-1],):
        for rows, same in zip(whole, other, strict=True):
            np.testing.assert_allclose(same, rows, **CLOSE)


def test_a_long_sequence_is_predicted_from_the_tile_in_whose_middle_a_base_lies(wild, sequences):
    """Without overlap and twice as long as the window, the halves are two sequences."""
    text = sequences[-3][:128]
    halves = wild.predict([text[:64], text[64:]], hidden_at_once=16)
    np.testing.assert_allclose(wild.predict([text], hidden_at_once=16, overlap=0)[0], np.concatenate(halves), **CLOSE)
