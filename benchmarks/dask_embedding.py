"""Embedding by two workers of a Dask cluster beside one, one thread each, on the same file.

python -m benchmarks.dask_embedding [--cells 20000] [--genes 5000] [--repeats 3]

Makes a zarr folder of Poisson counts, embeds it by a small model with one and with two workers in
turn, and prints cells/s of the best repeat of each, and their ratio. Counts were checked before;
that the client writes the file counts, too. Wants two idle cores.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._rng import derive_generator


def write_cells(path: Path, n_cells: int, n_genes: int) -> None:
    rng = derive_generator(0, "dask embedding")
    rates = rng.gamma(0.3, 1.0, n_genes)
    rates *= 1000 / rates.sum()  # about so many counts in a cell
    blocks = [
        sparse.csr_matrix(rng.poisson(rates, (min(1000, n_cells - i), n_genes)).astype(np.float32))
        for i in range(0, n_cells, 1000)
    ]
    cells = ad.AnnData(sparse.vstack(blocks, format="csr"), var=pd.DataFrame(index=[f"G{i}" for i in range(n_genes)]))
    cells.write_zarr(path)


def embed(path: Path, model: Path, n_workers: int) -> float:
    """Cells per second, the start of the cluster left out."""
    options = {"n_workers": n_workers, "threads_per_worker": 1, "processes": True, "dashboard_address": "127.0.0.1:0"}
    store = rb.io.CellStore(path)
    with LocalCluster(**options) as cluster, Client(cluster) as client:
        rb.tl.embed(store, model, client=client, overwrite=True)  # workers have imported everything after it
        started = time.perf_counter()
        rb.tl.embed(store, model, client=client, overwrite=True)
        return store.n_obs / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=5_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cells.zarr"
        write_cells(path, options.cells, options.genes)
        few = rb.io.CellStore(path).rows(0, min(2000, options.cells))
        some = ad.AnnData(sparse.csr_matrix(few), var=pd.DataFrame(index=[f"G{i}" for i in range(options.genes)]))
        rb.model.GeneMAE.setup_anndata(some)
        model = rb.model.GeneMAE(some, seed=0)
        model.train(max_epochs=1, progress_bar=False)
        saved = model.save(Path(folder) / "model")
        speeds = {n: max(embed(path, saved, n) for _ in range(options.repeats)) for n in (1, 2)}
    for n_workers, speed in speeds.items():
        print(f"{n_workers} worker{'s' if n_workers > 1 else ''}: {speed:,.0f} cells/s")
    print(f"ratio: {speeds[2] / speeds[1]:.2f}")


if __name__ == "__main__":
    main()
