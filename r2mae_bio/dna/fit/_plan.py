"""Which windows make up each batch: pure functions of seed, epoch and number of the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator
from r2mae_bio.core._loader import batches_per_epoch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from r2mae_bio.dna.regions._sampler import WindowSampler

__all__ = ["BatchPlace", "DrawnWindows", "FixedWindows", "HiddenColumns", "choose_hidden_columns"]


@dataclass(frozen=True, eq=False)
class BatchPlace:
    """Where the windows of a batch lie."""

    starts: NDArray[np.int64]
    """Global positions, (B,)."""
    reverse: NDArray[np.bool_] | None
    """Rows read on the other strand, bool (B,); None for none."""
    n_hidden: NDArray[np.int64] | None = None
    """How many species are hidden along with a base in each row, (B,); None for none."""

    def __getitem__(self, rows: slice) -> BatchPlace:
        """Where some of the windows lie."""
        reverse, n_hidden = (None if part is None else part[rows] for part in (self.reverse, self.n_hidden))
        return BatchPlace(self.starts[rows], reverse, n_hidden)  # type: ignore[arg-type]


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
    hidden_columns: HiddenColumns | None = None
    """Draws how many species are hidden along with a base in each window; None for none."""

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
        reverse = generator.integers(0, 2, starts.size) == 1 if self.both_strands else None
        hides = self.hidden_columns
        return BatchPlace(starts, reverse, None if hides is None else hides.draw(starts.size, generator))


@dataclass(frozen=True)
class HiddenColumns:
    """How many species are hidden along with a base, the nearest to the reference first: a clade
    around it.
    """

    n_species: int
    """All species."""
    whole: bool
    """All of them, in half of the windows; else a number drawn from 0 to all in each."""

    def draw(self, n: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Numbers of hidden species.

        Parameters
        ----------
        n
            Windows.
        generator
            Where they come from.

        Returns
        -------
        (n,).
        """
        if self.whole:
            return self.n_species * generator.integers(0, 2, n)
        return generator.integers(0, self.n_species + 1, n)


def choose_hidden_columns(what: str, n_species: int) -> HiddenColumns | None:
    """What is hidden along with a base, by name.

    Parameters
    ----------
    what
        ``"none"``, ``"clades"`` or ``"whole"``.
    n_species
        Species of the alignment, 0 if there is none.

    Returns
    -------
    What draws it; None for nothing.

    Raises
    ------
    ConfigError
        There is no such name, or no alignment to hide anything of.
    """
    if what not in ("none", "clades", "whole"):
        message = f"hidden_columns={what!r} is not known; needed is 'none', 'clades' or 'whole'."
        raise ConfigError(message)
    if what != "none" and not n_species:
        message = f"hidden_columns={what!r} without an alignment; needed is a DNAMAE(genome, alignment=...)."
        raise ConfigError(message)
    return None if what == "none" else HiddenColumns(n_species, what == "whole")


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
