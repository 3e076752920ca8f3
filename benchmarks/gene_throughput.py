"""Training and embedding throughput of GeneMAE beside scvi.model.SCVI, in one process, as ratios.

python -m benchmarks.gene_throughput [--cells 20000] [--genes 2000] [--density 0.08] [--batch 128]
[--repeats 3] [--json PATH]
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import torch
from scipy import sparse

from benchmarks.memory import resident
from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.io import align_anndata, open_cells
from r2mae_bio.masking import Uniform, draw_plan
from r2mae_bio.model import GeneMAE

NAMES = ("transformer", "mlp", "scvi")


def synthetic(n_cells: int, n_genes: int, density: float, seed: int = 0) -> ad.AnnData:
    """Gamma-Poisson counts on a random support of the asked density."""
    rng = np.random.default_rng(seed)
    per_cell = rng.binomial(n_genes, density, n_cells).clip(1)
    indptr = np.concatenate([[0], np.cumsum(per_cell)])
    indices = np.concatenate([np.sort(rng.choice(n_genes, k, replace=False)) for k in per_cell])
    values = 1 + rng.poisson(rng.gamma(0.5, 2.0, indices.size))
    return ad.AnnData(sparse.csr_matrix((values.astype(np.float32), indices, indptr), shape=(n_cells, n_genes)))


class Ours:
    def __init__(self, encoder: str, adata: ad.AnnData, batch: int) -> None:
        GeneMAE.setup_anndata(adata)
        self.model, self.adata, self.batch = GeneMAE(adata, encoder=encoder), adata, batch

    def train(self) -> float:
        """Cells per second of an epoch without validation, as the model's own history reports
        it.
        """
        self.model.train(max_epochs=1, batch_size=self.batch, train_size=1.0, progress_bar=False)
        return float(self.model.history["cells_per_second"].iloc[-1])

    def embed(self) -> float:
        start = time.perf_counter()
        self.model.get_latent_representation()
        return self.adata.n_obs / (time.perf_counter() - start)


class Scvi:
    def __init__(self, adata: ad.AnnData, batch: int) -> None:
        import scvi

        scvi.settings.verbosity = logging.ERROR
        scvi.settings.seed = 0
        scvi.model.SCVI.setup_anndata(adata)
        self.model, self.adata, self.batch = scvi.model.SCVI(adata), adata, batch

    def train(self) -> float:
        """Cells per second of the epoch's loop: two epochs minus one, so that what is paid once
        does not count.
        """
        return self.adata.n_obs * 0.9 / (self._seconds(2) - self._seconds(1))

    def _seconds(self, epochs: int) -> float:
        start = time.perf_counter()
        self.model.train(max_epochs=epochs, batch_size=self.batch, accelerator="cpu", enable_progress_bar=False, logger=False)
        return time.perf_counter() - start

    def embed(self) -> float:
        start = time.perf_counter()
        self.model.get_latent_representation(batch_size=self.batch)
        return self.adata.n_obs / (time.perf_counter() - start)


def make(name: str, adata: ad.AnnData, batch: int) -> Ours | Scvi:
    return Scvi(adata, batch) if name == "scvi" else Ours(name, adata, batch)


def preparation(adata: ad.AnnData, batch: int, n: int = 60) -> dict[str, float]:
    """Milliseconds per minibatch of fetching, planning and densifying."""
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata)
    source = open_cells(adata, alignment=align_anndata(model.vocabulary, adata))
    table = CellTable(source, np.zeros((adata.n_obs, 0), np.float32))
    rng, law = np.random.default_rng(0), Uniform()
    seconds: dict[str, list[float]] = {"fetch": [], "plan": [], "densify": []}
    for step in range(n):
        t0 = time.perf_counter()
        cells = table.batch(rng.integers(0, adata.n_obs, batch))
        t1 = time.perf_counter()
        draw_plan(cells.measured, law.sample(batch, rng), derive_generator(0, "mask", step))
        t2 = time.perf_counter()
        cells.tokens()
        for name, value in zip(seconds, (t1 - t0, t2 - t1, time.perf_counter() - t2), strict=True):
            seconds[name].append(value)
    return {name: 1e3 * statistics.median(values) for name, values in seconds.items()}


def peak_memory(name: str, options: argparse.Namespace) -> float:
    """High-water mark in MiB of a process that trains one epoch and embeds."""
    sizes = [f"--{k}={getattr(options, k)}" for k in ("cells", "genes", "density", "batch")]
    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.gene_throughput", "--peak", name, *sizes]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return float(output.strip().splitlines()[-1])


def spread(values: list[float]) -> str:
    return f"{statistics.median(values):9.2f}  ({min(values):.2f} to {max(values):.2f})"


def measure(options: argparse.Namespace) -> dict:
    adata = synthetic(options.cells, options.genes, options.density)
    models = {name: make(name, adata.copy(), options.batch) for name in NAMES}
    for model in models.values():  # warm up
        model.train()
        model.embed()
    rates = {name: {"train": [], "embed": []} for name in NAMES}
    for _ in range(options.repeats):
        for kind in ("train", "embed"):
            for name, model in models.items():
                rates[name][kind].append(getattr(model, kind)())
    prepared = preparation(adata.copy(), options.batch)
    step = {name: 1e3 * options.batch / statistics.median(rates[name]["train"]) for name in NAMES}
    return {
        "cpus": os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "shape": [options.cells, options.genes],
        "cells_per_second": rates,
        "step_ms": step,
        "preparation_ms": prepared,
        "preparation_share": {name: sum(prepared.values()) / step[name] for name in NAMES[:2]},
        "peak_memory_mib": {name: peak_memory(name, options) for name in NAMES},
    }


def report(result: dict) -> str:
    rates = result["cells_per_second"]
    lines = [
        f"{result['shape'][0]} x {result['shape'][1]} CSR; {result['cpus']} CPUs, {result['torch_threads']} torch threads",
        "cells per second are of this run; compare ratios (each repeat divided by SCVI's of the same repeat; median, range)",
        f"{'':12s} {'train':>10s} {'embed':>10s}   train / SCVI                 embed / SCVI                 peak MiB",
    ]
    for name in NAMES:
        ratio = {
            kind: [a / b for a, b in zip(rates[name][kind], rates["scvi"][kind], strict=True)] for kind in ("train", "embed")
        }
        medians = [statistics.median(rates[name][kind]) for kind in ("train", "embed")]
        lines.append(
            f"{name:12s} {medians[0]:10.0f} {medians[1]:10.0f} {spread(ratio['train'])} {spread(ratio['embed'])}"
            f" {result['peak_memory_mib'][name]:10.0f}"
        )
    lines.append("aims: transformer trains >= 1.2 and embeds >= 1.0; MLP trains >= 1.5")
    parts = ", ".join(f"{k} {v:.2f} ms" for k, v in result["preparation_ms"].items())
    shares = ", ".join(f"{k} {v:.0%}" for k, v in result["preparation_share"].items())
    return "\n".join([*lines, f"preparation per minibatch: {parts}; share of a training step: {shares} (aim <= 15%)"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--density", type=float, default=0.08)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--peak", choices=NAMES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    if options.peak:
        model = make(options.peak, synthetic(options.cells, options.genes, options.density), options.batch)
        model.train()
        model.embed()
        print(resident() / 2**20)
        return
    result = measure(options)
    print(report(result))
    if options.json:
        temporary = options.json.with_suffix(".tmp")
        temporary.write_text(json.dumps(result, indent=1))
        temporary.replace(options.json)


if __name__ == "__main__":
    main()
