"""What a DNA model trains on and what it holds out."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._keys import first_names
from r2mae_bio.dna.fit._markov import MarkovModel, markov_floors
from r2mae_bio.dna.regions._shared_kmers import shared_kmers
from r2mae_bio.dna.regions._split import split_genome

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.core._loader import Loaders
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._split import GenomeSplit

logger = logging.getLogger("r2mae_bio")

_ORDERS: Final = (0, 5)
_KMER: Final = 24
_KMERS_LOOKED_UP: Final = 2_000_000


def measure_floors(genome: Genome, split: GenomeSplit, loaders: Loaders) -> dict[str, Any]:
    """Log the losses of the controls, Markov models, and the overlap of the parts.

    Parameters
    ----------
    genome, split
        What is trained on and what is held out.
    loaders
        The windows on which the model will be judged.

    Returns
    -------
    ``split``, ``floors`` and ``shared`` of a :class:`~r2mae_bio.dna.model._record.DNARecord`.
    """
    codes = np.concatenate([batch.codes.numpy() for batch in loaders.reference])
    floors = markov_floors(genome, split, codes, orders=_ORDERS)
    where = "held-out" if len(split.validation) else "training"
    for order, nats in floors.items():
        logger.info("Markov model of order %d: %.4f nats per %s base", order, nats, where)
    named = {str(order): nats for order, nats in floors.items()}
    return {"split": split.to_json(), "floors": named, "shared": _shared(genome, split) if len(split.validation) else {}}


def _shared(genome: Genome, split: GenomeSplit) -> dict[str, Any]:
    """What the parts have in common; nothing if all that is held out lies in pieces shorter than a
    word.
    """
    try:
        shared = shared_kmers(genome, split, k=_KMER, sample=_KMERS_LOOKED_UP)
    except DataError as error:
        logger.info("how much the held-out part shares with the training part stays open: %s", error)
        return {}
    logger.info("%.2f%% of the held-out %d-mers also occur in the training part", 100 * shared.share, _KMER)
    return shared.to_json()


def base_composition(genome: Genome, split: GenomeSplit) -> Tensor:
    """Natural logarithms of the shares of A, C, G and T in the training part, both strands
    together, float32 (4,).

    Parameters
    ----------
    genome, split
        What is trained on.
    """
    return torch.tensor(MarkovModel.count(genome, split.train, 0).log_probs[0], dtype=torch.float32)


def train_share(split: GenomeSplit | None, train_size: float) -> float:
    """Share of the bases of both parts that are trained on: that of the split, or the one asked for
    where there is none.

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
        _check_long_enough(genome, train_size, window)
        return split_genome(genome, validation=1 - train_size, min_block=window)
    if split.contigs != genome.contigs or any(
        (part.end > genome.lengths[part.contig]).any() for part in (split.train, split.validation)
    ):
        message = (
            f"{split!r} is one of another genome: its contigs are {first_names(split.contigs, 3)}, those of {genome!r} are "
            f"{first_names(genome.contigs, 3)}, and no interval may be longer than its contig. Split this genome with io.split_genome."
        )
        raise ConfigError(message)
    return split


def _check_long_enough(genome: Genome, train_size: float, window: int) -> None:
    """Say it by the settings of a training, as those of a split are not at hand there."""
    longest = int(genome.lengths.max())
    held_out = round((1 - train_size) * longest)
    if train_size < 1 and held_out < window:
        message = (
            f"train_size={train_size:g} holds out the last {100 * (1 - train_size):.4g}% of each contig, of the longest, which has "
            f"{longest:,} bases, {held_out:,}: fewer than the window of {window:,}, so there is nothing to validate on. Choose a smaller "
            "window or train_size, train_size=1 to hold out nothing, or in Python a split= of io.split_genome."
        )
        raise ConfigError(message)
