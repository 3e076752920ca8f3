"""Means of a score by substitution and surrounding bases, those of few sites drawn to the means of
what they are part of.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio.dna.genome._bases import UNKNOWN, decode_bases, reverse_complement
from r2mae_bio.dna.genome._kmers import word_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVELS: Final = (1, 3, 5)
"""Bases of the contexts, from the substitution alone to the pentanucleotide."""


def canonical(words: NDArray[np.uint8], alt: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Substitutions as read from the strand whose base is a pyrimidine, as mutational signatures
    have them.

    Parameters
    ----------
    words
        Codes of the site and what surrounds it, (n, k), k odd.
    alt
        Codes of the bases that come, (n,).

    Returns
    -------
    Both on that strand.
    """
    purine = np.isin(words[:, words.shape[1] // 2], (0, 2))
    turned = reverse_complement(words)
    return np.where(purine[:, None], turned, words), np.where(purine, 3 - alt, alt).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class ContextMeans:
    """A mean and a standard deviation for each context of one length and each base that comes; only
    contexts of a pyrimidine have any, and none has the base that is there.
    """

    n: NDArray[np.int64]
    """Sites, (4**k, 4)."""
    mean: NDArray[np.float64]
    """Their mean, NaN without a site, (4**k, 4)."""
    sd: NDArray[np.float64]
    """Their standard deviation, NaN below two sites, (4**k, 4)."""
    expected: NDArray[np.float64]
    """The mean, drawn to that of the shorter context, (4**k, 4)."""
    spread: NDArray[np.float64]
    """Standard deviation about ``expected``, drawn in the same way, (4**k, 4)."""


def context_means(words: NDArray[np.uint8], alt: NDArray[np.uint8], values: NDArray[np.float64]) -> list[ContextMeans]:
    """Means at each level.

    With ``n`` sites, a context counts ``n / (n + k)`` and the shorter one the rest; ``k`` is the
    variance within contexts over the variance between those of one shorter context, both by the
    method of moments from all contexts of the level (empirical Bayes with a normal prior). Second
    moments are drawn together as means are, so a spread contains what is uncertain of the mean.

    Parameters
    ----------
    words
        Codes of the contexts, all known, (n, 5).
    alt
        Codes of the bases that come, (n,).
    values
        The score, (n,).

    Returns
    -------
    One for each of :data:`LEVELS`.
    """
    words, alt = canonical(words, alt)
    found: list[ContextMeans] = []
    above = None
    for width in LEVELS:
        place = _places(words, alt, width)
        sums = [np.bincount(place, weights, 4 ** (width + 1)) for weights in (np.ones_like(values), values, values**2)]
        n, first, second = (total.astype(np.float64).reshape(-1, 4) for total in sums)
        with np.errstate(invalid="ignore", divide="ignore"):
            raw = np.stack([first / n, second / n])
            sd = np.where(n > 1, np.sqrt(np.maximum(raw[1] - raw[0] ** 2, 0) * n / (n - 1)), np.nan)
        moments = raw if above is None else _drawn(n, raw, above)
        spread = np.sqrt(np.maximum(moments[1] - moments[0] ** 2, 0))
        found.append(ContextMeans(n.astype(np.int64), raw[0], sd, moments[0], spread))
        above = np.stack([n, *moments, *raw])
    return found


def look_up(
    levels: list[ContextMeans], words: NDArray[np.uint8], alt: NDArray[np.uint8]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is expected of substitutions, by the longest context whose bases are known.

    Parameters
    ----------
    levels
        From :func:`context_means`.
    words
        Codes of the contexts, the site known, (n, 5).
    alt
        Codes of the bases that come, (n,).

    Returns
    -------
    Expected values and spreads, (n,); NaN where no site had the substitution.
    """
    words, alt = canonical(words, alt)
    expected, spread = np.full((2, len(words)), np.nan)
    for width, level in zip(LEVELS, levels, strict=True):
        rows = np.flatnonzero((_middle(words, width) < UNKNOWN).all(axis=1))
        place = _places(words[rows], alt[rows], width)
        expected[rows], spread[rows] = level.expected.reshape(-1)[place], level.spread.reshape(-1)[place]
    return expected, spread


def context_names(width: int) -> list[str]:
    """Contexts by their numbers, as text."""
    numbers = np.arange(4**width)
    return list(decode_bases(np.stack([numbers // 4**i % 4 for i in reversed(range(width))], axis=1).astype(np.uint8)))


def _middle(words: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    side = (words.shape[1] - width) // 2
    return words[:, side : side + width]


def _places(words: NDArray[np.uint8], alt: NDArray[np.uint8], width: int) -> NDArray[np.int64]:
    numbers: NDArray[np.int64] = word_numbers(_middle(words, width), width, dtype=np.int64)[:, 0]
    return numbers * 4 + alt.astype(np.int64)


def _drawn(n: NDArray[np.float64], raw: NDArray[np.float64], above: NDArray[np.float64]) -> NDArray[np.float64]:
    """First and second moments, (2, 4**k, 4), drawn to those of the contexts above."""
    inside = np.arange(len(n)) // 4 % (len(n) // 16)  # the word without its first and last base
    n_above, first, second, raw_first, _ = above[:, inside]
    seen = n > 0
    means, squares = np.where(seen, raw, 0.0)
    within = _ratio((n * (squares - means**2)).sum(), n.sum() - seen.sum())
    apart = (n * (means - np.where(seen, raw_first, 0.0)) ** 2)[seen].sum()
    n_parents = (above[0] > 0).sum()
    effective = n.sum() - np.divide(n**2, n_above, out=np.zeros_like(n), where=seen).sum()
    between = max(_ratio(apart - (seen.sum() - n_parents) * within, effective), 0.0)
    share = np.where(seen, 1.0, 0.0) if within == 0 else n * between / (n * between + within)
    return np.stack([share * means + (1 - share) * first, share * squares + (1 - share) * second])


def _ratio(a: float, b: float) -> float:
    return float(a / b) if b > 0 else 0.0
