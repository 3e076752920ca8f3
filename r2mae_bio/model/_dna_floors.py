"""What the loss of a DNA model has to be compared with, measured before training begins."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from r2mae_bio._errors import DataError
from r2mae_bio.dna.regions._shared_kmers import shared_kmers
from r2mae_bio.train import MarkovModel, markov_floors

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.regions._split import GenomeSplit
    from r2mae_bio.train import Loaders

logger = logging.getLogger("r2mae_bio")

_ORDERS: Final = (0, 5)
_KMER: Final = 24
_KMERS_LOOKED_UP: Final = 2_000_000


def measure_floors(genome: Genome, split: GenomeSplit, loaders: Loaders) -> dict[str, Any]:
    """Log the losses of Markov models and the overlap of the parts.

    Parameters
    ----------
    genome, split
        What is trained on and what is held out.
    loaders
        The windows on which the model will be judged.

    Returns
    -------
    ``split``, ``floors`` and ``shared`` of a :class:`~r2mae_bio.model._dna_record.DNARecord`.
    """
    codes = np.concatenate([batch.codes.numpy() for batch in loaders.reference])
    floors = markov_floors(genome, split, codes, orders=_ORDERS)
    where = "held-out" if len(split.validation) else "training"
    for order, nats in floors.items():
        logger.info("Markov model of order %d: %.4f nats per %s base", order, nats, where)
    named = {str(order): nats for order, nats in floors.items()}
    return {"split": split.to_json(), "floors": named, "shared": _shared(genome, split) if len(split.validation) else {}}


def _shared(genome: Genome, split: GenomeSplit) -> dict[str, Any]:
    """What the parts have in common; nothing if all that is held out lies in pieces shorter than a word."""
    try:
        shared = shared_kmers(genome, split, k=_KMER, sample=_KMERS_LOOKED_UP)
    except DataError as error:
        logger.info("how much the held-out part shares with the training part stays open: %s", error)
        return {}
    logger.info("%.2f%% of the held-out %d-mers also occur in the training part", 100 * shared.share, _KMER)
    return shared.to_json()


def base_composition(genome: Genome, split: GenomeSplit) -> Tensor:
    """Natural logarithms of the shares of A, C, G and T in the training part, both strands together, float32 (4,).

    Parameters
    ----------
    genome, split
        What is trained on.
    """
    return torch.tensor(MarkovModel.count(genome, split.train, 0).log_probs[0], dtype=torch.float32)
