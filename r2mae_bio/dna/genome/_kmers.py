"""Short words of bases as numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna.genome._bases import UNKNOWN

if TYPE_CHECKING:
    from numpy.typing import DTypeLike, NDArray

MAX_K = 32
"""Longest word that fits 64 bits, two for a base."""


def word_numbers(codes: NDArray[np.uint8], k: int, *, base: int = 4, dtype: DTypeLike = np.uint64) -> NDArray[Any]:
    """Numbers of all words of ``k`` letters, the first letter counting most.

    Words of twice the length are made of two at a time, so the work grows with the logarithm of
    ``k``.

    Parameters
    ----------
    codes
        Letters below ``base``, uint8 (..., L).
    k
        Letters of a word, from 1 to L.
    base
        Size of the alphabet.
    dtype
        Type that holds ``base**k - 1``.

    Returns
    -------
    Number of the word that begins at each place, (..., L - k + 1).
    """
    n_words = codes.shape[-1] - k + 1
    pieces, size, length = codes.astype(dtype), 1, 0
    words = pieces[..., :0]
    while True:
        if k & size:  # the binary digits of k say of which pieces a word is made
            piece = pieces[..., length : length + n_words]
            words = (
                words * np.array(base**size, dtype) + piece if length else piece
            )  # base**k itself may be too large for the type
            length += size
        if length == k:
            return words
        pieces = pieces[..., :-size] * np.array(base**size, dtype) + pieces[..., size:]
        size *= 2


def known_words(codes: NDArray[np.uint8], k: int) -> NDArray[np.bool_]:
    """Which words consist of A, C, G and T.

    Parameters
    ----------
    codes
        Codes of bases, uint8 (L,).
    k
        Bases of a word, from 1 to L.

    Returns
    -------
    For the word that begins at each place, bool (L - k + 1,).
    """
    unknown = np.concatenate([[0], np.cumsum(codes >= UNKNOWN, dtype=np.int32)])
    return unknown[k:] == unknown[:-k]


def canonical_words(codes: NDArray[np.uint8], k: int) -> NDArray[np.uint64]:
    """Numbers that words have in common with their reverse complements: the smaller of both.

    Parameters
    ----------
    codes
        Codes of bases, uint8 (L,); for words with unknown bases the number means nothing, see
        :func:`known_words`.
    k
        Bases of a word, from 1 to 32.

    Returns
    -------
    Number for the word that begins at each place, uint64 (L - k + 1,).
    """
    known = codes & np.uint8(3)
    return np.minimum(word_numbers(known, k), word_numbers(np.uint8(3) - known[::-1], k)[::-1])


def check_k(k: int) -> None:
    """Refuse words that do not fit 64 bits.

    Parameters
    ----------
    k
        Bases of a word.

    Raises
    ------
    ConfigError
        Not a whole number from 1 to 32.
    """
    if not isinstance(k, int | np.integer) or isinstance(k, bool) or not 1 <= k <= MAX_K:
        message = f"k={k!r} is no length of a word; needed is a whole number from 1 to {MAX_K}."
        raise ConfigError(message)
