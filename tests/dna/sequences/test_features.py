"""Counts and places of words, against a search."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from r2mae_bio.errors import DataError
from r2mae_bio.io import (
    encode_sequences,
    kmer_counts,
    positional_one_hot,
    reverse_complement,
)

from ..toy_sequences import random_codes


@pytest.mark.parametrize("k", [1, 3])
def test_kmer_counts_are_those_of_a_search(k):
    sequences = ["ACGTTNACG", "GG", "TTTTTTA", "C"]
    words = ["".join(word) for word in product("ACGT", repeat=k)]
    expected = [[sum(s[i : i + k] == word for i in range(len(s))) for word in words] for s in sequences]
    np.testing.assert_array_equal(kmer_counts(encode_sequences(sequences), k).toarray(), expected)


def test_kmers_of_both_strands_do_not_tell_them_apart():
    codes = random_codes(20)
    both = kmer_counts(codes, 4, both_strands=True)
    assert (both != kmer_counts(reverse_complement(codes), 4, both_strands=True)).nnz == 0
    assert (kmer_counts(codes, 4) != kmer_counts(reverse_complement(codes), 4)).nnz > 0
    np.testing.assert_array_equal(both.sum(axis=1), kmer_counts(codes, 4).sum(axis=1))


def test_positions_are_those_of_the_words():
    codes = random_codes(5, 6)
    codes[0, 2] = 4
    for k in (1, 2):
        dense = positional_one_hot(codes, k=k).toarray().reshape(5, 6 - k + 1, 4**k)
        for row, start in np.ndindex(dense.shape[:2]):
            word = codes[row, start : start + k]
            expected = np.zeros(4**k)
            if word.max() < 4:
                expected[int("".join(map(str, word)), 4)] = 1
            np.testing.assert_array_equal(dense[row, start], expected)
    with pytest.raises(DataError, match="shape"):
        positional_one_hot(codes[0])
