"""Where batches come from: loaders whose epochs are pure functions of where the run stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


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


@dataclass(frozen=True, eq=False)
class Loaders:
    """Where the batches of a run come from."""

    train: EpochLoader
    """Rows to learn from; shuffled by the run."""
    validation: EpochLoader | None
    """Rows held out, in a fixed order; None if none are."""
    reference: EpochLoader
    """Rows in a fixed order on which the blind baseline is measured."""


def batches_per_epoch(n_cells: int, batch_size: int) -> int:
    """Number of batches that :func:`epoch_batches` cuts an epoch into."""
    return max(1, -(-n_cells // batch_size))
