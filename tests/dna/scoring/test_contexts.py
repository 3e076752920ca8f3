"""Means by context: strands, hand answers, and what drawing to the mean gains."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.scoring._contexts import canonical, context_means, context_names, look_up
from r2mae_bio.io import decode_bases, encode_bases, reverse_complement


def simulated(n: int, stream: str, *, spread: tuple[float, float] = (1.0, 1.0)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = derive_generator(2, stream)
    words = rng.integers(0, 4, (n, 5)).astype(np.uint8)
    alt = ((words[:, 2] + rng.integers(1, 4, n)) % 4).astype(np.uint8)
    return words, alt, rng.normal(size=n) * spread[1]


def row(levels: list, level: int, context: str, alt: str) -> tuple[float, ...]:
    at = context_names((1, 3, 5)[level]).index(context), "ACGT".index(alt)
    means = levels[level]
    return tuple(float(getattr(means, name)[at]) for name in ("n", "mean", "sd", "expected", "spread"))


def test_context_names_are_in_the_order_of_word_numbers() -> None:
    assert context_names(1) == ["A", "C", "G", "T"]
    names = context_names(3)
    assert names == sorted(names)
    assert len(set(names)) == 64


@given(st.lists(st.integers(0, 4), min_size=5, max_size=5).filter(lambda word: word[2] < 4), st.integers(0, 3))
def test_both_strands_have_one_form(word: list[int], alt: int) -> None:
    words, bases = np.array([word], np.uint8), np.array([alt], np.uint8)
    one = canonical(words, bases)
    other = canonical(reverse_complement(words), 3 - bases)
    assert decode_bases(one[0]) == decode_bases(other[0])
    assert one[1] == other[1]
    assert one[0][0, 2] in (1, 3)


def test_hand_answers_of_counts_means_and_deviations() -> None:
    """GACGT>T seen twice, once from each strand, and CCCCC>A once."""
    words = np.stack([encode_bases("GACGT"), reverse_complement(encode_bases("GACGT")), encode_bases("CCCCC")])
    levels = context_means(words, encode_bases("TAA"), np.array([-1.0, -3.0, 5.0]))
    assert row(levels, 2, "GACGT", "T")[:3] == (2, -2, pytest.approx(np.sqrt(2)))
    assert row(levels, 1, "ACG", "T")[:3] == (2, -2, pytest.approx(np.sqrt(2)))
    assert row(levels, 0, "C", "A")[:2] == (1, 5)
    assert np.isnan(row(levels, 0, "C", "A")[2])
    assert [int(level.n.sum()) for level in levels] == [3, 3, 3]
    assert np.isnan(row(levels, 0, "T", "A")[3])  # nothing was seen of it


def test_without_differences_between_contexts_all_is_the_substitution() -> None:
    """Noise alone: what contexts seem to differ by is drawn away."""
    words, alt, values = simulated(4000, "noise")
    levels = context_means(words, alt, values)
    substitution = np.nanstd(levels[0].expected)
    raw, drawn = (np.nanstd(getattr(levels[2], name)) for name in ("mean", "expected"))
    assert drawn < 0.25 * raw
    assert drawn < 2.5 * substitution + 0.02
    seen = levels[2].n > 0
    assert abs(np.mean(levels[2].spread[seen]) - 1) < 0.05


def test_without_noise_every_context_keeps_its_mean() -> None:
    words, alt, _ = simulated(6000, "exact")
    own, bases = canonical(words, alt)
    values = derive_generator(3, "exact").normal(size=(4**5, 4))[own @ 4 ** np.arange(5)[::-1], bases]
    levels = context_means(words, alt, values)
    seen = levels[2].n > 1
    np.testing.assert_allclose(levels[2].expected[seen], levels[2].mean[seen], atol=1e-9)


def test_drawn_means_are_nearer_to_the_truth_than_raw_and_shorter_ones() -> None:
    """Contexts that differ by as much as single sites, few sites each: raw pentanucleotides are
    noisy, trinucleotides are blunt.
    """
    words, alt, noise = simulated(5000, "mixed")
    own, bases = canonical(words, alt)
    rng = derive_generator(4, "truth")
    three, five = rng.normal(size=(64, 4)), 0.5 * rng.normal(size=(1024, 4))
    inside = np.arange(1024) // 4 % 64
    truth = three[inside] + five
    levels = context_means(words, alt, truth[own @ 4 ** np.arange(5)[::-1], bases] + noise)
    seen = levels[2].n > 0

    def error(found: np.ndarray) -> float:
        return float(np.mean((found[seen] - truth[seen]) ** 2))

    drawn, raw, blunt = error(levels[2].expected), error(levels[2].mean), error(levels[1].mean[inside])
    assert drawn < 0.9 * raw
    assert drawn < 0.9 * blunt
    assert (levels[2].spread[seen] > 0).all()


def test_unknown_bases_beside_a_site_shorten_its_context() -> None:
    words, alt, values = simulated(3000, "look up")
    levels = context_means(words, alt, values)
    word = np.array([[0, 1, 1, 2, 3], [4, 1, 1, 2, 3], [4, 4, 1, 2, 3], [0, 1, 1, 2, 4]], np.uint8)
    expected, spread = look_up(levels, word, np.full(4, 3, np.uint8))
    rows = [row(levels, 2, "ACCGT", "T"), row(levels, 1, "CCG", "T"), row(levels, 0, "C", "T"), row(levels, 1, "CCG", "T")]
    assert expected.tolist() == [r[3] for r in rows]
    assert spread.tolist() == [r[4] for r in rows]
    turned, _ = look_up(levels, reverse_complement(word), np.zeros(4, np.uint8))
    assert turned.tolist() == expected.tolist()
