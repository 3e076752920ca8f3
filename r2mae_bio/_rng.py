"""Seeds: every random stream is a pure function of (seed, stream name, position).

No stream has a state to save: a run resumed at step 731 draws exactly what the uninterrupted run
drew at step 731.
"""

from __future__ import annotations

import zlib

import numpy as np

__all__ = ["derive_generator", "derive_seed"]


def derive_seed(seed: int, stream: str, *position: int) -> int:
    """A 63-bit seed for one position of a named stream.

    Parameters
    ----------
    seed
        The user's seed, a non-negative integer.
    stream
        Name of the stream, such as ``"mask"`` or ``"shuffle"``; streams are independent.
    position
        Any non-negative integers: epoch, step, rank.
    """
    key = (zlib.crc32(stream.encode()), *position)
    word = np.random.SeedSequence(seed, spawn_key=key).generate_state(1, np.uint64)[0]
    return int(word) >> 1


def derive_generator(seed: int, stream: str, *position: int) -> np.random.Generator:
    """A NumPy generator for one position of a named stream; see :func:`derive_seed`."""
    return np.random.default_rng(derive_seed(seed, stream, *position))
