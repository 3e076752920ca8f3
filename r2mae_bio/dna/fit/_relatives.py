"""Training on what other species have: where it begins, and what it minimises."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from r2mae_bio.dna._aligned import ASKED
from r2mae_bio.dna.fit._columns import position_weights, sample_columns
from r2mae_bio.dna.fit._objective import DNAObjective, scored
from r2mae_bio.dna.genome._bases import UNKNOWN
from r2mae_bio.dna.network._columns import RelativesReadout, base_counts
from r2mae_bio.dna.network._mae import base_tokens

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.core._loader import Loaders
    from r2mae_bio.core._objective import Score
    from r2mae_bio.dna.alignment._over_genome import AlignedColumns
    from r2mae_bio.dna.fit._batch import WindowBatch
    from r2mae_bio.dna.genome._genome import Genome
    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
    from r2mae_bio.dna.regions._split import GenomeSplit
    from r2mae_bio.masking import MaskPlan

logger = logging.getLogger("r2mae_bio")

_PSEUDO = 0.5


class RelativesStart:
    """How often species have each base where the genome has one, in the training part.

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
        context, bases = sample_columns(genome, split.train, columns, seed=seed)
        weights = position_weights(context)
        of_bases = torch.zeros(UNKNOWN, 4).index_add_(0, bases, base_counts(context, weights)) + _PSEUDO
        table = torch.cat([of_bases, of_bases.sum(0, keepdim=True)])
        self.readout = RelativesReadout(columns.n_species)
        self.readout.start_at((table / table.sum(1, keepdim=True)).log(), weights)
        """Fitted."""

    def put_into(self, network: DNAMaskedAutoencoder) -> None:
        """Let a network begin here.

        Parameters
        ----------
        network
            One that predicts relatives.
        """
        if network.relatives is None:
            raise AssertionError
        network.relatives.start_at(self.readout.exchange, self.readout.get_buffer("weights"))

    def floors(self, loaders: Loaders) -> dict[str, float]:
        """Log what the bases of the genome say alone of the windows on which the model will be
        judged.

        Parameters
        ----------
        loaders
            Has these windows.

        Returns
        -------
        Nats by name: ``substitutions``, each base of the genome replaced as often as it is in the
        training part.
        """
        nats, n = 0.0, 0
        for batch in loaders.reference:
            shares, known = relatives_shares(self.readout, batch)
            losses = -(shares * self.readout(batch.codes.long()).log_softmax(-1)).sum(-1)
            nats += float(losses[known].detach().sum())
            n += int(known.sum())
        where = "training" if loaders.validation is None else "held-out"
        logger.info("substitutions: %.4f nats per %s column", nats / max(n, 1), where)
        return {"substitutions": nats / max(n, 1)}


class RelativesObjective(DNAObjective):
    """Cross-entropy of what is expected of hidden columns and what species have there, each by its
    weight; the bases of the genome are visible.

    Parameters
    ----------
    start
        Has the weights of species, and the control that sees no base.
    """

    unit = "bases"
    blind_name = "bases of relatives"

    def __init__(self, start: RelativesStart) -> None:
        super().__init__(start.readout.exchange[UNKNOWN].detach().clone())
        self._readout = start.readout

    def score(self, network: DNAMaskedAutoencoder, batch: WindowBatch, plan: MaskPlan) -> Score:
        """Score the network."""
        if batch.columns is None:
            raise AssertionError
        context = batch.columns + ASKED * plan.hidden[..., None].to(batch.columns.dtype)
        return self._score(network.expect(replace(base_tokens(batch.codes), context=context)), batch, plan)

    def _score(self, logits: Tensor, batch: WindowBatch, plan: MaskPlan) -> Score:
        shares, known = relatives_shares(self._readout, batch)
        counted = plan.hidden & known
        return scored(-(shares * logits.log_softmax(-1)).sum(-1) * counted, batch, counted)

    def parameter_groups(self, network: DNAMaskedAutoencoder, config: TrainConfig) -> list[dict[str, Any]]:
        """Those of any DNA run, what was measured before it nearly left as it is."""
        fitted = [] if network.relatives is None else [network.relatives.exchange]
        return self._groups(network, fitted, config)


def relatives_shares(readout: RelativesReadout, batch: WindowBatch) -> tuple[Tensor, Tensor]:
    """What species have at each position.

    Parameters
    ----------
    readout
        Has their weights.
    batch
        Windows with columns.

    Returns
    -------
    Shares of A, C, G and T, (B, L, 4), zeros where no species has any; and where the base is known
    and one has, bool (B, L).
    """
    if batch.columns is None:
        raise AssertionError
    counts = readout.to(batch.columns.device).counts(batch.columns.long())
    total = counts.sum(-1)
    return counts / total.clamp(min=torch.finfo(counts.dtype).tiny)[..., None], batch.valid & (total > 0)
