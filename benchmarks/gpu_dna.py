"""The DNA part of benchmarks.gpu: presets in several numerical modes, and agreement with the CPU,
on random bases.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.gpu_timing import mask_generator, peak_memory_mib, rows_as_text, seconds
from r2mae_bio.config import DNAConfig
from r2mae_bio.dna.network._depthwise import DepthwiseConvolution
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder, base_tokens
from r2mae_bio.likelihoods import base_nll
from r2mae_bio.masking import Uniform, draw_plan

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from r2mae_bio.masking import MaskPlan

WINDOW = 512
RUNS = {  # preset: shape of a batch, and modes
    "tiny": ((256, WINDOW), ("float32", "tf32", "bf16")),
    "small": ((128, WINDOW), ("float32", "tf32", "bf16", "bf16+compile")),
    "base": ((64, WINDOW), ("tf32", "bf16")),
}
TOY = {"tiny": ((4, 64), ("float32",))}


class DNABench:
    """One network and random bases on a device."""

    def __init__(self, preset: str, shape: tuple[int, int], device: torch.device) -> None:
        torch.manual_seed(0)
        self.network, self.device = DNAMaskedAutoencoder(DNAConfig.preset(preset)).to(device), device
        self.shape = shape
        self.rng = np.random.default_rng(0)

    def batch(self) -> Tensor:
        return torch.from_numpy(self.rng.integers(0, 4, self.shape)).to(self.device)

    def plan(self, codes: Tensor, step: int) -> MaskPlan:
        ratio = Uniform().sample(self.shape[0], self.rng)
        return draw_plan(torch.ones_like(codes, dtype=torch.bool), ratio, mask_generator(step, self.device))

    def loss(self, call: Callable[..., Tensor], codes: Tensor, plan: MaskPlan) -> Tensor:
        logits = call(base_tokens(codes).hide(plan))
        return base_nll(logits.float(), codes, plan.hidden).sum() / plan.hidden.sum()


def agreement(device: torch.device) -> dict[str, float]:
    """Relative differences of loss and states between CPU and device, same plan, float32."""
    torch.set_float32_matmul_precision("highest")
    bench = DNABench("tiny", (8, 128), torch.device("cpu"))
    codes = bench.batch()
    plan = bench.plan(codes, 0)
    network = bench.network.eval()
    with torch.inference_mode():
        loss, states = bench.loss(network, codes, plan), network.states(codes)
        network.to(device)
        moved = replace(plan, hidden=plan.hidden.to(device), valid=plan.valid.to(device))
        there = bench.loss(network, codes.to(device), moved).cpu(), network.states(codes.to(device)).cpu()
    return {
        "loss": float((there[0] - loss).abs() / loss.abs()),
        "states": float((there[1] - states).abs().max() / states.abs().max()),
    }


def throughput(
    preset: str, shape: tuple[int, int], mode: str, device: torch.device, *, steps: int, peak: float
) -> dict[str, Any]:
    """Training and reading in one numerical mode; ``peak`` is the device's bf16 rate in operations
    per second.
    """
    torch.set_float32_matmul_precision("high" if mode == "tf32" else "highest")
    bench = DNABench(preset, shape, device)
    amp = torch.autocast(device.type, torch.bfloat16) if mode.startswith("bf16") else nullcontext()
    compiled = torch.compile(bench.network) if mode.endswith("compile") else bench.network
    optimizer = torch.optim.AdamW(bench.network.parameters(), lr=1e-3, fused=True)

    def train(step: int) -> None:
        codes = bench.batch()
        with amp:
            loss = bench.loss(compiled, codes, bench.plan(codes, step))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    @torch.inference_mode()
    def read(_: int) -> None:
        with amp:
            bench.network.states(bench.batch())

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    training, reading = seconds(train, steps, device), seconds(read, steps, device)
    codes = bench.batch()
    with FlopCounterMode(display=False) as counter:
        bench.loss(bench.network, codes, bench.plan(codes, 0)).backward()
    return {
        "preset": preset,
        "weights": sum(p.numel() for p in bench.network.parameters()),
        "mode": mode,
        "windows": shape[0],
        "train_bases_per_second": codes.numel() / training,
        "read_bases_per_second": codes.numel() / reading,
        "step_tflop": counter.get_total_flops() / 1e12,
        "model_flop_utilisation": counter.get_total_flops() / training / peak,
        "peak_memory_mib": peak_memory_mib(device),
    }


def convolutions(device: torch.device, *, toy: bool = False) -> list[dict[str, Any]]:
    """Microseconds forward and backward of both ways of a depthwise convolution, and how far their
    gradients are apart.
    """
    rows = []
    for shape in [(2, 40, 8)] if toy else [(64, 101, 64), (256, WINDOW, 128), (64, WINDOW, 768)]:
        for dilation in (1, 2):
            layer = DepthwiseConvolution(shape[2], 9, dilation).to(device)
            x, gradient = (torch.randn(shape, device=device, requires_grad=wanted) for wanted in (True, False))
            inputs = (x, layer.filters.weight, layer.filters.bias)
            ways: dict[str, Callable[[Tensor], Tensor]] = {"dilated": layer._dilated, "phases": layer._by_phases}
            row: dict[str, Any] = {"shape": shape, "dilation": dilation}
            results = [gradients(way, inputs, gradient) for way in ways.values()]
            row["difference"] = max(float((a - b).norm() / a.norm()) for a, b in zip(*results, strict=True))
            for name, way in ways.items():
                call = partial(gradients, way, inputs, gradient)
                row[name] = 1e6 * seconds(call, 10, device, warm_up=10)
            rows.append(row)
    return rows


def gradients(way: Callable[[Tensor], Tensor], inputs: tuple[Tensor, ...], gradient: Tensor, _: int = 0) -> tuple[Tensor, ...]:
    """Those of the inputs, the first of which is what the layer reads."""
    return torch.autograd.grad(way(inputs[0]), inputs, gradient)


def report(result: dict[str, Any]) -> list[str]:
    """Lines of text."""
    agree = result["dna_agreement"]
    lines = [
        f"DNA, windows of {WINDOW} bases; CPU and device, float32: loss differs by {agree['loss']:.1e}, states by {agree['states']:.1e}",
        f"{'':24s} {'weights':>10s} {'batch':>6s} {'train bases/s':>14s} {'read bases/s':>13s} {'MFU':>7s} {'MiB':>8s}",
    ]
    lines += rows_as_text(
        result["dna"],
        lambda row: (
            f"{row['preset'] + ' ' + row['mode']:24s} {row['weights']:10,d} {row['windows']:6d} {row['train_bases_per_second']:14.3g} "
            f"{row['read_bases_per_second']:13.3g} {row['model_flop_utilisation']:7.2%} {row['peak_memory_mib']:8.0f}"
        ),
    )
    for row in result["convolution"]:
        size = "x".join(map(str, row["shape"]))
        lines.append(
            f"depthwise convolution {size}, dilation {row['dilation']}, forward and backward: one kernel {row['dilated']:.0f} us, by "
            f"phases {row['phases']:.0f} us, gradients differ by {row['difference']:.0e}"
        )
    return lines
