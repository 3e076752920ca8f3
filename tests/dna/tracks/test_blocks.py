"""Blocks and shares: every base once, in shares of one size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.dna.tracks._blocks import BLOCK, Blocks

SIZES = st.lists(st.integers(1, 3 * BLOCK), min_size=1, max_size=8)


@given(SIZES, st.integers(1, 40))
def test_shares_hold_all_blocks_once_and_nearly_as_many_bases(sizes: list[int], n: int) -> None:
    ends = np.cumsum(sizes) + np.arange(len(sizes))  # a base apart
    starts = ends - sizes
    blocks = Blocks.of(np.zeros(len(sizes)), starts, ends)
    bases = np.concatenate([np.arange(s, e) for s, e in zip(blocks.start, blocks.end, strict=True)])
    np.testing.assert_array_equal(bases, np.concatenate([np.arange(s, e) for s, e in zip(starts, ends, strict=True)]))
    shares = [blocks.share((i, n)) for i in range(1, n + 1)]
    assert shares[0][0] == 0
    assert shares[-1][1] == len(blocks)
    assert all(one[1] == other[0] for one, other in zip(shares, shares[1:], strict=False))
    held = [blocks.bases_before(last) - blocks.bases_before(first) for first, last in shares]
    assert sum(held) == blocks.n_bases == sum(sizes)
    assert max(abs(bases - sum(sizes) / n) for bases in held) <= BLOCK + 1


def test_stretches_are_joined_and_counted_from_one() -> None:
    blocks = Blocks.of([0, 0, 1], [10, 5000, 0], [10 + 3 * BLOCK, 5010, 7])
    assert list(blocks.stretches(["a", "b"], 0, 5)) == ["a:11-3,082", "a:5,001-5,010", "b:1-7"]
    assert list(blocks.stretches(["a", "b"], 1, 2)) == ["a:1,035-2,058"]
