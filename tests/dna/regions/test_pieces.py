"""Pieces of intervals hold every base once."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.dna.regions._pieces import iter_codes
from r2mae_bio.io import (
    Intervals,
    encode_bases,
)


@pytest.mark.parametrize(("before", "piece"), [(0, 64), (7, 64), (63, 64), (100, 1), (3, 10_000)])
def test_pieces_hold_every_base_once_after_its_context(genome, before, piece) -> None:
    intervals = Intervals.from_regions(genome, [("chr1", 30, 400), ("ring", 600, 800), ("tiny", 0, 20)])
    read = [np.zeros(0, np.uint8) for _ in range(len(intervals))]
    for i, at, codes in iter_codes(genome, intervals, before=before, piece=piece):
        assert at == intervals.start[i] + read[i].size
        context = np.concatenate([np.full(before, 4, np.uint8), read[i]])[read[i].size :]
        np.testing.assert_array_equal(codes[:before], context)
        assert 0 < codes.size - before <= piece
        read[i] = np.concatenate([read[i], codes[before:]])
    for contig, start, end, codes in zip(intervals.contig, intervals.start, intervals.end, read, strict=True):
        np.testing.assert_array_equal(codes, encode_bases(genome.fetch(genome.contigs[contig], int(start), int(end))))
