"""Probabilities of the bases of sequences of any length, each base hidden while it is predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna.model._tiles import plan_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_ROWS_AT_ONCE = 1024


def predict_hidden(
    sequences: Sequence[NDArray[np.uint8]],
    log_probs: Callable[[NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.float32]],
    *,
    window: int,
    overlap: int,
    hidden_at_once: int,
) -> list[NDArray[np.float32]]:
    """Probabilities of A, C, G and T at every position, given the other bases.

    Parameters
    ----------
    sequences
        Codes of each sequence, (L_i,).
    log_probs
        From codes and what is hidden, both (B, L), to (B, L, 4).
    window
        Longest row.
    overlap
        Bases that neighbouring tiles of a longer sequence share at least.
    hidden_at_once
        Bases hidden together in one reading of a tile, spread as far apart as they can be; 1 is
        exact.

    Returns
    -------
    Probabilities of each sequence, float32 (L_i, 4).

    Raises
    ------
    ConfigError
        ``hidden_at_once`` is no positive whole number.
    """
    if not isinstance(hidden_at_once, int | np.integer) or hidden_at_once < 1:
        message = f"hidden_at_once is {hidden_at_once!r}; needed is a positive number of bases."
        raise ConfigError(message)
    sums = [np.zeros((codes.size, 4), np.float32) for codes in sequences]
    tiles = plan_tiles([codes.size for codes in sequences], window, overlap)
    for tile in tiles.batches(lambda _: 1):
        i, start, length = int(tile.sequence[0]), int(tile.start[0]), int(tile.length[0])
        probabilities = _tile(sequences[i][start : start + length], log_probs, hidden_at_once)
        sums[i][start : start + length] += tile.shares()[0][:, None] * probabilities
    return sums


def _tile(
    codes: NDArray[np.uint8],
    log_probs: Callable[[NDArray[np.uint8], NDArray[np.bool_]], NDArray[np.float32]],
    hidden_at_once: int,
) -> NDArray[np.float32]:
    length = codes.size
    n_readings = -(-length // hidden_at_once)
    out = np.empty((length, 4), np.float32)
    for first in range(0, n_readings, _ROWS_AT_ONCE):
        reading = np.arange(first, min(first + _ROWS_AT_ONCE, n_readings))
        hidden = np.arange(length) % n_readings == reading[:, None]  # (rows, L)
        rows = np.broadcast_to(codes, hidden.shape)
        row, position = np.nonzero(hidden)
        out[position] = np.exp(log_probs(rows, hidden)[row, position])
    return out
