"""The Lightning module: draw a plan, hide, predict, score the hidden slots."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from r2mae_bio._errors import TrainingError
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.likelihoods import GENE_LIKELIHOODS, masked_nll
from r2mae_bio.masking import MaskPlan, RatioLaw, draw_plan
from r2mae_bio.train._metrics import RatioMeter

if TYPE_CHECKING:
    from torch import Tensor

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.likelihoods import GeneParams
    from r2mae_bio.nn import GeneMaskedAutoencoder
    from r2mae_bio.train._batch import CellBatch

_FINAL_RATE = 0.01
_CHECK_FINITE_EVERY = 50  # on an accelerator, where asking costs a synchronisation


class MaskedTrainingPlan(pl.LightningModule):
    """Trains a masked autoencoder; every random draw is a pure function of seed and global step.

    Parameters
    ----------
    network
        The network; trained in place.
    law
        Law of the mask ratio.
    config
        Settings of the run.
    seed
        The user's seed.
    steps_per_epoch
        Optimiser steps of a whole epoch.
    start_step
        Steps done before, when a run is resumed.
    use_observed_lib_size
        Take the depth from all measured genes.
    """

    def __init__(
        self,
        network: GeneMaskedAutoencoder,
        law: RatioLaw,
        config: TrainConfig,
        *,
        seed: int,
        steps_per_epoch: int,
        start_step: int = 0,
        use_observed_lib_size: bool = False,
    ) -> None:
        super().__init__()
        self.network, self.law, self.config, self.seed = network, law, config, seed
        self.steps_per_epoch, self.step = steps_per_epoch, start_step
        self.use_observed_lib_size = use_observed_lib_size
        self.train_meter, self.validation_meter = RatioMeter(), RatioMeter()
        self.blind: GeneParams | None = None
        self.cells_seen = 0

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self.steps_per_epoch * self.config.max_epochs

    @property
    def progress(self) -> float:
        """Share of the run that is done, in [0, 1]."""
        return self.step / self.total_steps

    def position(self) -> tuple[int, int, int]:
        """Seed, epoch and batch within the epoch at which the run stands."""
        return self.seed, *divmod(self.step, self.steps_per_epoch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW; the rate is set at every step from the global step, so there is no schedule to save."""
        return torch.optim.AdamW(self._parameter_groups(), lr=self.config.learning_rate, betas=(0.9, 0.98), fused=True)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        config, decoder = self.config, self.network.decoder
        per_gene = {id(layer.weight) for layer in (decoder.location, decoder.location_linear)}
        read = {id(p) for name, p in self.network.named_parameters() if name.startswith("encoder.read.")}
        groups: dict[str, dict[str, Any]] = {
            "read": {"params": [], "scale": config.read_rate, "weight_decay": config.weight_decay},
            "per gene": {"params": [], "scale": 1.0, "weight_decay": config.decoder_decay},
            "other": {"params": [], "scale": 1.0, "weight_decay": config.weight_decay},
        }
        for parameter in self.network.parameters():
            name = "read" if id(parameter) in read else "per gene" if id(parameter) in per_gene else "other"
            groups[name]["params"].append(parameter)
        return [group for group in groups.values() if group["params"]]

    def on_train_batch_start(self, batch: CellBatch, batch_idx: int) -> None:
        """Set the learning rate, and the generator that dropout reads, from the global step."""
        torch.manual_seed(derive_seed(self.seed, "dropout", self.step, self.global_rank))  # noqa: TID251 - inside fork_rng
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.config.learning_rate * group["scale"] * self.rate_factor()

    def rate_factor(self) -> float:
        """Linear warm-up, then a cosine down to 1% of the peak."""
        warmup = max(1, round(self.config.warmup * self.total_steps))
        cosine = (1 + math.cos(math.pi * min(1.0, self.progress))) / 2
        return min(1.0, (self.step + 1) / warmup) * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)

    def training_step(self, batch: CellBatch, batch_idx: int) -> Tensor:
        """Nats per hidden slot, over all ranks."""
        ratios_from = derive_generator(self.seed, "ratio", self.step, self._ratio_stream)
        ratio = self.law.sample(batch.context.shape[0], ratios_from, progress=self.progress)
        plan = draw_plan(batch.measured, ratio, self._mask_generator("mask", self.step, self.global_rank))
        nats = self._nats(batch, plan)
        n_hidden = plan.hidden.sum(1)
        self.train_meter.update(nats, n_hidden, plan.ratio)
        loss = nats.sum() * self._share_of_slots(n_hidden.sum())
        self._check_finite(loss)
        self.cells_seen += nats.shape[0] * self.trainer.world_size
        return loss

    @property
    def _ratio_stream(self) -> int:
        """A ratio per batch is the same on all ranks; ratios per row differ between ranks."""
        return 0 if self.law.scope == "batch" else self.global_rank

    def on_train_batch_end(self, outputs: Any, batch: CellBatch, batch_idx: int) -> None:
        """Advance the global step."""
        self.step += 1

    def validation_step(self, batch: CellBatch, batch_idx: int) -> None:
        """Score validation cells under the same masks in every epoch."""
        nats, plan = self.score(batch, batch_idx)
        self.validation_meter.update(nats, plan.hidden.sum(1), plan.ratio)

    def score(self, batch: CellBatch, batch_idx: int, *, blind: bool = False) -> tuple[Tensor, MaskPlan]:
        """Nats per row (B,) and the plan, with ratios spread evenly over the quantiles of the law.

        Parameters
        ----------
        batch
            Cells.
        batch_idx
            Position of the batch; with the seed it determines the plan.
        blind
            Score the blind baseline instead of the network.
        """
        generator = derive_generator(self.seed, "validation", batch_idx)
        n_rows = batch.context.shape[0]
        levels = (generator.permutation(n_rows) + 0.5) / n_rows
        ratio = self.law.quantile(levels, progress=self.progress)
        plan = draw_plan(batch.measured, ratio, self._mask_generator("validation-mask", batch_idx, 0))
        return self._nats(batch, plan, blind=blind), plan

    def _nats(self, batch: CellBatch, plan: MaskPlan, *, blind: bool = False) -> Tensor:
        tokens = batch.tokens()
        visible = tokens.hide(plan)
        exposure = self.network.content.exposure(tokens) if self.use_observed_lib_size else None
        params = self.blind if blind and self.blind is not None else self.network(visible, batch.context, exposure)
        return masked_nll(self.network.likelihood, params, batch.rows, batch.genes, batch.values, plan.hidden)

    def _mask_generator(self, stream: str, *position: int) -> Any:
        if self.device.type == "cpu":
            return derive_generator(self.seed, stream, *position)
        return torch.Generator(self.device).manual_seed(derive_seed(self.seed, stream, *position))

    def _share_of_slots(self, n_hidden: Tensor) -> Tensor:
        """One over the mean number of hidden slots of a rank, so that the mean gradient is that of one big batch."""
        if self.trainer.world_size > 1:
            n_hidden = self.all_gather(n_hidden).float().mean()
        return 1.0 / n_hidden

    def _check_finite(self, loss: Tensor) -> None:
        if loss.device.type != "cpu" and self.step % _CHECK_FINITE_EVERY:
            return
        if not bool(torch.isfinite(loss)):
            message = (
                f"The loss is {float(loss.detach())} at step {self.step}; weights are those of the step before. "
                "Lower learning_rate, or look for extreme values in the data."
            )
            raise TrainingError(message)


def likelihood_name(network: GeneMaskedAutoencoder) -> str:
    """Name under which the likelihood of a network is known."""
    return next(name for name, likelihood in GENE_LIKELIHOODS.items() if likelihood is network.likelihood)
