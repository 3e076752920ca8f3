"""Seeding of what takes no generator: the weights of layers, and dropout."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["reseed", "seeded"]


def reseed(seed: int, device: torch.device) -> None:
    """Let dropout on a device, and all that draws on the CPU, draw from this seed from now on.

    ``torch.manual_seed`` would seed, and so wake, accelerators that are not in use; where there are
    none it keeps a stack trace of every call, which at every step of a run takes time.

    Parameters
    ----------
    seed
        The seed.
    device
        Where the network is.
    """
    if device.type not in ("cpu", "cuda"):
        torch.manual_seed(seed)  # noqa: TID251 - callers are inside fork_rng
        return
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        index = torch.cuda.current_device() if device.index is None else device.index
        torch.cuda.default_generators[index].manual_seed(seed)


@contextmanager
def seeded(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Within it, layers and dropout draw from this seed, on the CPU and on the device; afterwards
    all is as it was.

    Parameters
    ----------
    seed
        The seed.
    device
        Where the network is; None if only weights are drawn, which happens on the CPU.
    """
    drawing = device if device is not None and device.type == "cuda" else torch.device("cpu")
    with torch.random.fork_rng(devices=[drawing] if drawing.type == "cuda" else []):
        reseed(seed, drawing)
        yield
