"""Counting controls for one hidden base: contexts of w bases on either side, counted in the
training part on both strands, backed off.
"""

from __future__ import annotations

import numpy as np

from r2mae_bio.dna.genome._kmers import canonical_words, known_words

STRENGTHS = (4.0, 16.0, 64.0, 256.0)  # counts that the next shorter context is worth


def context_losses(train: list[np.ndarray], rows: np.ndarray, positions: np.ndarray, max_width: int = 6) -> list[np.ndarray]:
    """Nats of the base at each of ``positions`` (n,) of ``rows`` uint8 (n, L), for each width from
    0 to ``max_width``, (n,).

    The strength of the back-off is the one with the least loss at these very places, in favour of
    the control.
    """
    truth = np.take_along_axis(rows, positions[:, None], axis=1)
    counts = context_counts(train, rows, positions, max_width)
    by_strength = [[-np.log(np.take_along_axis(p, truth, axis=1)[:, 0]) for p in back_off(counts, s)] for s in STRENGTHS]
    return [min(losses, key=np.mean) for losses in zip(*by_strength, strict=True)]


def context_counts(
    train: list[np.ndarray], rows: np.ndarray, positions: np.ndarray, max_width: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """For each width: how often each base stands in the context, (n, 4), and whether all bases of
    the context are known, (n,).
    """
    n, row = len(rows), np.arange(len(rows))
    padded = np.pad(rows, ((0, 0), (max_width, max_width)), constant_values=4)
    at = positions + max_width
    strands = [s for codes in train for s in (codes, np.where(codes < 4, 3 - codes, 4).astype(np.uint8)[::-1])]
    result = []
    for width in range(max_width + 1):
        offsets = [*range(-width, 0), *range(1, width + 1)]
        wanted, known = _words([padded[row, at + o] for o in offsets], n)
        distinct, place = np.unique(wanted, return_inverse=True)
        result.append((sum(_count(codes, offsets, width, distinct) for codes in strands)[place], known))
    return result


def back_off(counts: list[tuple[np.ndarray, np.ndarray]], strength: float) -> list[np.ndarray]:
    """Probabilities of A C G T for each width, (n, 4); where a context is not known the shorter one
    stands.
    """
    probability = np.full((len(counts[0][1]), 4), 0.25)
    result = []
    for n, known in counts:
        smoothed = (n + strength * probability) / (n.sum(1, keepdims=True) + strength)
        probability = np.where(known[:, None], smoothed, probability)
        result.append(probability)
    return result


def _words(columns: list[np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    words, known = np.zeros(n, np.int64), np.ones(n, bool)
    for column in columns:
        words = words * 4 + np.minimum(column, 3)
        known &= column < 4
    return words, known


def _count(codes: np.ndarray, offsets: list[int], width: int, distinct: np.ndarray) -> np.ndarray:
    """How often each base stands in each of the sorted contexts, (len(distinct), 4)."""
    n = codes.size - 2 * width
    centre = codes[width : width + n]
    words, known = _words([codes[width + o : width + o + n] for o in offsets], n)
    known &= centre < 4
    at = np.minimum(np.searchsorted(distinct, words), distinct.size - 1)
    found = known & (distinct[at] == words)
    cell = at[found] * 4 + centre[found]
    return np.bincount(cell, minlength=4 * distinct.size).reshape(-1, 4)


def repeated_in(train: list[np.ndarray], rows: np.ndarray, positions: np.ndarray, k: int = 24) -> np.ndarray:
    """Whether the k bases around each place also occur in the training part, on either strand, bool
    (n,).
    """
    start = np.clip(positions - k // 2, 0, rows.shape[1] - k)
    around = np.take_along_axis(rows, start[:, None] + np.arange(k), axis=1)
    wanted = np.concatenate([canonical_words(row, k) for row in around])
    found = np.zeros(len(wanted), bool)
    for codes in train:
        if codes.size >= k:
            found |= np.isin(wanted, canonical_words(codes, k)[known_words(codes, k)])
    return found
