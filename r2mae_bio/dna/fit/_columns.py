"""What the columns of an alignment say of a base without a network: where training begins, and
what it has to beat.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch.nn import functional as F

from r2mae_bio._errors import DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.core._seeded import seeded
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases
from r2mae_bio.dna.network._columns import ColumnReading, log_shares

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.core._loader import Loaders
    from r2mae_bio.dna.alignment._over_genome import AlignedColumns
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
    from r2mae_bio.dna.regions._intervals import Intervals
    from r2mae_bio.dna.regions._split import GenomeSplit

logger = logging.getLogger("r2mae_bio")

_N_SAMPLED: Final = 100_000
_N_STEPS: Final = 40
_PENALTY: Final = 1e-6
"""Of the squares of the fitted numbers, in nats per base: it decides where no column does."""


def sample_columns(
    genome: Genome, intervals: Intervals, columns: AlignedColumns, *, seed: int, n: int = _N_SAMPLED
) -> tuple[Tensor, Tensor]:
    """Columns at positions drawn at random, each read on both strands.

    Parameters
    ----------
    genome
        The genome.
    intervals
        Where to draw.
    columns
        What other species have there.
    seed
        Seed of the draw.
    n
        Positions, drawn with replacement.

    Returns
    -------
    Codes of the other species, int64 (m, S), and of the base of the genome, int64 (m,), where it is
    known.

    Raises
    ------
    DataError
        None of the bases is known.
    """
    sizes = intervals.end - intervals.start
    drawn = derive_generator(seed, "columns").integers(0, sizes.sum(), n)
    which = np.searchsorted(np.cumsum(sizes), drawn, side="right")
    contig, position = intervals.contig[which], intervals.start[which] + drawn - (np.cumsum(sizes) - sizes)[which]
    bases = encode_bases(genome.windows(position, 1, contigs=contig)[:, 0])
    known = bases < UNKNOWN
    if not known.any():
        message = f"None of {n} bases drawn from what is trained on is A, C, G or T; needed are some to fit columns to."
        raise DataError(message)
    targets = torch.from_numpy(bases[known]).long()
    context = torch.from_numpy(columns.at(contig, position)[known]).long()
    return torch.cat([context, _complement(context)]), torch.cat([targets, _complement(targets)])


def fit_readout(reading: ColumnReading, context: Tensor, targets: Tensor) -> None:
    """Fit the readout to columns, by multinomial logistic regression with a small penalty.

    Parameters
    ----------
    reading
        What is fitted, from where it stands; changed in place.
    context, targets
        From :func:`sample_columns`.
    """
    parameters = reading.readout_parameters()
    optimizer = torch.optim.LBFGS(parameters, max_iter=_N_STEPS, history_size=10, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        nats = F.cross_entropy(reading.readout(context), targets) + _PENALTY * reading.readout_letters.square().sum()
        nats.backward()
        return nats

    optimizer.step(loss)


def position_weights(context: NDArray[np.integer] | Tensor) -> Tensor:
    """Weights of species by which those that are alike count less (Henikoff and Henikoff 1994).

    In each column a species has one over the number of different bases there, times one over the
    number of species with its own.

    Parameters
    ----------
    context
        Codes of columns, (n, S).

    Returns
    -------
    float32 (S,), their mean 1.
    """
    codes = torch.as_tensor(context)
    has = torch.stack([codes == base for base in range(UNKNOWN)], -1).float()  # (n, S, 4)
    count = has.sum(1, keepdim=True)
    kinds = (count > 0).sum(-1, keepdim=True)
    weights = (has / (count * kinds).clamp(min=1)).sum((0, 2))
    return weights / weights.mean().clamp(min=torch.finfo(weights.dtype).tiny)


class ColumnStart:
    """A readout fitted to columns of the training part.

    Parameters
    ----------
    genome, split
        What is trained on.
    columns
        What other species have there.
    seed
        Seed of the positions drawn.
    """

    def __init__(self, genome: Genome, split: GenomeSplit, columns: AlignedColumns, *, seed: int) -> None:
        context, targets = sample_columns(genome, split.train, columns, seed=seed)
        self.weights: Tensor = position_weights(context)
        """Of species, (S,)."""
        with seeded(0):  # of what is drawn, nothing is read
            self.reading = ColumnReading(columns.n_species, 1)
        """Its readout is fitted."""
        fit_readout(self.reading, context, targets)

    def put_into(self, network: DNAMaskedAutoencoder) -> None:
        """Let a network begin here.

        Parameters
        ----------
        network
            One that reads as many species.
        """
        if network.columns is None:
            raise AssertionError
        network.columns.start_at(self.reading)

    def floors(self, loaders: Loaders) -> dict[str, float]:
        """Log what columns say alone of the windows on which the model will be judged.

        Parameters
        ----------
        loaders
            Has these windows.

        Returns
        -------
        Nats per known base by name: ``columns``, shares with a pseudocount of one half; ``weighted
        columns``, the same with weights of species; ``column readout``.
        """
        sums, n = np.zeros(3), 0
        for batch in loaders.reference:
            known = batch.valid
            context, bases = batch.columns[known].long(), batch.codes[known].long()
            found = log_shares(context), log_shares(context, self.weights), self.reading.readout(context).detach()
            sums += [float(F.cross_entropy(one, bases, reduction="sum")) for one in found]
            n += len(bases)
        floors = dict(zip(("columns", "weighted columns", "column readout"), (sums / n).tolist(), strict=True))
        for name, nats in floors.items():
            logger.info("%s: %.4f nats per %s base", name, nats, "training" if loaders.validation is None else "held-out")
        return floors


def _complement(codes: Tensor) -> Tensor:
    return torch.where(codes < UNKNOWN, UNKNOWN - 1 - codes, codes)
