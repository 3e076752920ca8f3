"""What a DNA model says of sequences: strands, mates, tiles, hidden bases, and what it refuses to
read.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from r2mae_bio._errors import ConfigError, DataError, FastaError, NotDNAError, NotTrainedError
from r2mae_bio.core._precision import choose_precision
from r2mae_bio.io import decode_bases, encode_bases, reverse_complement

CLOSE = {"atol": 1e-5, "rtol": 0}
LENGTHS = (1, 2, 17, 64, 65, 150, 300)


def other_strand(codes):
    return np.where(codes < 4, 3 - codes, 4).astype(codes.dtype)[:, ::-1]


@pytest.fixture(scope="module")
def sequences():
    """Shorter and longer than the window, some with N."""
    rng = np.random.default_rng(5)
    texts = [decode_bases(rng.integers(0, 4, n).astype(np.uint8)) for n in LENGTHS]
    return [*texts, texts[-1][:40] + "NNNNN" + texts[-1][45:120], "NACGTTN"]


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


# ---------------------------------------------------------------- embeddings


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


# ---------------------------------------------------------------- predictions


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


# ---------------------------------------------------------------- what is refused


def test_nothing_is_read_without_weights(new, random_codes, tmp_path):
    model = new()
    codes = random_codes()
    for call in (
        lambda: model.log_probs(codes),
        lambda: model.states(codes),
        lambda: model.predict(["ACGT"]),
        lambda: model.get_latent_representation(["ACGT"]),
        lambda: model.save(tmp_path / "m"),
        model.checksum,
    ):
        with pytest.raises(NotTrainedError, match=r"call train\(\)"):
            call()
    assert not (tmp_path / "m").exists()


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


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"strand": "-"}, "strand='-'"), ({"batch_size": 0}, "batch_size is 0"), ({"batch_size": 2.5}, "batch_size is 2.5")],
)
def test_settings_that_cannot_be(wild, settings, words):
    codes = np.zeros((2, 9), np.uint8)
    for call in (wild.log_probs, wild.states):
        with pytest.raises(ConfigError, match=words):
            call(codes, **settings)
    for call in (wild.predict, wild.get_latent_representation):
        with pytest.raises(ConfigError, match=words):
            call(["ACGT"], **settings)


def test_layers_overlaps_and_hidden_at_once_that_cannot_be(wild):
    for layer in (3, -4):
        with pytest.raises(ConfigError, match=f"layer={layer}"):
            wild.states(np.zeros((2, 9), np.uint8), layer=layer)
        with pytest.raises(ConfigError, match=f"layer={layer}"):
            wild.get_latent_representation(["ACGT"], layer=layer)
    for overlap in (64, -1):
        for call in (wild.predict, wild.get_latent_representation):
            with pytest.raises(ConfigError, match=f"overlap={overlap}"):
                call(["ACGT"], overlap=overlap)
    for n in (0, 2.5):
        with pytest.raises(ConfigError, match=f"hidden_at_once is {n}"):
            wild.predict(["ACGT"], hidden_at_once=n)


def test_sequences_that_cannot_be(wild):
    for call in (wild.predict, wild.get_latent_representation):
        with pytest.raises(NotDNAError, match="'E' 'F'"):
            call(["ACGT", "MEF"])
        with pytest.raises(FastaError, match="put a single sequence into a list"):
            call("ACGT")
        with pytest.raises(FastaError, match="at least one"):
            call([])


# ---------------------------------------------------------------- arithmetic


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_a_named_precision_is_taken(precision):
    assert choose_precision(precision, "auto") == precision


@pytest.mark.parametrize(
    ("cuda", "cuda_bf16", "cpu_bf16", "accelerator", "expected"),
    [
        (True, True, False, "auto", "bf16-mixed"),
        (True, True, False, "gpu", "bf16-mixed"),
        (True, False, True, "auto", "32-true"),
        (True, True, False, "cpu", "32-true"),
        (True, False, True, "cpu", "bf16-mixed"),
        (False, False, True, "auto", "bf16-mixed"),
        (False, False, False, "auto", "32-true"),
        (False, False, True, "mps", "32-true"),
    ],
)
def test_auto_is_bfloat16_where_the_hardware_has_it(monkeypatch, cuda, cuda_bf16, cpu_bf16, accelerator, expected):
    monkeypatch.setattr("torch.cuda.is_available", lambda: cuda)
    monkeypatch.setattr("torch.cuda.is_bf16_supported", lambda: cuda_bf16)
    monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda: cpu_bf16, raising=False)
    monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda: False, raising=False)
    assert choose_precision("auto", accelerator) == expected
