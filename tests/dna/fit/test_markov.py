"""Markov models of bases, against dictionaries and entropies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.dna.fit._loader import window_loaders
from r2mae_bio.dna.fit._markov import MarkovModel, markov_floors
from r2mae_bio.io import Genome, Intervals, encode_bases, reverse_complement, split_genome

from .conftest import write

L, N_WINDOWS = 32, 90


def codes_of(batches) -> list[np.ndarray]:
    return [batch.codes.numpy() for batch in batches]


def naive_counts(pieces: list[str], j: int) -> Counter:
    """Words of j + 1 known letters on both strands."""
    both = [*pieces, *map(reverse_complement, pieces)]
    words = (text[i : i + j + 1] for text in both for i in range(len(text) - j))
    return Counter(word for word in words if "N" not in word)


def naive_probability(pieces: list[str], context: str, base: str, strength: float) -> float:
    """By the formula, from the longest context down; an unknown letter cuts the context."""
    known = context.rpartition("N")[2]
    if known != context:
        return naive_probability(pieces, known, base, strength)
    n = naive_counts(pieces, len(context))
    shorter = naive_probability(pieces, context[1:], base, strength) if context else 0.25
    return (n[context + base] + strength * shorter) / (sum(n[context + b] for b in "ACGT") + strength)


def test_counts_on_a_toy_are_those_made_by_hand(tmp_path) -> None:
    genome = write(tmp_path, {"a": "AACNA"})
    model = MarkovModel.count(genome, Intervals.whole(genome), 1, strength=1.0)
    # Forward AAC and A, backward GTT and T: 3 A, 1 C, 1 G, 3 T; pairs AA, AC, GT, TT.
    order0 = np.array([3 + 0.25, 1 + 0.25, 1 + 0.25, 3 + 0.25]) / 9
    np.testing.assert_allclose(np.exp(model.log_probs[0]), order0)
    pairs = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]])
    order1 = (pairs + order0) / (pairs.sum(1, keepdims=True) + 1)
    np.testing.assert_allclose(np.exp(model.log_probs[1]), np.vstack([order1, order0]))
    nats = model.nats(encode_bases("CNAA"))
    np.testing.assert_allclose(nats, [-np.log(order0[1]), np.nan, -np.log(order0[0]), -np.log(order1[0, 0])])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text("ACGTN", min_size=2, max_size=40), st.text("ACGTN", min_size=1, max_size=12), st.integers(0, 3))
def test_a_model_is_the_formula_over_dictionaries(tmp_path_factory, bases, row, order) -> None:
    genome = write(tmp_path_factory.mktemp("markov"), {"a": bases})
    cut = len(bases) // 2
    intervals = Intervals.of(genome, [0, 0], [0, cut + 1], [cut, len(bases)])
    pieces = [bases[:cut], bases[cut + 1 :]]
    model = MarkovModel.count(genome, intervals, order, strength=2.5)
    nats = model.nats(encode_bases(row)[None])[0]
    for t, base in enumerate(row):
        if base == "N":
            assert np.isnan(nats[t])
        else:
            expected = naive_probability(pieces, row[max(0, t - order) : t], base, 2.5)
            assert nats[t] == pytest.approx(-np.log(expected))


@pytest.mark.parametrize("order", range(5))
def test_probabilities_add_up_for_every_context(genome, order) -> None:
    model = MarkovModel.count(genome, Intervals.whole(genome), 4)
    np.testing.assert_allclose(np.exp(model.log_probs[order]).sum(-1), 1)
    np.testing.assert_array_equal(model.log_probs[order], MarkovModel.count(genome, Intervals.whole(genome), order).log_probs[-1])


def test_counts_do_not_depend_on_the_strand(upper, tmp_path) -> None:
    other = write(tmp_path, {"chr1": reverse_complement(upper.fetch("chr1"))})
    a, b = (MarkovModel.count(g, Intervals.whole(g), 3) for g in (upper, other))
    np.testing.assert_array_equal(a.log_probs[3], b.log_probs[3])


def test_the_floor_of_a_markov_chain_is_its_entropy(tmp_path) -> None:
    """The chain is reversible and equal on both strands, so its joint law is symmetric under
    exchange and under complement.
    """
    rng = np.random.default_rng(11)
    joint = rng.gamma(0.4, 1.0, (4, 4))
    joint = joint + joint.T
    joint = joint + joint[::-1, ::-1]
    joint /= joint.sum()
    margin = joint.sum(1)
    entropy = -(joint * np.log(joint / margin[:, None])).sum()
    steps = np.cumsum(joint / margin[:, None], axis=1)
    u, state, chain = rng.random(120_000), 0, []
    for x in u:
        state = min(3, int(np.searchsorted(steps[state], x)))
        chain.append("ACGT"[state])
    genome = write(tmp_path, {"a": "".join(chain)})
    split = split_genome(genome, validation=0.5)
    codes = encode_bases(genome.windows(np.arange(60_000, 119_000, 500), 500))
    floors = markov_floors(genome, split, codes, orders=(3, 0, 1))
    assert list(floors) == [3, 0, 1]
    assert floors[1] == pytest.approx(entropy, abs=0.02)
    assert floors[3] == pytest.approx(entropy, abs=0.02)
    assert floors[0] == pytest.approx(-(margin * np.log(margin)).sum(), abs=0.02)
    assert floors[0] > floors[1] + 0.02
    assert markov_floors(genome, split.train, codes, orders=[1]) == {1: floors[1]}


def test_the_floor_leaves_unknown_bases_out(upper) -> None:
    codes = encode_bases(upper.windows(np.array([0, 100]), L))
    split = split_genome(upper, validation=0)
    padded = np.concatenate([np.full((2, 5), 4, np.uint8), codes], axis=1)
    assert markov_floors(upper, split, padded) == pytest.approx(markov_floors(upper, split, codes))


def test_floors_that_cannot_be(upper) -> None:
    split, codes = split_genome(upper, validation=0), np.full((2, 5), 4, np.uint8)
    with pytest.raises(DataError, match="None of the 10 bases"):
        markov_floors(upper, split, codes)
    for order in (-1, 9, 1.5, True):
        with pytest.raises(ConfigError, match="from 0 to 8"):
            markov_floors(upper, split, codes, orders=(0, order))
    model = MarkovModel.count(upper, split.train, 2)
    with pytest.raises(ConfigError, match="order=3"):
        model.nats(codes, 3)
    with pytest.raises(ConfigError, match="strength"):
        MarkovModel.count(upper, split.train, 2, strength=0)


@pytest.mark.shared_data
def test_floors_of_a_real_genome(shared_data, tmp_path) -> None:
    """A bacterium is nearly balanced in composition, and five bases before a base tell a few
    hundredths of a nat.
    """
    genome = Genome(shared_data / "dna" / "ecoli_k12" / "genome.fa.gz", cache_dir=tmp_path)
    split = split_genome(genome, validation=0.2)
    loader = window_loaders(genome, split, window=512, batch_size=128).validation
    floors = markov_floors(genome, split, np.concatenate(codes_of(loader)))
    assert floors[0] == pytest.approx(np.log(4), abs=0.002)
    assert 1.33 < floors[5] < 1.35
