"""Letters, codes and one-hot rows: oracles from Biopython, round trips, symmetries."""

from __future__ import annotations

import numpy as np
import pytest
from Bio.Seq import Seq
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.io import decode_bases, encode_bases, one_hot_encode, reverse_complement, soft_mask

IUPAC = st.text("ACGTNRYSWKMBDHVacgtnryswkmbdhv", max_size=80)


def ascii_bytes(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), np.uint8)


def test_every_byte_has_a_code() -> None:
    codes = encode_bases(np.arange(256, dtype=np.uint8))
    for letters, code in (("Aa", 0), ("Cc", 1), ("Gg", 2), ("Tt", 3)):
        assert [codes[ord(letter)] for letter in letters] == [code, code]
    assert np.count_nonzero(codes == 4) == 256 - 8


@given(IUPAC)
def test_codes_of_all_forms_agree_and_decode(text) -> None:
    codes = encode_bases(text)
    assert codes.dtype == np.uint8
    assert np.array_equal(codes, encode_bases(text.encode()))
    assert np.array_equal(codes, encode_bases(ascii_bytes(text)))
    assert decode_bases(codes) == "".join(letter if letter in "ACGT" else "N" for letter in text.upper())


@given(IUPAC)
def test_reverse_complement_agrees_with_biopython_on_all_forms(text) -> None:
    expected = str(Seq(text).reverse_complement())
    assert reverse_complement(text) == expected
    assert reverse_complement(text.encode()) == expected.encode()
    assert np.array_equal(reverse_complement(ascii_bytes(text)), ascii_bytes(expected))
    assert np.array_equal(reverse_complement(encode_bases(text)), encode_bases(expected))
    assert reverse_complement(reverse_complement(text)) == text


def test_reverse_complement_works_along_the_last_axis() -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 5, (3, 4, 7)).astype(np.uint8)
    flipped = reverse_complement(codes)
    assert all(np.array_equal(flipped[i, j], reverse_complement(codes[i, j])) for i in range(3) for j in range(4))
    assert flipped.flags.writeable


@given(IUPAC)
def test_soft_mask_is_lower_case(text) -> None:
    assert soft_mask(text).tolist() == [letter.islower() for letter in text]


@given(IUPAC)
def test_one_hot_rows(text) -> None:
    rows = one_hot_encode(text)
    assert rows.shape == (len(text), 4)
    assert rows.dtype == np.float32
    assert np.array_equal(rows, one_hot_encode(encode_bases(text)))
    for letter, row in zip(text.upper(), rows, strict=True):
        assert row.tolist() == [float(letter == base) for base in "ACGT"]
    uniform = one_hot_encode(text, unknown="uniform", dtype=np.float64)
    assert np.allclose(uniform.sum(1), 1)
    assert np.array_equal(uniform[rows.sum(1) == 0], np.full((int((rows.sum(1) == 0).sum()), 4), 0.25))


def test_reversed_one_hot_is_the_reverse_complement() -> None:
    """In the order A C G T the complement reverses the columns."""
    codes = np.random.default_rng(1).integers(0, 5, (6, 31)).astype(np.uint8)
    assert np.array_equal(one_hot_encode(reverse_complement(codes)), one_hot_encode(codes)[:, ::-1, ::-1])


def test_misuse_is_refused() -> None:
    with pytest.raises(DataError, match="reach 84.*call encode_bases first"):
        one_hot_encode(ascii_bytes("ACGT"))
    with pytest.raises(DataError, match="dtype int64"):
        encode_bases(np.arange(4))
    with pytest.raises(DataError, match="3 axes"):
        decode_bases(np.zeros((1, 1, 1), np.uint8))
    with pytest.raises(ConfigError, match="unknown='mean'"):
        one_hot_encode("A", unknown="mean")
    with pytest.raises(ConfigError, match="int8 cannot hold a quarter"):
        one_hot_encode("A", unknown="uniform", dtype=np.int8)
    assert decode_bases(encode_bases(np.frombuffer(b"ACgn", np.uint8).reshape(2, 2))) == ["AC", "GN"]
    assert encode_bases("Aé€").tolist() == [0, 4, 4]
