"""Words as numbers of their letters."""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from r2mae_bio.dna.genome._kmers import canonical_words, known_words, word_numbers
from r2mae_bio.io import (
    encode_bases,
    reverse_complement,
)

many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@many
@given(st.text("ACGTN", min_size=1, max_size=80), st.integers(1, 32))
@example("T" * 33, 32)
def test_words_are_numbers_of_their_letters(bases, k) -> None:
    codes = encode_bases(bases)
    if len(bases) < k:
        return
    words = [bases[i : i + k] for i in range(len(bases) - k + 1)]
    known = ["N" not in word for word in words]
    np.testing.assert_array_equal(known_words(codes, k), known)

    def number(word: str) -> int:
        return int(word.translate(str.maketrans("ACGT", "0123")), 4)

    expected = [min(number(w), number(reverse_complement(w))) for w, ok in zip(words, known, strict=True) if ok]
    assert canonical_words(codes, k)[known].tolist() == expected


@given(st.lists(st.integers(0, 4), min_size=9, max_size=40), st.integers(1, 9))
def test_words_of_another_alphabet(letters, k) -> None:
    numbers = word_numbers(np.array([letters, letters[::-1]], np.uint8), k, base=5, dtype=np.int32)
    for row, source in zip(numbers, (letters, letters[::-1]), strict=True):
        assert row.tolist() == [int("".join(map(str, source[i : i + k])), 5) for i in range(len(source) - k + 1)]
