"""Loaders over windows of a genome: which come when is a plan, a pure function of seed, epoch and
batch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.core._loader import Loaders, batches_per_epoch
from r2mae_bio.dna.fit._batch import WindowBatch, WindowReader
from r2mae_bio.dna.regions._sampler import WindowSampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._split import GenomeSplit

logger = logging.getLogger("r2mae_bio")


class BatchPlace(NamedTuple):
    """Where the windows of a batch lie."""

    starts: NDArray[np.int64]
    """Global positions, (B,)."""
    reverse: NDArray[np.bool_] | None
    """Rows read on the other strand, bool (B,); None for none."""


class WindowPlan(Protocol):
    """Which windows make up each batch."""

    @property
    def n_batches(self) -> int:
        """Batches of an epoch."""

    def place(self, seed: int, epoch: int, batch: int) -> BatchPlace:
        """Windows of one batch, whatever came before it."""


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


class WindowLoader:
    """Iterable over the batches of the current epoch; an :class:`EpochLoader`.

    Parameters
    ----------
    reader
        Makes batches of windows.
    plan
        Which windows make up each batch.
    """

    def __init__(self, reader: WindowReader, plan: WindowPlan) -> None:
        self.reader, self.plan = reader, plan
        self._position: Callable[[], tuple[int, int, int]] = lambda: (0, 0, 0)
        self.rank, self.world_size = 0, 1

    def shuffle_by(self, position: Callable[[], tuple[int, int, int]]) -> None:
        """``position`` tells (seed, epoch, first batch) when an epoch begins; without it every
        epoch is the first of seed 0.
        """
        self._position = position

    def __len__(self) -> int:
        return self.plan.n_batches - self._position()[2]

    def __iter__(self) -> Iterator[WindowBatch]:
        seed, epoch, first = self._position()
        for batch in range(first, self.plan.n_batches):
            yield self.batch(seed, epoch, batch)

    def batch(self, seed: int, epoch: int, batch: int) -> WindowBatch:
        """The share of one batch that falls to `rank`.

        Parameters
        ----------
        seed, epoch, batch
            Which one; none before it need be made.

        Returns
        -------
        Every ``world_size``-th of its windows, from the ``rank``-th.
        """
        starts, reverse = self.plan.place(seed, epoch, batch)
        share = slice(self.rank, None, self.world_size)
        return self.reader.read(starts[share], None if reverse is None else reverse[share])


def window_loaders(
    genome: Genome,
    split: GenomeSplit,
    *,
    window: int,
    batch_size: int,
    epoch_windows: int | None = None,
    both_strands: bool = True,
    repeat_weight: float = 1.0,
    species_weights: Mapping[str, float] | None = None,
    max_validation_windows: int | None = 2048,
) -> Loaders:
    """Loaders over windows of a genome.

    Parameters
    ----------
    genome
        The genome.
    split
        What to train on and what is held out.
    window
        Bases of a window.
    batch_size
        Windows per batch over all ranks.
    epoch_windows
        Windows drawn in an epoch; if None, as many as hold the bases to train on once.
    both_strands
        Train on a strand drawn at random for each window.
    repeat_weight
        Weight in the loss of soft-masked bases; 1 for no difference.
    species_weights
        Share of the training windows that each species gets, see
        :class:`r2mae_bio.io.WindowSampler`.
    max_validation_windows
        Most windows to validate on, evenly spread over the tiles of the held-out part; None for all
        tiles.

    Returns
    -------
    The loaders. Validation windows lie side by side and are the same in every epoch; the controls
    are measured on them, or on as many tiles of the training part if nothing is held out.

    Raises
    ------
    DataError
        A part holds no window with enough known bases.
    ConfigError
        A setting is out of range.
    """
    _check_positive(batch_size=batch_size, epoch_windows=epoch_windows, max_validation_windows=max_validation_windows)
    reader = WindowReader(genome, window, repeat_weight=repeat_weight)
    sampler = WindowSampler(genome, split.train, window, species_weights=species_weights)
    if sampler.n_too_short:
        logger.info(
            "%d of %d intervals are shorter than a window of %d bases and are not trained on",
            sampler.n_too_short,
            len(split.train),
            window,
        )
    n_windows = epoch_windows or max(1, split.train.n_bases // window)
    train = WindowLoader(reader, DrawnWindows(sampler, batch_size, n_windows, both_strands))

    held_out = WindowSampler(genome, split.validation, window) if len(split.validation) else None
    starts = _evenly(_tiles(held_out or sampler), max_validation_windows)
    fixed = WindowLoader(reader, FixedWindows(starts, batch_size))
    return Loaders(train, fixed if held_out else None, fixed)


def _tiles(sampler: WindowSampler) -> NDArray[np.int64]:
    starts = sampler.tiles()
    if not starts.size:
        message = (
            f"None of the windows of {sampler.length} bases that lie side by side from the beginning of each interval has half its bases "
            "known; needed is one to measure the loss on. Choose a shorter window or other regions."
        )
        raise DataError(message)
    return starts


def _check_positive(**numbers: int | None) -> None:
    for name, number in numbers.items():
        if number is not None and (not isinstance(number, int | np.integer) or isinstance(number, bool) or number < 1):
            message = f"{name}={number!r}; needed is a whole number of windows, at least 1."
            raise ConfigError(message)


def _evenly(starts: NDArray[np.int64], most: int | None) -> NDArray[np.int64]:
    """At most this many, the middles of equally large groups."""
    if most is None or starts.size <= most:
        return starts
    return starts[(2 * np.arange(most) + 1) * starts.size // (2 * most)]
