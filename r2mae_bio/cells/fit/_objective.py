"""What training on cells minimises: the negative log-likelihood of hidden genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2mae_bio.core._objective import Score
from r2mae_bio.likelihoods import GENE_LIKELIHOODS, masked_nll

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.cells.fit._batch import CellBatch
    from r2mae_bio.cells.fit._statistics import CellStatistics
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.config import GeneTrainConfig
    from r2mae_bio.likelihoods import GeneParams
    from r2mae_bio.masking import MaskPlan


class GeneObjective:
    """Negative log-likelihood of hidden genes.

    Parameters
    ----------
    likelihood
        Name of the likelihood.
    statistics
        Of the training cells, for the blind control.
    use_observed_lib_size
        Take the depth from all measured genes.
    """

    unit = "cells"
    blind_name = "each gene's training mean"

    def __init__(self, likelihood: str, statistics: CellStatistics, *, use_observed_lib_size: bool = False) -> None:
        self.likelihood = GENE_LIKELIHOODS[likelihood]
        self.mean_params = statistics.blind(likelihood)
        self.use_observed_lib_size = use_observed_lib_size

    def valid(self, batch: CellBatch) -> Tensor:
        """Measured genes, bool (B, G), or (1, G) where all cells agree."""
        return batch.measured

    def n_rows(self, batch: CellBatch) -> int:
        """Cells."""
        return batch.context.shape[0]

    def n_units(self, batch: CellBatch) -> int:
        """Cells."""
        return batch.context.shape[0]

    def score(self, network: GeneMaskedAutoencoder, batch: CellBatch, plan: MaskPlan) -> Score:
        """Score the network."""
        tokens = batch.tokens()
        exposure = network.content.exposure(tokens) if self.use_observed_lib_size else None
        return self._score(network(tokens.hide(plan), batch.context, exposure), batch, plan)

    def blind(self, batch: CellBatch, plan: MaskPlan) -> Score:
        """Score each gene's training mean."""
        return self._score(self.mean_params, batch, plan)

    def _score(self, params: GeneParams, batch: CellBatch, plan: MaskPlan) -> Score:
        nats = masked_nll(self.likelihood, params, batch.rows, batch.genes, batch.values, plan.hidden)
        return Score(nats, plan.n_hidden)

    def parameter_groups(self, network: GeneMaskedAutoencoder, config: GeneTrainConfig) -> list[dict[str, Any]]:
        """The read, the decoder's per-gene weights, the dispersions, and the rest; none of those
        whose rate is 0, and not the reader of panels, which is trained when the rest has learned.
        """
        decoder = network.decoder
        per_gene = {id(layer.weight) for layer in (decoder.location, decoder.location_linear)}
        groups: dict[str, dict[str, Any]] = {
            "read": {"params": [], "scale": config.read_rate, "weight_decay": config.weight_decay},
            "per gene": {"params": [], "scale": 1.0, "weight_decay": config.decoder_decay},
            "dispersion": {"params": [], "scale": config.dispersion_rate, "weight_decay": 0.0},
            "other": {"params": [], "scale": 1.0, "weight_decay": config.weight_decay},
        }
        for place, parameter in network.named_parameters():
            if place.startswith("encoder.panel_reader."):
                continue
            name = "read" if place.startswith("encoder.read.") else "per gene" if id(parameter) in per_gene else "other"
            name = "dispersion" if parameter is decoder.dispersion else name
            groups[name]["params"].append(parameter)
        return [group for group in groups.values() if group["params"] and group["scale"]]
