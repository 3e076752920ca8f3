"""One self-contained run on a CUDA device; with --toy, the same at toy size on the CPU.

python -m benchmarks.gpu [--cells 200000] [--genes 20000] [--batch 1024] [--steps 30] [--peak-tflops
790] [--toy]

Needs torch, pytorch-lightning, numpy, scipy, safetensors; no scanpy, anndata or scvi-tools.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import time
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy import sparse
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import gpu_dna
from benchmarks.gpu_timing import mask_generator, peak_memory_mib, rows_as_text, seconds
from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.fit._statistics import scan_cells
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
from r2mae_bio.config import GeneConfig
from r2mae_bio.likelihoods import masked_nll
from r2mae_bio.masking import Uniform, draw_plan

if TYPE_CHECKING:
    from collections.abc import Callable

TOLERANCE = 2e-4
"""Largest relative difference of loss and latent between CPU and device in float32."""


class Rows:
    """Non-zero entries of some cells."""

    def __init__(self, matrix: sparse.csr_array) -> None:
        self.indptr, self.genes = matrix.indptr.astype(np.int64), matrix.indices.astype(np.int64)
        self.values = matrix.data.astype(np.float32)


class Source:
    """Cells in memory, without AnnData."""

    def __init__(self, matrix: sparse.csr_array) -> None:
        self.matrix, self.n_cells = matrix, matrix.shape[0]
        self.measured, self.panels = np.ones(matrix.shape[1], bool), None
        self.buffer = None

    def rows(self, index: np.ndarray) -> Rows:
        return Rows(self.matrix[index])


def generate(n_cells: int, n_genes: int, chunk: int = 2000) -> sparse.csr_array:
    """Counts of a log-normal factor model with gamma-Poisson noise, a few thousand cells at a time
    on each core.

    Its parameters are chosen by hand, not fitted: log gene means with spread 1.9, ten programmes of
    log-normal loadings, a log-normal depth around 2,500 counts with spread 0.4, inverse dispersion
    2.
    """
    jobs = [(start, min(chunk, n_cells - start), n_genes) for start in range(0, n_cells, chunk)]
    if len(jobs) == 1:
        return _cells(jobs[0])
    with multiprocessing.get_context("fork").Pool() as pool:
        return sparse.vstack(pool.map(_cells, jobs, chunksize=1), format="csr")


def _cells(job: tuple[int, int, int]) -> sparse.csr_array:
    start, n, n_genes = job
    rng = np.random.default_rng(0)
    base = np.exp(rng.normal(0, 1.9, n_genes))
    loadings = rng.normal(0, 0.6, (10, n_genes)) * (rng.random((10, n_genes)) < 0.2)
    rng = np.random.default_rng((0, start))
    rate = base * np.exp((rng.normal(0, 1, (n, 10)) @ loadings).astype(np.float32))
    depth = 2500 * np.exp(rng.normal(0, 0.4, (n, 1)))
    mean = (rate / rate.sum(1, keepdims=True) * depth).astype(np.float32)
    counts = rng.poisson(mean * rng.gamma(2.0, 0.5, mean.shape).astype(np.float32))
    counts[counts.sum(1) == 0, 0] = 1
    return sparse.csr_array(counts.astype(np.float32))


class Bench:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.device = torch.device("cuda" if torch.cuda.is_available() and not options.toy else "cpu")
        self.table = CellTable(Source(generate(options.cells, options.genes)), np.zeros((options.cells, 0), np.float32))
        sample = np.arange(min(options.cells, 10_000))
        self.statistics = scan_cells(self.table, sample, counts=True).network
        self.rng = np.random.default_rng(0)

    def network(self, encoder: str = "transformer") -> GeneMaskedAutoencoder:
        torch.manual_seed(0)
        return GeneMaskedAutoencoder(self.statistics, 0, GeneConfig(encoder=encoder))

    def batch(self):
        return self.table.batch(self.rng.integers(0, self.options.cells, self.options.batch)).to(self.device)

    def plan(self, batch, step: int, ratio=None):
        n = batch.context.shape[0]
        drawn = Uniform().sample(n, self.rng) if ratio is None else np.full(n, ratio)
        return draw_plan(batch.measured, drawn, mask_generator(step, self.device))

    def loss(self, network, batch, plan, way: str = "hide"):
        tokens = batch.tokens()
        visible = tokens.hide(plan) if way == "hide" else tokens.take(plan)
        params = network(visible, batch.context)
        nats = masked_nll(network.likelihood, params, batch.rows, batch.genes, batch.values, plan.hidden)
        return nats.sum() / plan.hidden.sum()


def agreement(bench: Bench) -> dict:
    """Loss and latent of some cells on the CPU and on the device, same plan, float32."""
    network = bench.network().eval()
    batch = bench.table.batch(bench.rng.integers(0, bench.options.cells, min(64, bench.options.batch)))
    plan = draw_plan(batch.measured, np.full(batch.context.shape[0], 0.5), derive_generator(0, "mask", 0))
    with torch.inference_mode():
        loss, latent = bench.loss(network, batch, plan), network.encode(batch.tokens())
        network, there = network.to(bench.device), batch.to(bench.device)
        moved = replace(plan, hidden=plan.hidden.to(bench.device), valid=plan.valid.to(bench.device))
        loss_there, latent_there = bench.loss(network, there, moved).cpu(), network.encode(there.tokens()).cpu()
    difference = {
        "loss": float((loss_there - loss).abs() / loss.abs()),
        "latent": float((latent_there - latent).abs().max() / latent.abs().max()),
    }
    return {**difference, "tolerance": TOLERANCE, "agree": max(difference.values()) <= TOLERANCE}


def throughput(bench: Bench, encoder: str, mode: str) -> dict:
    """Training and embedding in one numerical mode, minibatch preparation included."""
    torch.set_float32_matmul_precision("high" if mode == "tf32" else "highest")
    network = bench.network(encoder).to(bench.device)
    amp = torch.autocast(bench.device.type, torch.bfloat16) if mode.startswith("bf16") else nullcontext()
    encode = torch.compile(network.encode) if mode.endswith("compile") else network.encode
    compiled = torch.compile(network) if mode.endswith("compile") else network
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    tokens = []

    def train(step: int) -> None:
        batch = bench.batch()
        plan = bench.plan(batch, step)
        with amp:
            params = compiled(batch.tokens().hide(plan), batch.context)
        nats = masked_nll(network.likelihood, params, batch.rows, batch.genes, batch.values, plan.hidden)
        optimizer.zero_grad(set_to_none=True)
        (nats.sum() / plan.hidden.sum()).backward()
        optimizer.step()

    @torch.inference_mode()
    def embed(step: int) -> None:
        batch = bench.batch()
        tokens.append(batch.values.numel())
        with amp:
            encode(batch.tokens())

    if bench.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    n, cells = bench.options.steps, bench.options.batch
    training, embedding = seconds(train, n, bench.device), seconds(embed, n, bench.device)
    preparation = seconds(lambda step: bench.plan(bench.batch(), step), n, bench.device)
    flops = step_flops(bench, network)
    return {
        "encoder": encoder,
        "mode": mode,
        "train_cells_per_second": cells / training,
        "train_tokens_per_second": cells * bench.options.genes / training,
        "embed_cells_per_second": cells / embedding,
        "embed_expressed_tokens_per_second": float(np.mean(tokens)) / embedding,
        "preparation_share": preparation / training,
        "step_tflop": flops / 1e12,
        "model_flop_utilisation": flops / training / (bench.options.peak_tflops * 1e12),
        "peak_memory_mib": peak_memory_mib(bench.device),
    }


def step_flops(bench: Bench, network: GeneMaskedAutoencoder) -> int:
    """Floating-point operations of the matrix products of one forward and backward pass."""
    batch = bench.batch()
    with FlopCounterMode(display=False) as counter:
        bench.loss(network, batch, bench.plan(batch, 0)).backward()
    network.zero_grad()
    return counter.get_total_flops()


def hiding(bench: Bench) -> list[dict]:
    """Milliseconds of forward and backward when hidden slots are dropped and when they are kept."""
    network = bench.network().to(bench.device)
    rows = []
    for ratio in (0.15, 0.5, 0.9):
        batch = bench.batch()
        plan = bench.plan(batch, 0, ratio)
        row = {"ratio": ratio}
        for way in ("take", "hide"):
            call = partial(backward, bench, network, batch, plan, way)
            row[f"{way}_ms"] = 1e3 * seconds(call, 5, bench.device)
        rows.append(row)
    return rows


def backward(bench: Bench, network, batch, plan, way: str, _: int) -> None:
    bench.loss(network, batch, plan, way).backward()


def attempt(call: Callable[[], dict], what: str) -> dict:
    """A mode that a build of torch cannot run is reported, not fatal."""
    start = time.perf_counter()
    try:
        row = call()
        print(f"{what}: took {time.perf_counter() - start:.0f} s", flush=True)
        return row
    except Exception as error:  # noqa: BLE001 - torch.compile fails in many ways
        print(f"{what} skipped: {type(error).__name__}: {str(error).splitlines()[0]}")
        return {"mode": what, "skipped": f"{type(error).__name__}: {error}"}


def run(options: argparse.Namespace) -> dict:
    """All measurements; what is there is written after each, compiled modes last since they take
    longest to begin.
    """
    bench = Bench(options)
    name = torch.cuda.get_device_name() if bench.device.type == "cuda" else "CPU"
    nonzero = bench.table.source.matrix.nnz / (options.cells * options.genes)
    result = {"device": name, "torch": torch.__version__, "cells": options.cells, "genes": options.genes, "nonzero": nonzero}
    result |= {"agreement": agreement(bench), "dna_agreement": gpu_dna.agreement(bench.device)}
    result |= {
        "hiding": hiding(bench),
        "convolution": gpu_dna.convolutions(bench.device, toy=options.toy),
        "throughput": [],
        "dna": [],
    }
    for key, what, call in sorted(measurements(bench, options), key=lambda job: "compile" in job[1]):
        result[key].append(attempt(call, what))
        save(result, options)
    return result


def measurements(bench: Bench, options: argparse.Namespace) -> list[tuple[str, str, Callable[[], dict]]]:
    """Part of the result, name and call of each row."""
    settings = {"device": bench.device, "steps": options.steps, "peak": options.peak_tflops * 1e12}
    jobs: list[tuple[str, str, Callable[[], dict]]] = []
    for encoder in ("transformer", "mlp"):
        modes = ("float32", "bf16") if options.toy else ("float32", "tf32", "bf16", "bf16+compile")
        jobs += [("throughput", f"{encoder} {mode}", partial(throughput, bench, encoder, mode)) for mode in modes]
    for preset, (shape, modes) in (gpu_dna.TOY if options.toy else gpu_dna.RUNS).items():
        jobs += [("dna", f"{preset} {mode}", partial(gpu_dna.throughput, preset, shape, mode, **settings)) for mode in modes]
    return jobs


def report(result: dict) -> str:
    agree = result["agreement"]
    lines = [
        f"{result['device']}, torch {result['torch']}: {result['cells']} x {result['genes']}, {result['nonzero']:.1%} non-zero",
        f"CPU and device, float32: loss differs by {agree['loss']:.1e}, latent by {agree['latent']:.1e} (tolerance {TOLERANCE:.0e})",
        f"{'':24s} {'train c/s':>10s} {'embed c/s':>10s} {'train tok/s':>12s} {'prep':>6s} {'MFU':>7s} {'MiB':>8s}",
    ]
    lines += rows_as_text(
        result["throughput"],
        lambda row: (
            f"{row['encoder'] + ' ' + row['mode']:24s} {row['train_cells_per_second']:10.0f} {row['embed_cells_per_second']:10.0f} "
            f"{row['train_tokens_per_second']:12.3g} {row['preparation_share']:6.0%} {row['model_flop_utilisation']:7.2%} "
            f"{row['peak_memory_mib']:8.0f}"
        ),
    )
    lines += [f"hidden {r['ratio']:.0%}: drop {r['take_ms']:.1f} ms, keep {r['hide_ms']:.1f} ms" for r in result["hiding"]]
    return "\n".join([*lines, *gpu_dna.report(result)])


def save(result: dict, options: argparse.Namespace) -> None:
    name = "gpu_toy" if options.toy else "gpu"
    write(options.out / f"{name}.json", json.dumps(result, indent=1))
    write(options.out / f"{name}.txt", report(result) + "\n")


def write(path: Path, text: str) -> None:
    temporary = path.with_name(f".tmp-{path.name}")
    temporary.write_text(text)
    temporary.replace(path)


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=200_000)
    parser.add_argument("--genes", type=int, default=20_000)
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--peak-tflops", type=float, default=790.0, help="bf16 matrix peak of the device")
    parser.add_argument("--toy", action="store_true", help="toy size on the CPU")
    parser.add_argument("--out", type=Path, default=Path(os.environ.get("OUT", "benchmarks/results")))
    options = parser.parse_args(arguments)
    if options.toy:
        options.cells, options.genes, options.batch, options.steps = 400, 300, 32, 3
    elif not torch.cuda.is_available():
        parser.error("no CUDA device; --toy runs at toy size on the CPU")
    options.out.mkdir(parents=True, exist_ok=True)
    result = run(options)
    print(report(result))
    return result


if __name__ == "__main__":
    main()
