"""Seeding of what takes no generator: the weights of layers, and dropout."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["seeded"]


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within it, layers and dropout draw from this seed, on the CPU and on the device; afterwards
    all is as it was.

    ``torch.manual_seed`` would seed, and so wake, accelerators that are not in use.

    Parameters
    ----------
    seed
        The seed.
    device
        Where the network is; None if only weights are drawn, which happens on the CPU.
    """
    cuda = [device.index] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(seed)
        for index in cuda:
            torch.cuda.default_generators[index].manual_seed(seed)
        yield
