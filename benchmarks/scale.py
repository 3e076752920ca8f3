"""Memory and speed on a synthetic atlas of any size, in memory and from disk.

python -m benchmarks.scale --cells 50000 --genes 5000 --density .05 --out scale.json
[--kinds memory,h5ad,zarr] [--steps read,check,statistics,train,embed] [--batch 512]
[--train-steps 60] [--like FILE] [--folder DIR]

Counts are Poisson, with depths and shares of genes of which the quantiles are those of a real set
(by default 700 blood cells), stretched to the number of genes and to the density asked for; cells
come in eight types, one after the other, as atlases that were joined do. They are written block by
block as h5ad and zarr, and kept in --folder for a second run. Every step of every kind is measured
in a process of its own: peak_rss_mib, of which import_mib were taken by importing, and
cells_per_second. read: batches as training gets them; from h5ad also by scvi-tools' AnnDataLoader
on the backed file, from zarr by annbatch's Loader where it is installed, each in a second go.
train: optimiser steps alone, after all passes that come before the first. embed: into the file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytorch_lightning as pl
import zarr
from scipy import sparse

import r2mae_bio as rb
from benchmarks.memory import resident
from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.fit._loader import cell_loaders

KINDS = ("memory", "h5ad", "zarr")
STEPS = ("read", "check", "statistics", "train", "embed")
BLOCK = 2048
N_TYPES = 8
FEW = 2000
"""Cells that a model of random weights is made of."""


class Atlas:
    """A generator of counts whose depths and gene shares have the quantiles of a real set."""

    def __init__(self, like: ad.AnnData, layer: str | None, n_genes: int, density: float) -> None:
        counts = sparse.csr_matrix(like.layers[layer] if layer else like.X)
        share = np.sort(np.asarray(counts.sum(0), float).ravel())
        share = share[share > 0] / share.sum()
        even = (np.arange(n_genes) + 0.5) / n_genes
        self.share = np.exp(np.quantile(np.log(share), even))
        self.share = derive_generator(0, "order of genes").permutation(self.share / self.share.sum())
        self.depths = np.sort(np.asarray(counts.sum(1), float).ravel())
        low, high = 1e-6, 1e6
        for _ in range(60):  # the factor of all depths, by bisection
            self.factor = (low * high) ** 0.5
            found = np.mean([(1 - np.exp(-self.factor * d * self.share)).mean() for d in np.quantile(self.depths, even[::50])])
            low, high = (self.factor, high) if found < density else (low, self.factor)
        rng = derive_generator(0, "types")
        self.types = self.share * np.exp(rng.normal(0, 0.7, (N_TYPES, n_genes)))
        self.types /= self.types.sum(1, keepdims=True)

    def block(self, number: int, types: np.ndarray) -> sparse.csr_matrix:
        """Counts of some cells of these types."""
        rng = derive_generator(0, "cells", number)
        depths = self.factor * np.quantile(self.depths, rng.random(len(types)))
        rows = [self._cell(rng, depth, kind) for depth, kind in zip(depths, types, strict=True)]
        genes, values = (np.concatenate(parts) for parts in zip(*rows, strict=True))
        indptr = np.cumsum([0, *(len(found) for found, _ in rows)])
        return sparse.csr_matrix((values, genes, indptr), (len(types), self.share.size))

    def _cell(self, rng: np.random.Generator, depth: float, kind: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = rng.choice(self.share.size, max(1, rng.poisson(depth)), p=self.types[kind])
        genes, values = np.unique(drawn, return_counts=True)
        return genes.astype(np.int32), values.astype(np.float32)


def make(folder: Path, options: argparse.Namespace) -> None:
    """Write the atlas, and a model with random weights."""
    like, layer = (rb.datasets.pbmc68k(), "counts") if options.like is None else (ad.read_h5ad(options.like), None)
    atlas = Atlas(like, layer, options.genes, options.density)
    types = np.sort(np.arange(options.cells) % N_TYPES)
    obs = pd.DataFrame({"type": pd.Categorical(types.astype(str))}, index=[f"cell {i}" for i in range(options.cells)])
    shell = ad.AnnData(obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(options.genes)]))
    stores = {"h5ad": _h5, "zarr": lambda folder: zarr.open_group(folder / "atlas.zarr", mode="w")}
    wanted = [kind for kind in stores if kind in _files_of(options.kinds)]
    writers = [_Writer(stores[kind](folder), shell) for kind in wanted]
    for number, start in enumerate(range(0, options.cells, BLOCK)):
        block = atlas.block(number, types[start : start + BLOCK])
        for writer in writers:
            writer.add(block)
    for writer in writers:
        writer.end()
    few = rb.io.CellStore(folder / f"atlas.{wanted[0]}").rows(0, FEW)
    adata = ad.AnnData(sparse.csr_matrix(few), var=shell.var)
    rb.model.GeneMAE.setup_anndata(adata)
    model = rb.model.GeneMAE(adata)
    model.initialize()
    model.save(folder / "model")


def _files_of(kinds: str) -> set[str]:
    """Formats that are needed; what is in memory comes from an h5ad."""
    return {"h5ad" if kind == "memory" else kind for kind in kinds.split(",")}


def _h5(folder: Path) -> h5py.File:
    return h5py.File(folder / "atlas.h5ad", "w")


class _Writer:
    """Appends rows to ``X`` of a file."""

    def __init__(self, group: Any, shell: ad.AnnData) -> None:
        ad.io.write_elem(group, "/", shell)
        self.group, self.pointers, self.shape = group, [0], shell.shape
        if "X" in group:
            del group["X"]
        self.matrix = group.create_group("X")
        make = self.matrix.create_array if hasattr(self.matrix, "create_array") else self.matrix.create_dataset
        growing = {"maxshape": (None,)} if isinstance(group, h5py.File) else {}
        for name, dtype in (("data", "float32"), ("indices", "int32")):
            make(name, shape=(0,), dtype=dtype, chunks=(1 << 18,), **growing)

    def add(self, block: sparse.csr_matrix) -> None:
        for name in ("data", "indices"):
            array, values = self.matrix[name], getattr(block, name)
            start = array.shape[0]
            array.resize((start + len(values),))
            array[start:] = values
        self.pointers.extend((self.pointers[-1] + block.indptr[1:].astype(np.int64)).tolist())

    def end(self) -> None:
        ad.io.write_elem(self.matrix, "indptr", np.array(self.pointers, np.int64))
        self.matrix.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": list(self.shape)})
        if isinstance(self.group, h5py.File):
            self.group.close()


# ---------------------------------------------------------------- steps


class _Timer(pl.Callback):
    """Ends training after some steps, and tells the seconds of all but the first ten."""

    def __init__(self, n_steps: int) -> None:
        self.n_steps, self.times = n_steps, []

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self.times.append(time.perf_counter())
        if len(self.times) >= self.n_steps:
            trainer.should_stop = True

    def steps_per_second(self) -> float:
        times = self.times[min(10, len(self.times) // 2) :]
        return (len(times) - 1) / (times[-1] - times[0])


def measure(folder: Path, kind: str, step: str, options: argparse.Namespace) -> dict[str, float]:
    """One step on one kind of storage, in this process."""
    before = resident() / 2**20
    cells = ad.read_h5ad(folder / "atlas.h5ad") if kind == "memory" else rb.io.CellStore(folder / f"atlas.{kind}")
    opened = resident() / 2**20
    start = time.perf_counter()
    rate = globals()[f"_{step}"](cells, folder, options)
    rate = options.cells / (time.perf_counter() - start) if rate is None else rate
    return {
        "peak_rss_mib": resident() / 2**20,
        "import_mib": before,
        "opened_mib": opened,
        "cells_per_second": rate,
    }


def _read(cells: Any, folder: Path, options: argparse.Namespace) -> float:
    rb.model.GeneMAE.setup_anndata(cells)
    table = rb.model.GeneMAE(cells)._training_table()
    loaders = cell_loaders(table, np.arange(options.cells), np.arange(0), options.batch)
    start = time.perf_counter()
    n_cells = sum(batch.context.shape[0] for batch in loaders.train)
    return n_cells / (time.perf_counter() - start)


def _read_scvi(cells: Any, folder: Path, options: argparse.Namespace) -> float:
    import scvi

    backed = ad.read_h5ad(folder / "atlas.h5ad", backed="r")
    scvi.model.SCVI.setup_anndata(backed)
    model = scvi.model.SCVI(backed)
    loader = scvi.dataloaders.AnnDataLoader(model.adata_manager, shuffle=True, batch_size=options.batch)
    start, n_cells = time.perf_counter(), 0
    for batch in loader:
        n_cells += len(batch["X"])
        if n_cells >= 20 * options.batch:
            break
    return n_cells / (time.perf_counter() - start)


def _read_annbatch(cells: Any, folder: Path, options: argparse.Namespace) -> float:
    from annbatch import Loader

    counts = ad.io.sparse_dataset(zarr.open(folder / "atlas.zarr", mode="r")["X"])
    loader = Loader(chunk_size=256, preload_nchunks=64, batch_size=options.batch, shuffle=True, to="torch")
    loader.add_adata(ad.AnnData(counts))
    start = time.perf_counter()
    n_cells = sum(batch["X"].shape[0] for batch in loader)
    return n_cells / (time.perf_counter() - start)


def _check(cells: Any, folder: Path, options: argparse.Namespace) -> None:
    rb.pp.check_counts(cells)


def _statistics(cells: Any, folder: Path, options: argparse.Namespace) -> float:
    rb.model.GeneMAE.setup_anndata(cells)
    start = time.perf_counter()
    rb.model.GeneMAE(cells).initialize(train_size=0.9)
    return options.cells / (time.perf_counter() - start)


def _train(cells: Any, folder: Path, options: argparse.Namespace) -> float:
    rb.model.GeneMAE.setup_anndata(cells)
    timer = _Timer(options.train_steps)
    model = rb.model.GeneMAE(cells)
    model.train(max_epochs=1, batch_size=options.batch, progress_bar=False, accelerator="cpu", callbacks=[timer])
    return options.batch * timer.steps_per_second()


def _embed(cells: Any, folder: Path, options: argparse.Namespace) -> None:
    more = {} if isinstance(cells, ad.AnnData) else {"overwrite": True}
    rb.tl.embed(cells, folder / "model", **more)


# ---------------------------------------------------------------- all of them


def run(folder: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every step of every kind, each in a process of its own."""
    rows = []
    for step in options.steps.split(","):
        for kind in options.kinds.split(","):
            others = {("read", "h5ad"): ["read_scvi"]}
            if find_spec("annbatch"):
                others["read", "zarr"] = ["read_annbatch"]
            for name in [step, *others.get((step, kind), [])]:
                command = [sys.executable, "-W", "ignore", "-m", "benchmarks.scale", "--folder", str(folder), "--one", kind, name]
                settings = ("cells", "genes", "density", "batch", "train_steps")
                command += [word for key in settings for word in (f"--{key.replace('_', '-')}", str(getattr(options, key)))]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                rows.append({"step": name, "kind": kind, **json.loads(done.stdout.splitlines()[-1])})
                print(pd.DataFrame(rows[-1:]).round(1).to_string(index=False, header=len(rows) == 1), flush=True)
    return rows


def main() -> None:
    """Make the atlas unless it is there, and measure."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--cells", type=int, default=50_000)
    command.add_argument("--genes", type=int, default=5000)
    command.add_argument("--density", type=float, default=0.05)
    command.add_argument("--batch", type=int, default=512)
    command.add_argument("--train-steps", type=int, default=60)
    command.add_argument("--kinds", default=",".join(KINDS))
    command.add_argument("--steps", default=",".join(STEPS))
    command.add_argument("--like", type=Path, help="h5ad whose X are the counts to be like")
    command.add_argument("--folder", type=Path, help="where the atlas is, or is to be kept")
    command.add_argument("--out", type=Path)
    command.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    options = command.parse_args()
    warnings.simplefilter("ignore")
    if options.one:
        print(json.dumps(measure(options.folder, *options.one, options)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        if not (folder / "model").exists():
            folder.mkdir(parents=True, exist_ok=True)
            make(folder, options)
        rows = run(folder, options)
    found = {"cells": options.cells, "genes": options.genes, "density": options.density, "batch": options.batch, "results": rows}
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
