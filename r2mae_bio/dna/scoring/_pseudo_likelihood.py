"""What a DNA model says of windows: probabilities of a hidden base, mean states. Nothing is read
twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio.dna._aligned import bases_of
from r2mae_bio.dna.genome._bases import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import VariantModel

_MAX_VALUES: Final = 1 << 24
"""Numbers that a model is asked for at once, 64 MiB of float32."""


def unique_windows(windows: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Windows without repetition.

    Parameters
    ----------
    windows
        Codes, (B, L) or (B, L, 1 + S).

    Returns
    -------
    The different windows, (U, L) or (U, L, 1 + S), and which of them each window is, (B,).
    """
    flat = np.ascontiguousarray(windows).reshape(len(windows), -1)
    rows = flat.view(f"V{flat.shape[1]}")[:, 0]
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    return windows[first], which.reshape(-1).astype(np.int64)


def hidden_log_probs(
    model: VariantModel,
    windows: NDArray[np.uint8],
    rows: NDArray[np.int64],
    positions: NDArray[np.int64],
    *,
    batch_size: int | None,
) -> NDArray[np.float64]:
    """Log-probabilities at single positions, each hidden alone; a position asked for twice is read
    once.

    Parameters
    ----------
    model
        The model.
    windows
        Codes, (U, L).
    rows, positions
        Window and position in it that is hidden, both (n,).
    batch_size
        Windows the model reads at a time.

    Returns
    -------
    Natural log-probabilities of A, C, G and T, (n, 4).
    """
    length = windows.shape[1]
    places, which = np.unique(rows * length + positions, return_inverse=True)
    found = np.empty((places.size, 4))
    for part in _parts(places.size, 4 * length, batch_size):
        row, position = np.divmod(places[part], length)
        each = np.arange(row.size)
        hidden = np.zeros((row.size, length), np.bool_)
        hidden[each, position] = True
        found[part] = model.log_probs(windows[row], hidden, strand="both", batch_size=batch_size)[each, position]
    return found[which.reshape(-1)]


def mean_window_states(model: VariantModel, windows: NDArray[np.uint8], *, batch_size: int | None) -> NDArray[np.float64]:
    """States averaged over the bases of a window that are known.

    Parameters
    ----------
    model
        The model.
    windows
        Codes, (U, L), each with a known base.
    batch_size
        Windows the model reads at a time.

    Returns
    -------
    Means, (U, D).
    """
    means = np.empty((len(windows), model.n_dim))
    for part in _parts(len(windows), model.n_dim * windows.shape[1], batch_size):
        known = (bases_of(windows[part]) < UNKNOWN).astype(np.float64)
        states = model.states(windows[part], layer=-1, strand="both", batch_size=batch_size)
        means[part] = np.einsum("bl,bld->bd", known, states) / known.sum(axis=1, keepdims=True)
    return means


def _parts(n: int, n_values: int, batch_size: int | None) -> Iterator[slice]:
    """Cut ``n`` rows into parts that fit into memory, whole batches in each."""
    step = max(_MAX_VALUES // n_values, 1)
    if batch_size is not None:
        step = max(step // batch_size, 1) * batch_size
    return (slice(start, start + step) for start in range(0, n, step))
