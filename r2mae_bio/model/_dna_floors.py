"""What the loss of a DNA model has to be compared with, measured before training begins."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from r2mae_bio.io import shared_kmers
from r2mae_bio.train import MarkovModel, markov_floors

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.io import Genome, GenomeSplit
    from r2mae_bio.model._dna_record import DNARecord
    from r2mae_bio.train import Loaders

logger = logging.getLogger("r2mae_bio")

_ORDERS: Final = (0, 5)
_KMER: Final = 24
_KMERS_LOOKED_UP: Final = 2_000_000


def measure_floors(record: DNARecord, genome: Genome, split: GenomeSplit, loaders: Loaders) -> None:
    """Log the losses of Markov models and the overlap of the parts, and keep them in the record.

    Parameters
    ----------
    record
        Its ``split``, ``floors`` and ``shared`` are set.
    genome, split
        What is trained on and what is held out.
    loaders
        The windows on which the model will be judged.
    """
    codes = np.concatenate([batch.codes.numpy() for batch in loaders.reference])
    floors = markov_floors(genome, split, codes, orders=_ORDERS)
    record.split, record.shared = split.to_json(), {}
    record.floors = {str(order): nats for order, nats in floors.items()}
    where = "held-out" if len(split.validation) else "training"
    for order, nats in floors.items():
        logger.info("Markov model of order %d: %.4f nats per %s base", order, nats, where)
    if len(split.validation):
        shared = shared_kmers(genome, split, k=_KMER, sample=_KMERS_LOOKED_UP)
        record.shared = shared.to_json()
        logger.info("%.2f%% of the held-out %d-mers also occur in the training part", 100 * shared.share, _KMER)


def base_composition(genome: Genome, split: GenomeSplit) -> Tensor:
    """Natural logarithms of the shares of A, C, G and T in the training part, both strands together, float32 (4,).

    Parameters
    ----------
    genome, split
        What is trained on.
    """
    return torch.tensor(MarkovModel.count(genome, split.train, 0).log_probs[0], dtype=torch.float32)
