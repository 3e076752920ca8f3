"""Killed at random moments, does a run end as one that was not? Counts those that do not.

python -m benchmarks.kills [--points 20] [--seed 0] [--steps train,embed] [--cells 6000]
[--out FILE]

A synthetic store of two files is trained on out of core, with checkpoints, and embedded into a file
of its own, each in a process that gets SIGKILL at a random moment of the work and is then called
again, until it ends; one run in three is killed a second time. What it wrote is compared with what
an uninterrupted run wrote, byte for byte, and names of cells with those of the store. A moment that
comes after the end, since runs differ in speed, is drawn again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

import r2mae_bio as rb
from benchmarks.gene_throughput import synthetic
from r2mae_bio._rng import derive_generator

WORK = "work begins"
"""Printed by the process once libraries are there: killing imports tries nothing."""


def store(folder: Path) -> rb.io.CellStore:
    """The cells, anew in each process."""
    return rb.io.CellStore([folder / "a.h5ad", folder / "b.h5ad"], block_size=32, buffer_blocks=8)


def make(folder: Path, n_cells: int) -> None:
    """Two files that measure different genes, and a model."""
    cells = synthetic(n_cells, 300, 0.2)
    cells.obs_names = [f"cell {i}" for i in range(n_cells)]
    half = n_cells // 2
    cells[:half, :250].copy().write_h5ad(folder / "a.h5ad")
    cells[half:, 50:].copy().write_h5ad(folder / "b.h5ad")
    some = store(folder)
    rb.model.GeneMAE.setup_anndata(some)
    model = rb.model.GeneMAE(some, seed=3)
    model.initialize()
    model.save(folder / "model")


def train(folder: Path, out: Path) -> None:
    """Goes on from the last checkpoint, if there is one."""
    cells = store(folder)
    rb.model.GeneMAE.setup_anndata(cells)
    model = rb.model.GeneMAE(cells, seed=5)
    kept = out.with_suffix(".training")
    begun = kept if kept.exists() and any(kept.iterdir()) else None
    model.train(
        max_epochs=3, batch_size=64, progress_bar=False, checkpoint_dir=kept, checkpoint_every_n_steps=7, resume_from=begun
    )
    model.save(out, overwrite=True)


def embed(folder: Path, out: Path) -> None:
    """Goes on from the journal, if there is one."""
    rb.tl.embed(store(folder), folder / "model", out=out.with_suffix(".h5ad"), batch_size=16, overwrite=True)


STEPS = {"train": train, "embed": embed}


def digest(step: str, out: Path, n_cells: int) -> str:
    """Of the numbers that a run left."""
    if step == "train":
        return hashlib.sha256((out / "model.safetensors").read_bytes()).hexdigest()
    found = ad.read_h5ad(out.with_suffix(".h5ad"))
    if found.obs_names.tolist() != [f"cell {i}" for i in range(n_cells)]:
        return "cells are missing, twice, or in another order"
    return hashlib.sha256(np.ascontiguousarray(found.obsm["X_r2mae"]).tobytes()).hexdigest()


class Process:
    """A run of one step."""

    def __init__(self, step: str, folder: Path, out: Path) -> None:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.kills", "--one", step, str(folder), str(out)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        while WORK not in (line := self.process.stdout.readline()):
            if not line:
                raise RuntimeError(self.process.communicate()[1])
        self.started = time.perf_counter()

    def end(self) -> float:
        """Wait for the end; seconds of work."""
        _, errors = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(errors)
        return time.perf_counter() - self.started

    def kill_after(self, seconds: float) -> bool:
        """Whether it was still at work at that moment."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGKILL)
        self.process.communicate()
        return self.process.returncode == -signal.SIGKILL


def run(folder: Path, step: str, options: argparse.Namespace) -> pd.DataFrame:
    """One row for each moment."""
    whole = folder / f"{step}-whole"
    seconds = Process(step, folder, whole).end()
    wanted = digest(step, whole, options.cells)
    rng, rows = derive_generator(options.seed, f"moments of {step}"), []
    while len(rows) < options.points:
        out, moments = folder / f"{step}-{time.monotonic_ns()}", rng.uniform(0, seconds, 1 + (len(rows) % 3 == 0))
        hits = [Process(step, folder, out).kill_after(moment) for moment in moments]
        if not hits[0]:
            continue
        Process(step, folder, out).end()
        rows.append(
            {"step": step, "kills": sum(hits), "at": moments[0] / seconds, "equal": digest(step, out, options.cells) == wanted}
        )
        print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
    return pd.DataFrame(rows)


def main() -> None:
    """Kill, and count."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--points", type=int, default=20)
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--steps", default=",".join(STEPS))
    command.add_argument("--cells", type=int, default=6000)
    command.add_argument("--out", type=Path)
    command.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = command.parse_args()
    if options.one:
        step, folder, out = options.one
        print(WORK, flush=True)
        STEPS[step](Path(folder), Path(out))
        return
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), options.cells)
        frame = pd.concat([run(Path(name), step, options) for step in options.steps.split(",")])
    summary = frame.groupby("step").agg(
        points=("equal", "size"), kills=("kills", "sum"), unequal=("equal", lambda found: (~found).sum())
    )
    print(summary.to_string())
    if options.out:
        options.out.write_text(json.dumps(summary.reset_index().to_dict("records"), indent=1) + "\n")
    sys.exit(int(summary["unequal"].sum() > 0))


if __name__ == "__main__":
    main()
