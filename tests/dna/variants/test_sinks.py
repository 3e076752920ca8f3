"""Blocks of bgzip."""

from __future__ import annotations

import gzip

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._lines import compress_bgzf


@given(st.binary(max_size=300), st.integers(1, 700))
def test_bgzip_blocks_hold_what_was_written(piece: bytes, times: int) -> None:
    """Including what does not compress, over the ends of blocks."""
    noise = np.random.default_rng(times).bytes(times * 200)
    for data in (piece * times, noise):
        assert gzip.decompress(compress_bgzf(data)) == data if data else compress_bgzf(data) == b""
