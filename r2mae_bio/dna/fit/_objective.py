"""What a DNA run minimises: the negative log-likelihood of hidden bases."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2mae_bio.core._objective import Score
from r2mae_bio.dna.network._mae import base_tokens
from r2mae_bio.likelihoods import base_nll

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.dna.fit._batch import WindowBatch
    from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder
    from r2mae_bio.masking import MaskPlan


class DNAObjective:
    """Negative log-likelihood of hidden bases, soft-masked ones weighted as the batch says.

    Parameters
    ----------
    composition
        Natural logarithms of the shares of A, C, G and T in the training part, (4,): the control
        that sees no base.
    """

    unit = "bases"
    blind_name = "base composition"

    def __init__(self, composition: Tensor) -> None:
        self.composition = composition

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
        return self._score(network(base_tokens(batch.codes).hide(plan)), batch, plan)

    def blind(self, batch: WindowBatch, plan: MaskPlan) -> Score:
        """Score the base composition."""
        return self._score(self.composition.to(batch.codes.device), batch, plan)

    def _score(self, logits: Tensor, batch: WindowBatch, plan: MaskPlan) -> Score:
        nats = base_nll(logits, batch.codes, plan.hidden)  # (B, L)
        weight = plan.hidden.float() if batch.weight is None else batch.weight * plan.hidden
        parts = {}
        if batch.repeat is not None:
            for name, kind in (("repeat", batch.repeat), ("unique", ~batch.repeat)):
                parts[name] = (nats.detach()[kind].sum(), (plan.hidden & kind).sum())
        return Score((nats * weight if batch.weight is not None else nats).sum(1), weight.sum(1), parts)

    def parameter_groups(self, network: DNAMaskedAutoencoder, config: TrainConfig) -> list[dict[str, Any]]:
        """Matrices and filters decay; norms and biases do not."""
        decayed = [p for p in network.parameters() if p.dim() > 1]
        plain = [p for p in network.parameters() if p.dim() <= 1]
        return [
            {"params": decayed, "scale": 1.0, "weight_decay": config.weight_decay},
            {"params": plain, "scale": 1.0, "weight_decay": 0.0},
        ]
