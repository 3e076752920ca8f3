"""What a DNA model says of windows: probabilities of bases hidden alone or in combs, mean states.
Nothing is read twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np

from r2mae_bio.dna._aligned import bases_of
from r2mae_bio.dna._protocols import WindowReading
from r2mae_bio.dna.genome._bases import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from typing_extensions import TypeIs

    from r2mae_bio.dna._protocols import LikelihoodModel, VariantModel, WindowModel

    Places: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64]]
    Substitutions: TypeAlias = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.integer[Any]]]

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


def read_windows(
    model: VariantModel | LikelihoodModel,
    windows: NDArray[np.uint8],
    *,
    hidden: Places,
    other: Substitutions | None = None,
    means: bool = False,
    strand: str = "both",
    batch_size: int | None = None,
) -> WindowReading:
    """Ask a model about windows: by the method that answers many questions at once, if it has it;
    a position that is asked for twice is read once.

    Parameters
    ----------
    model
        The model; its states are asked for only if mean states are wanted.
    windows, hidden, other, means, strand, batch_size
        See :meth:`r2mae_bio.dna._protocols.WindowModel.read_windows`; no window occurs twice.

    Returns
    -------
    The answers.
    """
    length = windows.shape[1]
    places, which = np.unique(hidden[0] * length + hidden[1], return_inverse=True)
    once = np.divmod(places, length)
    settings: dict[str, Any] = {"strand": strand, "batch_size": batch_size}
    if _answers_many(model):
        found = model.read_windows(windows, hidden=once, other=other, means=means, **settings)
    else:
        log_probs = read_combs(model, windows, hidden=once, asked=slice(None), spacing=length, **settings)
        found = WindowReading(log_probs, *_means(cast("VariantModel", model), windows, other, wanted=means, **settings))
    return found._replace(log_probs=found.log_probs[which.reshape(-1)])


def _answers_many(model: LikelihoodModel) -> TypeIs[WindowModel]:
    return callable(getattr(model, "read_windows", None))


def read_combs(
    model: LikelihoodModel,
    windows: NDArray[np.uint8],
    *,
    hidden: Places,
    asked: slice,
    spacing: int,
    strand: str,
    batch_size: int | None,
) -> NDArray[np.float32]:
    """Log-probabilities of bases, each hidden along with those that lie whole spacings away from it
    in the same window.

    What is hidden along with a base does not depend on which others are wanted.

    Parameters
    ----------
    model, windows, strand, batch_size
        See :func:`read_windows`.
    hidden
        Window and position of each base that is wanted, both (n,).
    asked
        Positions of a window that may be hidden.
    spacing
        Bases from one that is hidden to the next; as wide as a window, each is hidden alone.

    Returns
    -------
    Nats, (n, 4).
    """
    (rows, positions), length = hidden, windows.shape[1]
    combs, which = np.unique(rows * spacing + positions % spacing, return_inverse=True)
    row, offset = np.divmod(combs, spacing)
    places = np.arange(length)[asked]
    found = np.empty((rows.size, 4), np.float32)
    for part in _parts(combs.size, 4 * length, batch_size):
        masks = np.zeros((row[part].size, length), np.bool_)
        masks[:, asked] = places % spacing == offset[part, None]
        log_probs = model.log_probs(windows[row[part]], masks, strand=strand, batch_size=batch_size)
        here = np.flatnonzero((which >= part.start) & (which < part.stop))
        found[here] = log_probs[which[here] - part.start, positions[here]]
    return found


def _means(
    model: VariantModel, windows: NDArray[np.uint8], other: Substitutions | None, *, wanted: bool, **settings: Any
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean states of windows as they are, and of those with another base."""
    none = np.empty((0, 0), np.float32)
    changed = windows[:0]
    if other is not None:
        rows, positions, bases = other
        changed = windows[rows]
        bases_of(changed)[np.arange(rows.size), positions] = bases
    n = len(windows) if wanted else 0
    if not n + len(changed):
        return none, none
    different, which = unique_windows(np.concatenate([windows[:n], changed]))
    means = _mean_states(model, different, **settings)[which]
    return means[:n], means[n:]


def _mean_states(model: VariantModel, windows: NDArray[np.uint8], **settings: Any) -> NDArray[np.float32]:
    """States averaged over the bases of a window that are known, (U, D)."""
    means = np.empty((len(windows), model.n_dim), np.float32)
    for part in _parts(len(windows), model.n_dim * windows.shape[1], settings["batch_size"]):
        known = (bases_of(windows[part]) < UNKNOWN).astype(np.float64)
        states = model.states(windows[part], layer=-1, **settings)
        means[part] = np.einsum("bl,bld->bd", known, states) / known.sum(axis=1, keepdims=True)
    return means


def _parts(n: int, n_values: int, batch_size: int | None) -> Iterator[slice]:
    """Cut ``n`` rows into parts that fit into memory, whole batches in each."""
    step = max(_MAX_VALUES // n_values, 1)
    if batch_size is not None:
        step = max(step // batch_size, 1) * batch_size
    return (slice(start, start + step) for start in range(0, n, step))
