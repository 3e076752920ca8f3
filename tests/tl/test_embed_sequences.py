"""``tl.embed_sequences``: tiles, means and slots, by models whose states are known."""

from __future__ import annotations

import gzip

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, FastaError, SetupError
from r2mae_bio.dna.model import _mean_states
from r2mae_bio.dna.model._tiles import plan_tiles
from r2mae_bio.io import Genome, encode_bases, reverse_complement

from .toy_readers import CHR1, RING, Reader, composition, random_text, whole_row


def neighbourhood(codes, reach=3):
    """Weighted codes from ``reach`` before a base to ``reach`` after it; no state depends on
    anything farther.
    """
    padded = np.pad(codes, ((0, 0), (reach, reach)), constant_values=7)
    parts = [padded[:, i : i + codes.shape[1]] * (i + 1) ** 1.5 for i in range(2 * reach + 1)]
    return np.stack([sum(parts), np.sin(sum(parts))], axis=2) / 50


LENGTHS = [1, 2, 7, 16, 17, 18, 31, 32, 33, 50, 64, 65, 101, 16, 50]


TEXTS = ["A" + random_text(n - 1, n) for n in LENGTHS]


# ---------------------------------------------------------------- tiles


def naive_embedding(text, model, overlap, strand):
    """Each base looks for the tiles whose middle is nearest."""
    codes, window = encode_bases(text), model.window
    tiles = plan_tiles([codes.size], window, overlap)
    total, n = np.zeros(model.n_dim), 0
    for place in np.flatnonzero(codes < 4):
        off = {s: abs(place - (s + (window - 1) / 2)) for s in tiles.start.tolist() if s <= place < s + window}
        best = [s for s, distance in off.items() if distance == min(off.values())]
        states = [model.states(codes[None, s : s + window], strand=strand)[0, place - s] for s in best]
        total, n = total + np.mean(states, axis=0), n + 1
    return total / n


@pytest.mark.parametrize("overlap", [0, 1, 4, 9, 15])
@pytest.mark.parametrize("strand", ["both", "+"])
def test_each_base_comes_from_the_tile_in_which_it_is_most_central(overlap, strand):
    model = Reader(whole_row, 16)
    texts = [text for text in TEXTS if len(text) > 16]
    found = rb.tl.embed_sequences(texts, model, overlap=overlap, strand=strand).obsm["X_r2mae"]
    expected = [naive_embedding(text, model, overlap, strand) for text in texts]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_tiles_do_not_show_where_states_depend_on_near_bases_alone():
    """With a reach of 3 bases and 8 or more shared, no base counts whose surroundings were cut."""
    whole = rb.tl.embed_sequences(TEXTS, Reader(neighbourhood, 1000))
    tiled = rb.tl.embed_sequences(TEXTS, Reader(neighbourhood, 16), overlap=8)
    np.testing.assert_allclose(tiled.obsm["X_r2mae"], whole.obsm["X_r2mae"], atol=1e-5)


def test_the_default_overlap_is_a_quarter():
    model = Reader(whole_row, 16)
    default, quarter, other = (rb.tl.embed_sequences(TEXTS, model, overlap=o).obsm["X_r2mae"] for o in (None, 4, 12))
    np.testing.assert_array_equal(default, quarter)
    assert np.abs(default - other).max() > 1e-3


# ---------------------------------------------------------------- means


def test_the_mean_is_over_known_bases_only():
    model = Reader(composition, 8)
    found = rb.tl.embed_sequences(["AACGN", "nnnT"], model, strand="+")
    np.testing.assert_allclose(found.obsm["X_r2mae"], [[0.5, 0.25, 0.25, 0], [0, 0, 0, 1]])
    both = rb.tl.embed_sequences(["AACGN"], model)
    np.testing.assert_allclose(both.obsm["X_r2mae"], [[0.25, 0.25, 0.25, 0.25]])
    assert found.obs["length"].tolist() == [5, 4]
    assert found.obs["n_valid"].tolist() == [4, 1]
    assert found.obs.dtypes.tolist() == [np.int64, np.int64]


def test_known_bases_are_counted_once_in_long_sequences():
    found = rb.tl.embed_sequences(TEXTS, Reader(composition, 16), strand="+", overlap=11)
    known = [[text.count(base) for base in "ACGT"] for text in TEXTS]
    assert found.obs["n_valid"].tolist() == np.sum(known, axis=1).tolist()
    np.testing.assert_allclose(found.obsm["X_r2mae"], known / np.sum(known, axis=1, keepdims=True), atol=1e-6)


def test_a_sequence_and_its_reverse_complement_are_one_with_both_strands():
    model = Reader(whole_row, 16)
    other = [reverse_complement(text) for text in TEXTS]
    for overlap in (0, 3, 5):
        here, there = (rb.tl.embed_sequences(t, model, overlap=overlap).obsm["X_r2mae"] for t in (TEXTS, other))
        np.testing.assert_allclose(here, there, atol=1e-5)
    here, there = (rb.tl.embed_sequences(t, model, strand="+").obsm["X_r2mae"] for t in (TEXTS, other))
    assert np.abs(here - there).max() > 0.01


def test_neither_company_nor_order_nor_batches_matter(monkeypatch):
    model = Reader(whole_row, 16)
    together = rb.tl.embed_sequences(TEXTS, model).obsm["X_r2mae"]
    assert max(shape[0] for shape in model.shapes) > 10
    alone = np.concatenate([rb.tl.embed_sequences([text], model).obsm["X_r2mae"] for text in TEXTS])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    order = np.random.default_rng(1).permutation(len(TEXTS))
    shuffled = rb.tl.embed_sequences([TEXTS[i] for i in order], model).obsm["X_r2mae"]
    np.testing.assert_allclose(shuffled, together[order], atol=1e-5)
    monkeypatch.setattr(_mean_states, "_STATES_AT_ONCE", 70)
    model.shapes.clear()
    np.testing.assert_allclose(rb.tl.embed_sequences(TEXTS, model).obsm["X_r2mae"], together, atol=1e-5)
    assert max(rows * length * model.n_dim for rows, length in model.shapes) <= 70


def test_a_sequence_without_known_bases_is_nan_and_said_so():
    model = Reader(composition, 4)
    with pytest.warns(UserWarning, match=r"2 of 3 sequences hold no A, C, G or T.*: sequence_1, sequence_2"):
        found = rb.tl.embed_sequences(["ACGT", "N", "NNNNNRNNN"], model)
    assert np.isnan(found.obsm["X_r2mae"]).all(axis=1).tolist() == [False, True, True]
    assert found.obs["n_valid"].tolist() == [4, 0, 0]


# ---------------------------------------------------------------- slots and input


def test_names_slots_and_provenance_survive_h5ad(tmp_path):
    model = Reader(composition, 8)
    series = pd.Series(["ACGT", "GGGG"], index=["one", "two"])
    found = rb.tl.embed_sequences(series, model, layer=2, strand="+", key_added="X_mine")
    assert found.obs_names.tolist() == ["one", "two"]
    assert found.shape == (2, 0)
    assert found.obsm["X_mine"].dtype == np.float32
    assert set(model.layers) == {2}
    found.write_h5ad(tmp_path / "embedded.h5ad")
    back = ad.read_h5ad(tmp_path / "embedded.h5ad")
    np.testing.assert_array_equal(back.obsm["X_mine"], found.obsm["X_mine"])
    record = back.uns["r2mae"]["embed"]["X_mine"]
    expected = {"model": "Reader", "model_checksum": "c0ffee", "layer": 2, "strand": "+", "window": 8, "overlap": 2}
    assert expected.items() <= record.items()


def test_fasta_and_list_agree(tmp_path):
    path = tmp_path / "sequences.fa.gz"
    path.write_bytes(gzip.compress("".join(f">s{i} text\n{text}\n" for i, text in enumerate(TEXTS)).encode()))
    model = Reader(whole_row, 16)
    found = rb.tl.embed_sequences(path, model)
    assert found.obs_names.tolist() == [f"s{i}" for i in range(len(TEXTS))]
    np.testing.assert_array_equal(found.obsm["X_r2mae"], rb.tl.embed_sequences(TEXTS, model).obsm["X_r2mae"])


def test_what_cannot_be_used_is_refused():
    model = Reader(composition, 8)
    with pytest.raises(FastaError, match="at least one base"):
        rb.tl.embed_sequences(["ACGT", ""], model)
    with pytest.raises(ConfigError, match=r"strand='-' is not known"):
        rb.tl.embed_sequences(["ACGT"], model, strand="-")
    for overlap in (-1, 8, 2.5, True):
        with pytest.raises(ConfigError, match=r"overlap=.*from 0 to 7"):
            rb.tl.embed_sequences(["ACGT"], model, overlap=overlap)
    with pytest.raises(SetupError, match=r"a object, which has no method states\(\)"):
        rb.tl.embed_sequences(["ACGT"], object())


@pytest.fixture
def genome(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(f">chr1\n{CHR1}\n>ring\n{RING}\n>gap\n{'N' * 30}\n")
    return Genome(path, cache_dir=tmp_path / "cache", circular=["ring"])


# ---------------------------------------------------------------- the real model


def test_the_laws_hold_for_a_transformer(genome):
    """Weights are random: order, company, strand and the way in do not matter to any of them."""
    model = rb.model.DNAMAE(genome, window=32, preset="tiny", seed=0)
    model.initialize()
    texts = [text for text in TEXTS if len(text) > 2]
    together = rb.tl.embed_sequences(texts, model).obsm["X_r2mae"]
    assert np.abs(np.diff(together, axis=0)).max(axis=1).min() > 1e-3
    alone = np.concatenate([rb.tl.embed_sequences([text], model).obsm["X_r2mae"] for text in texts])
    np.testing.assert_allclose(alone, together, atol=1e-5)
    others = rb.tl.embed_sequences([reverse_complement(text) for text in texts], model, batch_size=2).obsm["X_r2mae"]
    np.testing.assert_allclose(others, together, atol=1e-5)
    region = rb.tl.embed_regions([("chr1", 5, 105, "b", "-")], genome, model).obsm["X_r2mae"]
    np.testing.assert_allclose(region, rb.tl.embed_sequences([CHR1[5:105]], model).obsm["X_r2mae"], atol=1e-5)
