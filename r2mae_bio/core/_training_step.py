"""The Lightning module: draw a plan, hide, predict, score the hidden slots."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytorch_lightning as pl
import torch

from r2mae_bio._errors import TrainingError
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.core._seeded import reseed
from r2mae_bio.masking import MaskPlan, RatioLaw, draw_plan

if TYPE_CHECKING:
    from torch import Tensor, nn

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.core._objective import Objective, Score

_FINAL_RATE = 0.01
_CHECK_FINITE_EVERY = 50  # on an accelerator, where asking costs a synchronisation


@dataclass(frozen=True, eq=False)
class _Rows:
    """Rows of a batch over all ranks."""

    n: int
    """Their number."""
    valid: Tensor
    """Which slots have content, bool (n, L), or (1, L) where all rows agree."""
    share: slice
    """Those of this rank."""
    own: Tensor
    """``valid`` of these."""

    def mine(self, plan: MaskPlan) -> MaskPlan:
        """The plan of the rows of this rank."""
        return MaskPlan(plan.hidden[self.share], self.own)


class MaskedTraining(pl.LightningModule):
    """Trains a masked autoencoder; every random draw is a pure function of seed and global step.

    Parameters
    ----------
    network
        The network; trained in place.
    objective
        What is hidden and how its prediction is scored.
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
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective,
        law: RatioLaw,
        config: TrainConfig,
        *,
        seed: int,
        steps_per_epoch: int,
        start_step: int = 0,
    ) -> None:
        super().__init__()
        self.network, self.objective, self.law, self.config, self.seed = network, objective, law, config, seed
        self.steps_per_epoch, self.step = steps_per_epoch, start_step
        self.train_meter, self.validation_meter = RatioMeter(), RatioMeter()
        self.units_seen = 0

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
        """AdamW; the rate is set at every step from the global step, so there is no schedule to
        save.
        """
        groups = self.objective.parameter_groups(self.network, self.config)
        return torch.optim.AdamW(groups, lr=self.config.learning_rate, betas=(0.9, 0.98), fused=not self._scales_gradients)

    @property
    def _scales_gradients(self) -> bool:
        """Whether Lightning multiplies the loss, as it does for float16 alone."""
        return bool(self.trainer.precision == "16-mixed")

    def configure_gradient_clipping(
        self, optimizer: Any, gradient_clip_val: float | None = None, gradient_clip_algorithm: str | None = None
    ) -> None:
        """Clip by norm; Lightning refuses to with a fused optimiser, as though every mixed
        precision scaled gradients.
        """
        if self._scales_gradients or gradient_clip_val is None:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        else:
            parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            torch.nn.utils.clip_grad_norm_(parameters, gradient_clip_val)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Set the learning rate, and the generator that dropout reads, from the global step."""
        reseed(derive_seed(self.seed, "dropout", self.step, self.global_rank), self.device)
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = self.config.learning_rate * group["scale"] * self.rate_factor()

    def rate_factor(self) -> float:
        """Linear warm-up, then a cosine down to 1% of the peak."""
        warmup = max(1, round(self.config.warmup * self.total_steps))
        cosine = (1 + math.cos(math.pi * min(1.0, self.progress))) / 2
        return min(1.0, (self.step + 1) / warmup) * (_FINAL_RATE + (1 - _FINAL_RATE) * cosine)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Nats per hidden slot, over all ranks."""
        rows = self._rows(batch)
        ratio = self.law.sample(rows.n, derive_generator(self.seed, "ratio", self.step, 0), progress=self.progress)
        masks_from, rectangle = self._mask_generator("mask", self.step, 0), self.law.scope == "rectangle"
        plan = rows.mine(draw_plan(rows.valid, ratio, masks_from, rectangle=rectangle))
        score = self.objective.score(self.network, batch, plan)
        self.train_meter.update(score, plan.ratio)
        loss = score.nats.sum() * self._share_of_slots(score.weight.sum())
        self._check_finite(loss)
        self.units_seen += self.objective.n_units(batch) * self.trainer.world_size
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Advance the global step."""
        self.step += 1

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Score validation rows under the same masks in every epoch."""
        score, plan = self.score(batch, batch_idx)
        self.validation_meter.update(score, plan.ratio)

    def score(self, batch: Any, batch_idx: int, *, blind: bool = False) -> tuple[Score, MaskPlan]:
        """Score of a batch and the plan, with ratios spread evenly over the quantiles of the law,
        and masks of each row's own, whatever its scope: models of all scopes are asked the same.

        Parameters
        ----------
        batch
            Rows.
        batch_idx
            Position of the batch; with the seed it determines the plan.
        blind
            Score the blind control instead of the network.
        """
        generator = derive_generator(self.seed, "validation", batch_idx)
        rows = self._rows(batch)
        levels = (generator.permutation(rows.n) + 0.5) / rows.n
        ratio = self.law.quantile(levels, progress=self.progress)
        plan = rows.mine(draw_plan(rows.valid, ratio, self._mask_generator("validation-mask", batch_idx, 0)))
        if blind:
            return self.objective.blind(batch, plan), plan
        return self.objective.score(self.network, batch, plan), plan

    def _rows(self, batch: Any) -> _Rows:
        """The rows of a batch over all ranks: masks are drawn for all of them by each rank, so that
        they are the same whatever the number of ranks.
        """
        valid, n = self.objective.valid(batch), self.objective.n_rows(batch)
        if self._trainer is None or self.trainer.world_size == 1:  # the blind control is measured before there is a trainer
            return _Rows(n, valid, slice(None), valid)
        mine = slice(self.global_rank, None, self.trainer.world_size)
        differ = int(valid.shape[0] > 1)
        alike = zlib.crc32(valid[:1].cpu().numpy().tobytes())
        told = self.all_gather(torch.tensor([n, differ, alike], device=valid.device)).view(-1, 3).tolist()
        sizes = [size for size, _, _ in told]
        if not any(differ for _, differ, _ in told) and len({alike for _, _, alike in told}) == 1:
            return _Rows(sum(sizes), valid, mine, valid)
        padded = torch.zeros(max(sizes), valid.shape[1], dtype=torch.uint8, device=valid.device)
        padded[:n] = valid
        gathered = self.all_gather(padded).bool()
        everything = torch.zeros(sum(sizes), valid.shape[1], dtype=torch.bool, device=valid.device)
        for rank, size in enumerate(sizes):
            everything[rank :: len(sizes)] = gathered[rank, :size]
        return _Rows(sum(sizes), everything, mine, valid)

    def _mask_generator(self, stream: str, *position: int) -> Any:
        if self.device.type == "cpu":
            return derive_generator(self.seed, stream, *position)
        return torch.Generator(self.device).manual_seed(derive_seed(self.seed, stream, *position))

    def _share_of_slots(self, n_hidden: Tensor) -> Tensor:
        """One over the mean number of hidden slots of a rank, so that the mean gradient is that of
        one big batch.
        """
        if self.trainer.world_size > 1:
            n_hidden = self.all_gather(n_hidden).float().mean()
        return 1.0 / n_hidden.float().clamp(min=torch.finfo(torch.float32).tiny)  # none: no loss either

    def _check_finite(self, loss: Tensor) -> None:
        if loss.device.type != "cpu" and self.step % _CHECK_FINITE_EVERY:
            return
        if not bool(torch.isfinite(loss)):
            message = (
                f"The loss is {float(loss.detach())} at step {self.step}; the model is left as it was before training. "
                "Lower learning_rate, or look for extreme values in the data."
            )
            raise TrainingError(message)
