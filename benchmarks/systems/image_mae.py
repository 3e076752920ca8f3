"""A masked autoencoder of images on the package's own core: plan, laws, optimiser, checkpoints and
resume are the core's, and here are a network, an objective and a reader of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from r2mae_bio._rng import derive_seed
from r2mae_bio.config._settings import Settings
from r2mae_bio.core._loader import Loaders, OrderedRows, PlannedLoader, ShuffledRows
from r2mae_bio.core._objective import Score
from r2mae_bio.core._record import ModelRecord
from r2mae_bio.core._run import Run, TrainOptions
from r2mae_bio.core._seeded import seeded
from r2mae_bio.core._trainable import Trainable
from r2mae_bio.masking import draw_plan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from r2mae_bio.config import TrainConfig
    from r2mae_bio.masking import MaskPlan, RatioLaw


@dataclass(frozen=True)
class ImageConfig(Settings):
    """Sizes of a network."""

    side: int
    """Pixels of an edge."""
    kind: str = "mlp"
    """``"mlp"`` or ``"cnn"``."""
    width: int = 128
    """Units of a layer, or channels of the first convolution."""
    latent: int = 64
    """Width of the representation."""


class MLP(nn.Module):
    """Visible pixels and which they are, to all pixels."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        d, width, latent = config.side**2, config.width, config.latent
        self.encoder = nn.Sequential(
            nn.Linear(2 * d, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, latent)
        )
        self.decoder = nn.Sequential(nn.GELU(), nn.Linear(latent, width), nn.GELU(), nn.Linear(width, d))

    def encode(self, values: Tensor, visible: Tensor) -> Tensor:
        """Representations (B, latent)."""
        return self.encoder(torch.cat([values * visible, visible], 1))

    def forward(self, values: Tensor, visible: Tensor) -> Tensor:
        return self.decoder(self.encode(values, visible))


class CNN(nn.Module):
    """Convolutions to a narrow representation, and back beside the visible pixels."""

    def __init__(self, config: ImageConfig) -> None:
        super().__init__()
        side, w, latent = config.side, config.width, config.latent
        self.side, self.small = side, -(-side // 4)
        self.encoder = nn.Sequential(
            nn.Conv2d(2, w, 3, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(w, 2 * w, 3, stride=2, padding=1), nn.GELU(),
            nn.Flatten(), nn.Linear(2 * w * self.small**2, latent),
        )  # fmt: skip
        self.widen = nn.Sequential(nn.GELU(), nn.Linear(latent, w * self.small**2), nn.GELU())
        self.decoder = nn.Sequential(nn.Conv2d(w + 2, w, 3, padding=1), nn.GELU(), nn.Conv2d(w, 1, 3, padding=1))

    def encode(self, values: Tensor, visible: Tensor) -> Tensor:
        """Representations (B, latent)."""
        return self.encoder(self._image(values, visible))

    def forward(self, values: Tensor, visible: Tensor) -> Tensor:
        image = self._image(values, visible)
        small = self.widen(self.encoder(image)).view(len(values), -1, self.small, self.small)
        large = nn.functional.interpolate(small, size=(self.side, self.side), mode="bilinear", align_corners=False)
        return self.decoder(torch.cat([large, image], 1)).flatten(1)

    def _image(self, values: Tensor, visible: Tensor) -> Tensor:
        return torch.stack([values * visible, visible], 1).view(-1, 2, self.side, self.side)


NETWORKS: dict[str, type[nn.Module]] = {"mlp": MLP, "cnn": CNN}


class PixelObjective:
    """Squared error of hidden pixels, as the negative log-likelihood of a normal distribution of
    variance 1 without its constant.
    """

    unit = "images"
    blind_name = "each pixel's mean"

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean

    def valid(self, batch: Tensor) -> Tensor:
        """All pixels, bool (1, L)."""
        return torch.ones(1, batch.shape[1], dtype=torch.bool, device=batch.device)

    def n_rows(self, batch: Tensor) -> int:
        """Images."""
        return len(batch)

    def n_units(self, batch: Tensor) -> int:
        """Images."""
        return len(batch)

    def score(self, network: nn.Module, batch: Tensor, plan: MaskPlan) -> Score:
        """Score the network."""
        return self._score(network(batch, plan.visible.to(batch.dtype)), batch, plan)

    def blind(self, batch: Tensor, plan: MaskPlan) -> Score:
        """Score the mean image."""
        return self._score(self.mean.to(batch.device), batch, plan)

    def _score(self, predicted: Tensor, batch: Tensor, plan: MaskPlan) -> Score:
        return Score(((predicted - batch) ** 2 * plan.hidden).sum(1) / 2, plan.n_hidden)

    def parameter_groups(self, network: nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
        """One group."""
        return [{"params": list(network.parameters()), "scale": 1.0, "weight_decay": config.weight_decay}]


@dataclass(eq=False, kw_only=True)
class ImageRecord(ModelRecord):
    """All of a model but its weights."""

    @classmethod
    def _own_fields(cls, data: dict[str, Any]) -> dict[str, Any]:
        return {"config": ImageConfig.from_json(data["config"])}


class ImageMAE(Trainable[ImageRecord, nn.Module]):
    """A masked autoencoder of images.

    Parameters
    ----------
    config
        Sizes.
    law
        Law of the mask ratio, of any scope.
    seed
        Of weights, order and masks.
    """

    _kind = "ImageMAE"

    def __init__(self, config: ImageConfig, law: RatioLaw, seed: int = 0) -> None:
        self.record = ImageRecord(config=config, law=law, seed=seed)
        self.network = None

    @classmethod
    def _read_record(cls, data: dict[str, Any]) -> ImageRecord:
        return ImageRecord.from_json(data)

    @classmethod
    def _blank_network(cls, record: ImageRecord) -> nn.Module:
        return NETWORKS[record.config.kind](record.config)

    def _build(self) -> nn.Module:
        with seeded(derive_seed(self.record.seed, "weights")):
            return self._blank_network(self.record)

    def train(
        self,
        images: Tensor,
        config: TrainConfig,
        *,
        checkpoint_dir: Path | None = None,
        resume_from: Path | None = None,
        **options: Any,
    ) -> None:
        """Train on images (n, side * side), all of them; a run in a folder can be resumed."""
        rows = np.arange(len(images))

        def loader(plan: OrderedRows | ShuffledRows) -> PlannedLoader[Any, Tensor]:
            return PlannedLoader(lambda place: images[torch.from_numpy(place)], plan)

        loaders = Loaders(loader(ShuffledRows(rows, config.batch_size)), None, loader(OrderedRows(rows[:1024], 1024)))
        run_options = TrainOptions(progress_bar=False, checkpoint_dir=checkpoint_dir, resume_from=resume_from, **options)
        fingerprint = f"{tuple(images.shape)} {float(images.double().sum())!r}"
        self._fit(Run(config, run_options, loaders, PixelObjective(images.mean(0)), fingerprint), self._build)

    @torch.inference_mode()
    def represent(self, images: Tensor) -> np.ndarray:
        """Representations of whole images (n, latent)."""
        network = self._network()
        parts = [network.encode(part, torch.ones_like(part)) for part in images.to(self.device).split(1024)]
        return torch.cat(parts).cpu().numpy()

    @torch.inference_mode()
    def hidden_error(self, images: Tensor, ratios: Sequence[float], generator: np.random.Generator) -> dict[str, float]:
        """Mean squared error of hidden pixels at each ratio, under masks of the generator alone."""
        network, found = self._network(), {}
        for ratio in ratios:
            plan = draw_plan(torch.ones(1, images.shape[1], dtype=torch.bool), np.full(len(images), ratio), generator)
            wrong = (network(images.to(self.device), plan.visible.float().to(self.device)).cpu() - images) ** 2 * plan.hidden
            found[f"error {ratio:.0%}"] = float(wrong.sum() / plan.hidden.sum())
        return found
