"""Where batches come from: a plan says which rows, a reader fetches them, a loader joins the two.

Which rows make up a batch is a pure function of seed, epoch and number of the batch. So a run that
is resumed in the middle of an epoch asks for the next batch, and need not make those before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np

from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = [
    "EpochLoader",
    "Loaders",
    "OrderedRows",
    "Plan",
    "PlannedLoader",
    "RowBatches",
    "ShuffledRows",
    "batches_per_epoch",
    "epoch_batches",
    "span",
]


class _Place(Protocol):
    """Where rows lie; a slice of it is where some of them lie."""

    def __getitem__(self, rows: slice, /) -> Any: ...


PlaceT = TypeVar("PlaceT", bound=_Place)
PlaceT_co = TypeVar("PlaceT_co", bound=_Place, covariant=True)
BatchT = TypeVar("BatchT")


class Plan(Protocol[PlaceT_co]):
    """Which rows make up each batch."""

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""

    def place(self, seed: int, epoch: int, batch: int) -> PlaceT_co:
        """Rows of one batch over all ranks, whatever came before it."""


class EpochLoader(Protocol):
    """Batches of an epoch as a pure function of where the run stands; Lightning takes one as a data
    loader.
    """

    rank: int
    world_size: int

    def shuffle_by(self, position: Callable[[], tuple[int, int, int]]) -> None:
        """``position`` tells (seed, epoch, first batch) when an epoch begins."""

    def __len__(self) -> int:
        """Batches that are left in the epoch."""
        ...

    def __iter__(self) -> Iterator[Any]:
        """The batches."""
        ...


class PlannedLoader(Generic[PlaceT, BatchT]):
    """An :class:`EpochLoader` over what a plan says.

    Parameters
    ----------
    read
        Makes a batch of the rows at a place.
    plan
        Which rows make up each batch.
    """

    def __init__(self, read: Callable[[PlaceT], BatchT], plan: Plan[PlaceT]) -> None:
        self.read, self.plan = read, plan
        self._position: Callable[[], tuple[int, int, int]] = lambda: (0, 0, 0)
        self.rank, self.world_size = 0, 1

    def shuffle_by(self, position: Callable[[], tuple[int, int, int]]) -> None:
        """``position`` tells (seed, epoch, first batch) when an epoch begins; without it every
        epoch is the first of seed 0.
        """
        self._position = position

    def __len__(self) -> int:
        return self.plan.n_batches - self._position()[2]

    def __iter__(self) -> Iterator[BatchT]:
        seed, epoch, first = self._position()
        for batch in range(first, self.plan.n_batches):
            yield self.batch(seed, epoch, batch)

    def batch(self, seed: int, epoch: int, batch: int) -> BatchT:
        """The share of one batch that falls to ``rank``.

        Parameters
        ----------
        seed, epoch, batch
            Which one; none before it need be made.

        Returns
        -------
        Every ``world_size``-th of its rows, from the ``rank``-th.
        """
        return self.read(self.plan.place(seed, epoch, batch)[self.rank :: self.world_size])


@dataclass(frozen=True, eq=False)
class Loaders:
    """Where the batches of a run come from."""

    train: EpochLoader
    """Rows to learn from; shuffled by the run."""
    validation: EpochLoader | None
    """Rows held out, in a fixed order; None if none are."""
    reference: EpochLoader
    """Rows in a fixed order on which the blind control is measured."""


def batches_per_epoch(n_rows: int, batch_size: int) -> int:
    """Number of batches of at most ``batch_size`` rows in an epoch, at least one."""
    return max(1, -(-n_rows // batch_size))


@dataclass(frozen=True, eq=False)
class RowBatches:
    """How many batches some rows make."""

    rows: NDArray[np.int64]
    """Positions of the rows."""
    batch_size: int
    """Most rows of a batch, over all ranks."""

    @property
    def n_batches(self) -> int:
        """Batches of an epoch; they differ in size by one at most."""
        return batches_per_epoch(self.rows.size, self.batch_size)


@dataclass(frozen=True, eq=False)
class OrderedRows(RowBatches):
    """The same rows in the same order in every epoch."""

    def place(self, seed: int, epoch: int, batch: int) -> NDArray[np.int64]:
        """Positions of the rows of one batch.

        Parameters
        ----------
        seed, epoch
            Make no difference.
        batch
            Number of the batch.
        """
        return self.rows[slice(*span(self.rows.size, self.n_batches, batch))]


@dataclass(frozen=True, eq=False)
class ShuffledRows(RowBatches):
    """Every row once in an epoch, in an order that is drawn afresh."""

    _drawn: dict[tuple[int, int], list[NDArray[np.int64]]] = field(default_factory=dict, init=False, repr=False)

    def place(self, seed: int, epoch: int, batch: int) -> NDArray[np.int64]:
        """Positions of the rows of one batch.

        Parameters
        ----------
        seed, epoch, batch
            The draw is a pure function of these.
        """
        if (seed, epoch) not in self._drawn:  # one permutation serves all batches of an epoch
            self._drawn.clear()
            self._drawn[seed, epoch] = list(epoch_batches(self.rows.size, self.batch_size, seed=seed, epoch=epoch))
        return self.rows[self._drawn[seed, epoch][batch]]


def span(n_rows: int, n_batches: int, batch: int) -> tuple[int, int]:
    """First row of a batch, and the one behind its last, as ``np.array_split`` cuts them.

    Parameters
    ----------
    n_rows, n_batches
        How many rows are cut into how many batches.
    batch
        Number of the batch.
    """
    size, larger = divmod(n_rows, n_batches)
    start = batch * size + min(batch, larger)
    return start, start + size + (batch < larger)


def epoch_batches(
    n_rows: int, batch_size: int, *, seed: int, epoch: int, start: int = 0, rank: int = 0, world_size: int = 1
) -> Iterator[NDArray[np.int64]]:
    """Batches of one epoch: a fixed permutation cut into pieces of nearly equal size.

    Parameters
    ----------
    n_rows
        Number of training rows.
    batch_size
        Largest size of a batch over all ranks.
    seed, epoch
        The permutation is a pure function of both.
    start
        Batch to begin with, for a run that is resumed within an epoch.
    rank, world_size
        Every rank takes its share of each batch.

    Yields
    ------
    Positions of rows, int64.
    """
    order = derive_generator(seed, "shuffle", epoch).permutation(n_rows)
    pieces = np.array_split(order, batches_per_epoch(n_rows, batch_size))
    for piece in pieces[start:]:
        yield piece[rank::world_size]
