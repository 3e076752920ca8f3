"""Masked autoencoders of standardised features: a plain network, and a convolutional one for
images.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import nn

from benchmarks.networks.masks import draw_hidden, hidden_error, rescaled
from r2mae_bio._rng import derive_generator, derive_seed

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.networks.data import Data
    from r2mae_bio.masking import RatioLaw

BATCH = 64
RATE = 2e-3
DECAY = 1e-2
_CHECKS = 12
_DRAW = 50


class MLP(nn.Module):
    """Two hidden layers on the masked input, rescaled as in the theory."""

    def __init__(self, data: Data, width: int) -> None:
        super().__init__()
        d = data.n_features
        self.layers = nn.Sequential(nn.Linear(d, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, d))

    def forward(self, values: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        return self.layers(rescaled(values, hidden))


class CNN(nn.Module):
    """Four 3 x 3 convolutions on two channels: the visible pixels, not rescaled, and which pixels
    are visible.
    """

    def __init__(self, data: Data, width: int) -> None:
        super().__init__()
        self.register_buffer("pixels", torch.from_numpy(data.pixels))
        widths = [2, width, width, width]
        steps = [(nn.Conv2d(a, b, 3, padding=1), nn.GELU()) for a, b in zip(widths, widths[1:], strict=False)]
        self.layers = nn.Sequential(*(part for step in steps for part in step), nn.Conv2d(width, 1, 3, padding=1))

    def forward(self, values: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        image = values.new_zeros(len(values), 2, 64)
        image[:, 0, self.pixels] = values * ~hidden
        image[:, 1, self.pixels] = (~hidden).to(values.dtype)
        return self.layers(image.view(-1, 2, 8, 8)).flatten(1)[:, self.pixels]


NETWORKS = {"mlp": MLP, "cnn": CNN}


def train(
    data: Data, rows: np.ndarray, law: RatioLaw, *, learner: str, width: int, steps: int, seed: int, one_mask: bool = False
) -> dict[str, float]:
    """Train for a number of steps that is the same for every setting.

    Returns
    -------
    Errors of the final network, and (``*_early``) of the one that predicted validation rows best
    under its own law; training and validation error at the end under that law. With ``one_mask``
    every row keeps one mask, as in the theory, instead of new ones.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "weights"))
        network = NETWORKS[learner](data, width)
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 0.01 + 0.99 * (1 + math.cos(math.pi * s / steps)) / 2)
    checks = {max(1, round(steps * (i + 1) / _CHECKS)) for i in range(_CHECKS)}
    validation = data.values[data.validation].repeat(4, 1)
    validation_mask = draw_hidden(law, len(validation), data.n_features, derive_generator(0, "validation-mask"))
    best, kept, result = math.inf, {}, {}
    for step, (values, hidden) in enumerate(_batches(data, rows, law, steps, seed, one_mask=one_mask), 1):
        loss = ((network(values, hidden) - values) ** 2 * hidden).sum() / hidden.sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if step in checks:
            own = _own_loss(network, validation, validation_mask)
            if own < best:
                best, result = own, {"best_step": step}
                kept = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trained = data.values[rows]
    mask = draw_hidden(law, len(trained), data.n_features, derive_generator(seed, "training-loss-mask"))
    own = {"train_loss": _own_loss(network, trained, mask), "validation_loss": _own_loss(network, validation, validation_mask)}
    result |= {**own, **errors(data, network)}
    network.load_state_dict(kept)
    return result | {f"{name}_early": error for name, error in errors(data, network).items()}


def _batches(data: Data, rows: np.ndarray, law: RatioLaw, steps: int, seed: int, *, one_mask: bool):
    """Random rows with fresh masks, drawn a few steps at a time, or with the one mask of each
    row.
    """
    kept = draw_hidden(law, len(rows), data.n_features, derive_generator(seed, "one-mask"))
    for start in range(0, steps, _DRAW):
        n_steps = min(_DRAW, steps - start)
        generator = derive_generator(seed, "training-masks", start)
        chosen = generator.integers(0, len(rows), (n_steps, BATCH))
        fresh = None if one_mask else draw_hidden(law, n_steps * BATCH, data.n_features, generator).view(n_steps, BATCH, -1)
        yield from zip(
            data.values[torch.from_numpy(rows[chosen])], kept[torch.from_numpy(chosen)] if fresh is None else fresh, strict=True
        )


@torch.inference_mode()
def _own_loss(network: nn.Module, values: torch.Tensor, hidden: torch.Tensor) -> float:
    return float(((network(values, hidden) - values) ** 2 * hidden).sum() / hidden.sum())


@torch.inference_mode()
def errors(data: Data, network: nn.Module) -> dict[str, float]:
    """Error of hidden features in each test condition."""
    values = data.values[data.test]
    return {
        name: hidden_error(torch.stack([network(values, mask) for mask in masks]), values.expand_as(masks), masks)
        for name, masks in data.masks.items()
    }
