"""Which windows make up each batch: pure functions of seed, epoch and number of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2mae_bio._rng import derive_generator
from r2mae_bio.core._loader import batches_per_epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from r2mae_bio.dna.regions._sampler import WindowSampler

__all__ = ["BatchPlace", "DrawnWindows", "FixedWindows"]


@dataclass(frozen=True, eq=False)
class BatchPlace:
    """Where the windows of a batch lie."""

    starts: NDArray[np.int64]
    """Global positions, (B,)."""
    reverse: NDArray[np.bool_] | None
    """Rows read on the other strand, bool (B,); None for none."""

    def __getitem__(self, rows: slice) -> BatchPlace:
        """Where some of the windows lie."""
        return BatchPlace(self.starts[rows], None if self.reverse is None else self.reverse[rows])


@dataclass(frozen=True, eq=False)
class DrawnWindows:
    """Windows drawn afresh in every epoch."""

    sampler: WindowSampler
    """Where windows may lie."""
    batch_size: int
    """Most windows of a batch, over all ranks."""
    n_windows: int
    """Windows of an epoch; its batches differ in size by one at most."""
    both_strands: bool = True
    """Read every window on a strand drawn at random; else all on the forward strand."""

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""
        return batches_per_epoch(self.n_windows, self.batch_size)

    def place(self, seed: int, epoch: int, batch: int) -> BatchPlace:
        """Windows of one batch.

        Parameters
        ----------
        seed, epoch, batch
            The draw is a pure function of these.
        """
        generator = derive_generator(seed, "windows", epoch, batch)
        piece = _piece(self.n_windows, self.n_batches, batch)
        starts = self.sampler.draw(piece.stop - piece.start, generator)
        return BatchPlace(starts, generator.integers(0, 2, starts.size) == 1 if self.both_strands else None)


@dataclass(frozen=True, eq=False)
class FixedWindows:
    """The same windows in the same order in every epoch, on the forward strand."""

    starts: NDArray[np.int64]
    """Global positions, (n,)."""
    batch_size: int
    """Most windows of a batch, over all ranks."""

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""
        return batches_per_epoch(self.starts.size, self.batch_size)

    def place(self, seed: int, epoch: int, batch: int) -> BatchPlace:
        """Windows of one batch.

        Parameters
        ----------
        seed, epoch
            Make no difference.
        batch
            Position of the batch.
        """
        return BatchPlace(self.starts[_piece(self.starts.size, self.n_batches, batch)], None)


def _piece(n: int, n_pieces: int, i: int) -> slice:
    """The i-th of pieces whose sizes differ by one at most."""
    return slice(n * i // n_pieces, n * (i + 1) // n_pieces)
