"""What a DNA run minimises: the negative log-likelihood of hidden bases."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio.core._objective import Score
from r2mae_bio.dna.network._columns import hide_species
from r2mae_bio.dna.network._mae import base_tokens
from r2mae_bio.likelihoods import base_nll

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Parameter

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.dna.fit._batch import WindowBatch
    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
    from r2mae_bio.masking import MaskPlan

_FITTED_RATE: Final = 0.1
"""Learning rate of what was fitted before the run, in units of that of the rest."""


def scored(nats: Tensor, batch: WindowBatch, counted: Tensor) -> Score:
    """Losses as a score: weighted as the batch says, those of soft-masked bases reported apart.

    Parameters
    ----------
    nats
        Of each slot, zero where none counts, (B, L).
    batch
        What was scored.
    counted
        Slots that count, bool (B, L).
    """
    weight = counted.float() if batch.weight is None else batch.weight * counted
    parts = {}
    if batch.repeat is not None:
        for name, kind in (("repeat", batch.repeat), ("unique", ~batch.repeat)):
            parts[name] = (nats.detach()[kind].sum(), (counted & kind).sum())
    return Score((nats * weight if batch.weight is not None else nats).sum(1), weight.sum(1), parts)


class DNAObjective:
    """Negative log-likelihood of hidden bases, soft-masked ones weighted as the batch says.

    Parameters
    ----------
    composition
        Natural logarithms of the shares of A, C, G and T in the training part, (4,): the control
        that sees no base.
    nearness
        Rank of each aligned species, 0 the nearest to the reference, (S,); None without an
        alignment.
    """

    unit = "bases"
    blind_name = "base composition"

    def __init__(self, composition: Tensor, nearness: Tensor | None = None) -> None:
        self.composition, self.nearness = composition, nearness

    def valid(self, batch: WindowBatch) -> Tensor:
        """Known bases, bool (B, L)."""
        return batch.valid

    def n_rows(self, batch: WindowBatch) -> int:
        """Windows."""
        return batch.codes.shape[0]

    def n_units(self, batch: WindowBatch) -> int:
        """Bases, unknown ones included."""
        return batch.codes.numel()

    def score(self, network: DNAMaskedAutoencoder, batch: WindowBatch, plan: MaskPlan) -> Score:
        """Score the network."""
        tokens = replace(base_tokens(batch.codes).hide(plan), context=self._context(batch, plan))
        return self._score(network(tokens), batch, plan)

    def _context(self, batch: WindowBatch, plan: MaskPlan) -> Tensor | None:
        if batch.columns is None or batch.n_hidden is None or self.nearness is None:
            return batch.columns
        return hide_species(batch.columns, plan.hidden, batch.n_hidden, self.nearness.to(batch.columns.device))

    def blind(self, batch: WindowBatch, plan: MaskPlan) -> Score:
        """Score the base composition."""
        return self._score(self.composition.to(batch.codes.device), batch, plan)

    def _score(self, logits: Tensor, batch: WindowBatch, plan: MaskPlan) -> Score:
        return scored(base_nll(logits, batch.codes, plan.hidden), batch, plan.hidden)

    def parameter_groups(self, network: DNAMaskedAutoencoder, config: TrainConfig) -> list[dict[str, Any]]:
        """Matrices and filters decay; norms and biases do not, nor does the readout of columns,
        which was fitted and is left nearly as it is.
        """
        return self._groups(network, [] if network.columns is None else network.columns.readout_parameters(), config)

    def _groups(self, network: DNAMaskedAutoencoder, fitted: list[Parameter], config: TrainConfig) -> list[dict[str, Any]]:
        free = [p for p in network.parameters() if p.requires_grad and all(p is not one for one in fitted)]
        decayed, plain = [p for p in free if p.dim() > 1], [p for p in free if p.dim() <= 1]
        groups = [
            {"params": decayed, "scale": 1.0, "weight_decay": config.weight_decay},
            {"params": plain, "scale": 1.0, "weight_decay": 0.0},
        ]
        return groups + [{"params": fitted, "scale": _FITTED_RATE, "weight_decay": 0.0}] if fitted else groups
