"""The mean state of sequences of any length."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio.tl._dna_models import check_strand
from r2mae_bio.tl._tiles import choose_overlap, plan_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.tl._dna_models import StateModel
    from r2mae_bio.tl._tiles import Tiles

_STATES_AT_ONCE: Final = 1 << 23
"""Numbers held at once, 32 MiB; never all states of all bases."""
_UNKNOWN: Final = 4
_N_SHOWN: Final = 5


def mean_states(
    lengths: Sequence[int] | NDArray[np.int64],
    read: Callable[[Tiles], NDArray[np.uint8]],
    model: StateModel,
    *,
    layer: int,
    strand: str,
    overlap: int | None,
    batch_size: int | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Mean over the known bases of each sequence.

    Parameters
    ----------
    lengths
        Bases of each sequence, (n,).
    read
        Gives the codes (T, L) of tiles of one length.
    model
        The model.
    layer, strand, batch_size
        Passed to its ``states``.
    overlap
        See :func:`choose_overlap`.

    Returns
    -------
    Mean states (n, D), NaN where no base is known, and the number of known bases (n,).

    Raises
    ------
    ConfigError
        The strand or the overlap cannot be used.
    """
    check_strand(strand)
    tiles = plan_tiles(lengths, model.window, choose_overlap(overlap, model.window))
    sums = np.zeros((len(lengths), model.n_dim))
    n_known = np.zeros(len(lengths))
    for some in tiles.batches(lambda length: max(1, _STATES_AT_ONCE // (length * model.n_dim))):
        codes = read(some)
        shares = some.shares() * (codes < _UNKNOWN)
        np.add.at(n_known, some.sequence, shares.sum(axis=1, dtype=np.float64))
        used = shares.any(axis=1)  # a tile in which nothing counts need not be read
        if used.any():
            states = model.states(codes[used], layer=layer, strand=strand, batch_size=batch_size)
            np.add.at(sums, some.sequence[used], np.matmul(shares[used, None], states)[:, 0])
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN wanted
        return (sums / n_known[:, None]).astype(np.float32), np.rint(n_known).astype(np.int64)


def warn_unknown(names: Sequence[str], n_known: NDArray[np.int64], what: str) -> None:
    """Say which embeddings are NaN.

    Parameters
    ----------
    names
        Names, (n,).
    n_known
        Known bases, (n,).
    what
        What is named, such as "sequences".

    Warns
    -----
    UserWarning
        Some have no known base.
    """
    empty = [name for name, n in zip(names, n_known.tolist(), strict=True) if n == 0]
    if empty:
        shown = ", ".join(empty[:_N_SHOWN]) + (", ..." if len(empty) > _N_SHOWN else "")
        message = f"{len(empty)} of {len(names)} {what} hold no A, C, G or T, and their embedding is NaN: {shown}."
        warnings.warn(message, UserWarning, stacklevel=3)


def describe_embedding(model: StateModel, *, layer: int, strand: str, overlap: int | None) -> dict[str, Any]:
    """Where an embedding comes from, as h5ad can hold it.

    Parameters
    ----------
    model
        The model.
    layer, strand, overlap
        The settings.

    Returns
    -------
    Texts and whole numbers.
    """
    from r2mae_bio import __version__

    return {
        "model": type(model).__name__,
        "model_checksum": model.checksum(),
        "layer": int(layer),
        "strand": strand,
        "pooling": "mean over A, C, G and T",
        "window": int(model.window),
        "overlap": choose_overlap(overlap, model.window),
        "version_r2mae_bio": __version__,
    }
