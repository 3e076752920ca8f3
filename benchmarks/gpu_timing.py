"""What both parts of benchmarks.gpu measure with."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


def wait(device: torch.device) -> None:
    """Until the device has done what it was told."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def seconds(call: Callable[[int], Any], n: int, device: torch.device, *, warm_up: int = 3) -> float:
    """Of one of ``n`` calls with the numbers from 0, after some to warm up."""
    for step in range(warm_up):
        call(step)
    wait(device)
    start = time.perf_counter()
    for step in range(n):
        call(step)
    wait(device)
    return (time.perf_counter() - start) / n


def mask_generator(step: int, device: torch.device) -> np.random.Generator | torch.Generator:
    """The generator of a step's masks, on the device."""
    return derive_generator(0, "mask", step) if device.type == "cpu" else torch.Generator(device).manual_seed(step)


def peak_memory_mib(device: torch.device) -> float:
    """Since it was last reset; not a number on a CPU."""
    return torch.cuda.max_memory_allocated() / 2**20 if device.type == "cuda" else float("nan")


def rows_as_text(rows: list[dict[str, Any]], line: Callable[[dict[str, Any]], str]) -> list[str]:
    """A line for each row, also of those that were skipped."""
    return [f"{row['mode']:24s} skipped: {row['skipped'].splitlines()[0]}" if "skipped" in row else line(row) for row in rows]
