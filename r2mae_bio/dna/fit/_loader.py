"""Loaders over windows of a genome: a plan says which windows, a reader fetches them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._warn import warn
from r2mae_bio.core._loader import Loaders, Plan, PlannedLoader
from r2mae_bio.dna.fit._batch import WindowBatch, WindowReader
from r2mae_bio.dna.fit._plan import BatchPlace, DrawnWindows, FixedWindows, choose_hidden_columns
from r2mae_bio.dna.regions._sampler import WindowSampler

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from r2mae_bio.dna.alignment._over_genome import AlignedColumns
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._intervals import Intervals
    from r2mae_bio.dna.regions._split import GenomeSplit

logger = logging.getLogger("r2mae_bio")

_MANY: Final = 0.1
"""Share of the bases to train on whose loss somebody should know of."""


class WindowLoader(PlannedLoader[BatchPlace, WindowBatch]):
    """Batches of windows.

    Parameters
    ----------
    reader
        Makes batches of windows.
    plan
        Which windows make up each batch.
    """

    def __init__(self, reader: WindowReader, plan: Plan[BatchPlace]) -> None:
        super().__init__(lambda place: reader.read(place.starts, place.reverse, place.n_hidden), plan)
        self.reader = reader


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
    columns: AlignedColumns | None = None,
    hidden_columns: str = "none",
    diverged_weight: float = 1.0,
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
    columns
        What other species have at the positions of the genome.
    hidden_columns
        What is hidden of them along with a base in training: ``"none"``, ``"clades"``, a number
        of species drawn for each window, the nearest to the reference first, or ``"whole"``
        columns in half of the windows. Validation hides none.
    diverged_weight
        Weight in the loss of bases that no other species has, see :class:`WindowReader`.

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
    hides = choose_hidden_columns(hidden_columns, 0 if columns is None else columns.n_species)
    reader = WindowReader(genome, window, repeat_weight=repeat_weight, columns=columns, diverged_weight=diverged_weight)
    sampler = WindowSampler(genome, split.train, window, species_weights=species_weights)
    if sampler.n_too_short:
        _tell_of_short(split.train, window)
    n_windows = epoch_windows or max(1, split.train.n_bases // window)
    train = WindowLoader(reader, DrawnWindows(sampler, batch_size, n_windows, both_strands, hides))

    held_out = WindowSampler(genome, split.validation, window) if len(split.validation) else None
    starts = _evenly(_tiles(held_out or sampler), max_validation_windows)
    fixed = WindowLoader(reader, FixedWindows(starts, batch_size))
    return Loaders(train, fixed if held_out else None, fixed)


def _tell_of_short(train: Intervals, window: int) -> None:
    """Say what gives no window, and warn if it is much."""
    lengths = train.lengths[train.lengths < window]
    message = (
        f"{lengths.size:,} of {len(train):,} intervals are shorter than a window of {window:,} bases and are not trained on: "
        f"{int(lengths.sum()):,} of {train.n_bases:,} bases"
    )
    if lengths.sum() > _MANY * train.n_bases:
        warn(f"{message} ({lengths.sum() / train.n_bases:.0%}). A model with a smaller window trains on more of them.")
    else:
        logger.info(message)


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
