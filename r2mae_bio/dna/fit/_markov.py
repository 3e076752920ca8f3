"""How well the bases before a base predict it: a control for models of DNA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.dna.genome._kmers import word_numbers
from r2mae_bio.dna.regions._pieces import iter_codes
from r2mae_bio.dna.regions._split import GenomeSplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._intervals import Intervals

MAX_ORDER: Final = 8
_LETTERS: Final = 5  # A, C, G, T and "not known", which also stands before the beginning


@dataclass(frozen=True, eq=False)
class MarkovModel:
    """Probability of a base given the bases before it, counted on both strands.

    A context of j bases is smoothed by the one a base shorter: p_j(b) = (n_j(b) + a p_{j-1}(b)) /
    (sum_c n_j(c) + a), where p before order 0 is 1/4 (Bayes' rule under a Dirichlet prior of
    strength a about p_{j-1}; MacKay and Bauman Peto 1995). Where fewer bases are known before a
    base, at the beginning of a row or behind an N, the shorter context alone is used.
    """

    log_probs: tuple[NDArray[np.float64], ...]
    """For each order j from 0: natural logarithm of the probability of a base by the j letters
    before it, shape (5,) * j + (4,).
    """

    @property
    def order(self) -> int:
        """Bases of the longest context."""
        return len(self.log_probs) - 1

    @classmethod
    def count(cls, genome: Genome, intervals: Intervals, order: int, *, strength: float = 64.0) -> MarkovModel:
        """Count contexts of a genome.

        Parameters
        ----------
        genome
            The genome.
        intervals
            Where to count.
        order
            Bases of the longest context, from 0 to 8.
        strength
            The a above, in counts. With 64 a longer context hardly ever predicts worse than a
            shorter one, also on a million bases.

        Returns
        -------
        The model.

        Raises
        ------
        ConfigError
            Order or strength is out of range.
        """
        _check_order(order)
        if not 0 < strength < float("inf"):
            message = f"strength={strength}; needed is a positive number of counts."
            raise ConfigError(message)
        words = _count_words(genome, intervals, order)
        tables: list[NDArray[np.float64]] = []
        shorter = np.full(4, 0.25)
        for j in range(order + 1):
            n = _both_strands(words.sum(axis=tuple(range(order - j))))
            shorter = (n + strength * shorter) / (n.sum(-1, keepdims=True) + strength)
            tables.append(np.log(shorter))
        return cls(tuple(tables))

    def nats(self, codes: NDArray[np.uint8], order: int | None = None) -> NDArray[np.float64]:
        """Negative log-probability of each base, given those before it in its row.

        Parameters
        ----------
        codes
            Codes of bases, uint8 (..., L).
        order
            Longest context; that of the model if None.

        Returns
        -------
        Nats, (..., L); NaN where the base is not known.

        Raises
        ------
        ConfigError
            The model holds no context of this length.
        """
        order = self.order if order is None else order
        if not 0 <= order <= self.order:
            message = f"order={order}; this model holds contexts of 0 to {self.order} bases. Count it with a higher order."
            raise ConfigError(message)
        unknown_first = np.full((*codes.shape[:-1], order), _LETTERS - 1, np.uint8)
        words = word_numbers(np.concatenate([unknown_first, codes], axis=-1), order + 1, base=_LETTERS, dtype=np.int32)
        table = np.full((_LETTERS,) * (order + 1), np.nan)
        table[..., :4] = -self.log_probs[order]
        return np.take(table.ravel(), words)


def markov_floors(
    genome: Genome, train: GenomeSplit | Intervals, codes: NDArray[np.uint8], *, orders: Sequence[int] = (0, 5)
) -> dict[int, float]:
    """Nats per base of Markov models of the training part on held-out windows.

    Parameters
    ----------
    genome
        The genome.
    train
        A split, of which the training part is counted, or the intervals to count.
    codes
        Held-out windows, codes uint8 (n, L).
    orders
        Numbers of bases that predict the next one, each from 0 to 8.

    Returns
    -------
    Mean over all known bases of the windows, in nats, by order. A base at the beginning of its
    window has fewer bases before it.

    Raises
    ------
    ConfigError
        An order is out of range.
    DataError
        No base of the windows is known.
    """
    for order in orders:
        _check_order(order)
    known = codes < _LETTERS - 1
    if not known.any():
        message = f"None of the {codes.size} bases of the held-out windows is A, C, G or T; needed is at least one."
        raise DataError(message)
    intervals = train.train if isinstance(train, GenomeSplit) else train
    model = MarkovModel.count(genome, intervals, max(orders))
    return {order: float(model.nats(codes, order)[known].mean()) for order in orders}


def _check_order(order: Any) -> None:
    if not isinstance(order, int | np.integer) or isinstance(order, bool) or not 0 <= order <= MAX_ORDER:
        message = f"The order is {order!r}; needed is a whole number of bases from 0 to {MAX_ORDER}."
        raise ConfigError(message)


def _count_words(genome: Genome, intervals: Intervals, order: int) -> NDArray[np.int64]:
    """How often each word of ``order`` + 1 letters ends at a base of the intervals, shape (5,) *
    (order + 1).

    Because "not known" is a letter and stands before each interval, summing over the first letters
    gives the counts of the shorter words.
    """
    shape = (_LETTERS,) * (order + 1)
    counts = np.zeros(_LETTERS ** (order + 1), np.int64)
    for _, _, codes in iter_codes(genome, intervals, before=order):
        counts += np.bincount(word_numbers(codes, order + 1, base=_LETTERS, dtype=np.int32), minlength=counts.size)
    return counts.reshape(shape)


def _both_strands(words: NDArray[np.int64]) -> NDArray[np.int64]:
    """Counts on both strands of words without an unknown letter, 0 of those with one in the
    context, shape (5,) * j + (4,).
    """
    known = words[(slice(4),) * words.ndim]
    counts = np.zeros((*words.shape[:-1], 4), np.int64)
    counts[(slice(4),) * words.ndim] = known + np.flip(known).T  # flipped, A becomes T; transposed, the last letter comes first
    return counts
