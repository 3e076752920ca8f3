"""Embeddings of sequences: means of states, the same on both strands and in any company."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.io import encode_bases, reverse_complement

CLOSE = {"atol": 1e-5, "rtol": 0}


def test_an_embedding_is_the_mean_state_of_known_bases(wild, sequences):
    for text in sequences:
        if len(text) <= wild.window:
            codes = encode_bases(text)
            for layer in (0, -1):
                expected = wild.states(codes[None], layer=layer)[0][codes < 4].mean(0)
                np.testing.assert_allclose(wild.get_latent_representation([text], layer=layer)[0], expected, **CLOSE)


def test_embeddings_are_the_same_on_both_strands(wild, sequences):
    turned = [reverse_complement(text) for text in sequences]
    for settings in ({}, {"layer": 1}, {"overlap": 0}, {"overlap": 63}):
        found = wild.get_latent_representation(sequences, **settings)
        assert found.shape == (len(sequences), 16)
        assert np.isfinite(found).all()
        np.testing.assert_allclose(wild.get_latent_representation(turned, **settings), found, **CLOSE)
    forward = wild.get_latent_representation(sequences, strand="+")
    assert np.abs(wild.get_latent_representation(turned, strand="+") - forward).max() > 0.05
    assert np.std(found, axis=0).mean() > 0.02


@pytest.mark.parametrize("batch_size", [1, 4, None])
def test_embeddings_do_not_know_their_mates(wild, sequences, batch_size):
    whole = wild.get_latent_representation(sequences)
    order = np.random.default_rng(2).permutation(len(sequences))
    mixed = wild.get_latent_representation([sequences[i] for i in order], batch_size=batch_size)
    np.testing.assert_allclose(mixed, whole[order], **CLOSE)
    for i in (2, 5, 6):
        np.testing.assert_allclose(wild.get_latent_representation([sequences[i]])[0], whole[i], **CLOSE)


def test_letter_case_and_the_form_of_the_input_do_not_matter(wild, sequences, tmp_path):
    whole = wild.get_latent_representation(sequences)
    np.testing.assert_array_equal(wild.get_latent_representation([text.lower() for text in sequences]), whole)
    np.testing.assert_array_equal(wild.get_latent_representation(pd.Series(sequences)), whole)
    (tmp_path / "s.fa").write_text("".join(f">s{i}\n{text}\n" for i, text in enumerate(sequences)))
    np.testing.assert_array_equal(wild.get_latent_representation(tmp_path / "s.fa"), whole)


def test_nothing_known_is_no_number(wild):
    found = wild.get_latent_representation(["NNNN", "ACGT"])
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()
