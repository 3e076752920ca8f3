"""How much of what is held out occurs, word for word, in what is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.dna.genome._kmers import canonical_words, check_k, known_words
from r2mae_bio.dna.regions._pieces import iter_codes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._intervals import Intervals
    from r2mae_bio.dna.regions._split import GenomeSplit

__all__ = ["SharedKmers", "shared_kmers"]


@dataclass(frozen=True)
class SharedKmers:
    """Words of the held-out part that also occur in the training part, on either strand."""

    k: int
    """Bases of a word."""
    n_kmers: int
    """Words of the held-out part that were looked up, each place counted."""
    n_shared: int
    """Those among them that occur in the training part."""
    by_contig: dict[str, tuple[int, int]]
    """Both numbers, looked up and shared, for every contig with held-out words."""

    @property
    def share(self) -> float:
        """Share of the words that occur in the training part, in [0, 1]."""
        return self.n_shared / self.n_kmers

    def to_json(self) -> dict[str, Any]:
        """The report as plain data.

        Returns
        -------
        ``k``, ``n_kmers``, ``n_shared``, ``share`` and ``by_contig``.
        """
        by_contig = {name: list(counts) for name, counts in self.by_contig.items()}
        return {"k": self.k, "n_kmers": self.n_kmers, "n_shared": self.n_shared, "share": self.share, "by_contig": by_contig}


def shared_kmers(genome: Genome, split: GenomeSplit, *, k: int = 24, sample: int | None = None) -> SharedKmers:
    """Look the words of the held-out part up in the training part, both strands.

    Words with unknown bases are passed over. Memory: some 40 bytes for each word looked up, and 200
    MB.

    Parameters
    ----------
    genome
        The genome.
    split
        Its parts.
    k
        Bases of a word, from 1 to 32.
    sample
        Look up about this many words at most, evenly spread; all if None. Wanted for genomes of
        billions of bases.

    Returns
    -------
    The report.

    Raises
    ------
    ConfigError
        ``k`` or ``sample`` is out of range.
    DataError
        The held-out part has no word of ``k`` known bases.
    """
    check_k(k)
    if sample is not None and sample < 1:
        message = f"sample={sample}; needed is a number of words, at least 1, or None for all."
        raise ConfigError(message)
    contig, words = _held_out_words(genome, split.validation, k, sample)
    if not words.size:
        message = (
            f"The held-out part, {split.validation!r}, has no word of {k} known bases; hold out more, or choose a smaller k."
        )
        raise DataError(message)
    distinct, place = np.unique(words, return_inverse=True)
    shared = _occur(distinct, _words(genome, split.train, k))[place]
    looked_up, found = (np.bincount(contig, weights).astype(int) for weights in (None, shared))
    by_contig = {genome.contigs[i]: (int(looked_up[i]), int(found[i])) for i in np.flatnonzero(looked_up)}
    return SharedKmers(k, words.size, int(shared.sum()), by_contig)


def _words(genome: Genome, intervals: Intervals, k: int) -> Iterator[NDArray[np.uint64]]:
    for _, _, codes in iter_codes(genome, intervals.take(intervals.lengths >= k), before=k - 1):
        yield canonical_words(codes, k)[known_words(codes, k)]


def _held_out_words(
    genome: Genome, intervals: Intervals, k: int, sample: int | None
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Contig and number of every word, or of every n-th place."""
    step = 1 if sample is None else max(1, -(-intervals.n_bases // sample))
    contigs, words, seen = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)], 0
    for i, _, codes in iter_codes(genome, intervals, before=k - 1):
        places = slice(-seen % step, None, step)
        chosen = canonical_words(codes, k)[places][known_words(codes, k)[places]]
        words.append(chosen)
        contigs.append(np.full(chosen.size, intervals.contig[i]))
        seen += codes.size - k + 1
    return np.concatenate(contigs), np.concatenate(words)


def _occur(wanted: NDArray[np.uint64], pieces: Iterator[NDArray[np.uint64]]) -> NDArray[np.bool_]:
    """Which of the sorted words occur in any piece; the shorter list is looked up in the longer
    one.
    """
    found = np.zeros(wanted.size, bool)
    for piece in pieces:
        words = np.sort(piece)
        if words.size < wanted.size:
            at = np.minimum(np.searchsorted(wanted, words), wanted.size - 1)
            found[at[wanted[at] == words]] = True
        elif words.size:
            at = np.minimum(np.searchsorted(words, wanted), words.size - 1)
            found |= words[at] == wanted
    return found
