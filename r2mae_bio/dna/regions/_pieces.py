"""The bases of intervals in pieces, so that memory stays bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._intervals import Intervals

_PIECE: Final = 1 << 22


def iter_codes(
    genome: Genome, intervals: Intervals, *, before: int = 0, piece: int = _PIECE
) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Read intervals; every base is new in exactly one piece.

    Parameters
    ----------
    genome
        The genome.
    intervals
        What to read.
    before
        Bases of context in front of the new ones of every piece; those before the beginning of an
        interval read as not known.
    piece
        Most new bases of a piece.

    Yields
    ------
    Number of the interval, position on the contig of the first new base, and codes, uint8 (before +
    new bases,).
    """
    for i, (contig, start, end) in enumerate(zip(intervals.contig, intervals.start, intervals.end, strict=True)):
        for at in range(int(start), int(end), piece):
            first = max(int(start), at - before)
            last = min(int(end), at + piece)
            letters = genome.windows(np.array([first]), last - first, contigs=int(contig))[0]
            unseen = np.full(before - (at - first), UNKNOWN, np.uint8)
            codes = encode_bases(letters)
            yield i, at, np.concatenate([unseen, codes]) if unseen.size else codes
