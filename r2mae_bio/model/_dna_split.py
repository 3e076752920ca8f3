"""What a DNA model trains on and what it holds out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._errors import ConfigError
from r2mae_bio.dna.regions._split import split_genome

if TYPE_CHECKING:
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._intervals import Intervals
    from r2mae_bio.dna.regions._split import GenomeSplit


def train_share(split: GenomeSplit | None, train_size: float) -> float:
    """Share of the bases of both parts that are trained on: that of the split, or the one asked for where there is none.

    Parameters
    ----------
    split
        What the user passed.
    train_size
        What else the user passed.
    """
    if split is None:
        return train_size
    return split.train.n_bases / (split.train.n_bases + split.validation.n_bases)


def choose_split(genome: Genome, split: GenomeSplit | None, *, train_size: float, window: int) -> GenomeSplit:
    """The user's split, or the last share of every contig as validation.

    Parameters
    ----------
    genome
        The genome.
    split
        What the user passed.
    train_size
        Share to train on where there is no split.
    window
        Bases read at once; a contig that would hold out fewer is trained on whole.

    Returns
    -------
    The split.

    Raises
    ------
    ConfigError
        The split is one of another genome, or no contig is long enough to hold out its share.
    """
    if split is None:
        return split_genome(genome, validation=1 - train_size, min_block=window)
    if split.contigs != genome.contigs or not all(_lies_on(genome, part) for part in (split.train, split.validation)):
        message = (
            f"{split!r} is one of another genome: its contigs are {_named(split.contigs)}, those of {genome!r} are "
            f"{_named(genome.contigs)}, and no interval may be longer than its contig. Split this genome with io.split_genome."
        )
        raise ConfigError(message)
    return split


def _lies_on(genome: Genome, part: Intervals) -> bool:
    return bool((part.end <= genome.lengths[part.contig]).all())


def _named(contigs: tuple[str, ...]) -> str:
    return ", ".join(contigs[:3]) + (f" and {len(contigs) - 3} more" if len(contigs) > 3 else "")
