"""The mean state of sequences of any length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio._progress import asked_for, count_steps
from r2mae_bio.dna._aligned import bases_of
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.model._tiles import choose_overlap, plan_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna._protocols import StateModel
    from r2mae_bio.dna.model._tiles import Tiles

_STATES_AT_ONCE: Final = 1 << 23
"""Numbers held at once, 32 MiB; never all states of all bases."""


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
        Gives the codes (T, L), or (T, L, 1 + S), of tiles of one length.
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
    with count_steps("tiles", tiles.length.size, shown=asked_for()) as advance:
        for some in tiles.batches(lambda length: max(1, _STATES_AT_ONCE // (length * model.n_dim))):
            codes = read(some)
            shares = some.shares() * (bases_of(codes) < UNKNOWN)
            # add.at, because several tiles here may be of one sequence
            np.add.at(n_known, some.sequence, shares.sum(axis=1, dtype=np.float64))
            used = shares.any(axis=1)  # a tile in which nothing counts need not be read
            if used.any():
                states = model.states(codes[used], layer=layer, strand=strand, batch_size=batch_size)
                np.add.at(sums, some.sequence[used], np.matmul(shares[used, None], states)[:, 0])
            advance(some.length.size)
    with np.errstate(invalid="ignore"):  # 0 / 0 is the NaN wanted
        return (sums / n_known[:, None]).astype(np.float32), np.rint(n_known).astype(np.int64)


def stack_tiles(codes: Sequence[NDArray[np.uint8]]) -> Callable[[Tiles], NDArray[np.uint8]]:
    """A way to read tiles of sequences in memory.

    Parameters
    ----------
    codes
        Codes of each sequence, (L_i,).

    Returns
    -------
    From tiles of one length L to their codes, (T, L).
    """

    def read(tiles: Tiles) -> NDArray[np.uint8]:
        length = int(tiles.length[0])
        return np.stack([codes[i][start : start + length] for i, start in zip(tiles.sequence, tiles.start, strict=True)])

    return read


def check_strand(strand: str) -> None:
    """Refuse an unknown way to read strands.

    Parameters
    ----------
    strand
        What the user asked for.

    Raises
    ------
    ConfigError
        It is neither ``"both"`` nor ``"+"``.
    """
    if strand not in ("both", "+"):
        message = f"strand={strand!r} is not known; needed is 'both' (mean over both strands) or '+' (as given)."
        raise ConfigError(message)
