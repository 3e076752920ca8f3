"""Tiles cover a sequence."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.dna.model._tiles import plan_tiles


@given(length=st.integers(1, 300), window=st.integers(1, 40), data=st.data())
def test_tiles_cover_a_sequence_evenly_and_each_base_counts_once(length, window, data):
    overlap = data.draw(st.integers(0, window - 1))
    both = plan_tiles([3, length], window, overlap)
    tiles = both.take(np.flatnonzero(both.sequence == 1))
    size = min(window, length)
    assert (tiles.length == size).all()
    assert (tiles.start[0], tiles.start[-1]) == (0, length - size)
    steps = np.diff(tiles.start)
    assert ((steps >= 1) & (steps <= window - overlap)).all()
    np.testing.assert_array_equal(tiles.start, (length - size) - tiles.start[::-1])
    counted = np.zeros(length)
    for start, share in zip(tiles.start, tiles.shares(), strict=True):
        counted[start : start + size] += share
    np.testing.assert_array_equal(counted, np.ones(length))
    assert np.isin(tiles.shares(), [0, 0.5, 1]).all()
