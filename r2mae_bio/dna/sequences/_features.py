"""Sequences as sparse tables: k-mer counts, and bases by position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["kmer_counts", "positional_one_hot"]

_MAX_K: Final = 12


def kmer_counts(codes: Sequence[NDArray[np.uint8]], k: int, *, both_strands: bool = False) -> sparse.csr_array:
    """Count the k-mers of every sequence.

    A k-mer that holds an unknown base is not counted. The column of a k-mer is its bases read as
    digits to the base four, A 0, C 1, G 2, T 3, the first base the highest digit.

    Parameters
    ----------
    codes
        Codes of the sequences, each uint8 (L,); lengths may differ. A two-dimensional array is its
        rows.
    k
        Length of a k-mer in bp, from 1 to 12.
    both_strands
        Count a k-mer and its reverse complement together, in the lower of their columns; the other
        stays empty.

    Returns
    -------
    Counts, float32 (sequences, 4**k).

    Raises
    ------
    ConfigError
        ``k`` is out of range.

    Examples
    --------
    >>> from r2mae_bio.io import encode_bases, kmer_counts
    >>> kmer_counts([encode_bases("AACA")], 1).toarray().tolist()
    [[3.0, 1.0, 0.0, 0.0]]
    """
    if not 1 <= k <= _MAX_K:
        message = f"k is {k}; needed is a length from 1 to {_MAX_K}."
        raise ConfigError(message)
    flat, row = _flatten(codes)
    word, known = _words(flat, row, k)
    word, row = word[known], row[: len(known)][known]
    if both_strands:
        word = np.minimum(word, _other_strand(word, k))
    ones = np.ones(len(word), np.float32)
    return sparse.coo_array((ones, (row, word)), shape=(len(codes), 4**k)).tocsr()


def positional_one_hot(codes: NDArray[np.uint8], *, k: int = 1) -> sparse.csr_array:
    """Which k-mer stands at which position.

    Parameters
    ----------
    codes
        Codes of sequences of one length, uint8 (B, L).
    k
        1 for bases, 2 for dinucleotides.

    Returns
    -------
    Zeros and ones, float32 (B, (L - k + 1) * 4**k), positions outside, k-mers inside; a k-mer that
    holds an unknown base is all zeros.

    Raises
    ------
    DataError
        The codes are not two-dimensional, or shorter than ``k``.
    """
    if codes.ndim != 2 or codes.shape[1] < k:
        message = f"The codes have shape {codes.shape}; needed are sequences of one length of at least {k} bp, (B, L)."
        raise DataError(message)
    rows, length = codes.shape
    flat, row = _flatten(codes)
    word, known = _words(flat, row, k)
    start = np.flatnonzero(known)
    column = (start % length) * 4**k + word[known]
    shape = (rows, (length - k + 1) * 4**k)
    return sparse.coo_array((np.ones(len(start), np.float32), (row[start], column)), shape=shape).tocsr()


def _flatten(codes: Sequence[NDArray[np.uint8]] | NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """All bases one after the other, and the sequence that each is of."""
    lengths = [len(sequence) for sequence in codes]
    flat = codes.ravel() if isinstance(codes, np.ndarray) else np.concatenate([*codes, np.empty(0, np.uint8)])
    return flat, np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


def _words(flat: NDArray[np.uint8], row: NDArray[np.int32], k: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The k-mer that begins at each base, and whether it is within one sequence and known."""
    n = max(len(flat) - k + 1, 0)
    word, known = np.zeros(n, np.int32), np.ones(n, bool)
    for offset in range(k):
        base = flat[offset : offset + n]
        word = word * 4 + np.minimum(base, 3)
        known &= base < 4
    return word, known & (row[:n] == row[k - 1 : k - 1 + n])


def _other_strand(word: NDArray[np.int32], k: int) -> NDArray[np.int32]:
    turned = np.zeros_like(word)
    for _ in range(k):
        turned = turned * 4 + (3 - word % 4)
        word = word // 4
    return turned
