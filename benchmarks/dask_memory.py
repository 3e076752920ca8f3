"""Memory of embedding a dask array: all of its blocks beside one of them.

python -m benchmarks.dask_memory [--blocks 20] [--cells 5000] [--genes 5000] [--dense]

Makes a Zarr store of Poisson counts, opens X as a dask array with as many blocks of rows, and
embeds all cells, then those of the first block alone, each in a process of its own. Prints the
largest resident memory of either, what importing took of it, and the ratio.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import r2mae_bio as rb
from benchmarks.memory import resident
from r2mae_bio._rng import derive_generator

DENSITY = 0.07


def make(folder: Path, options: argparse.Namespace) -> None:
    """Write the counts and a model with random weights."""
    block = _counts(options, 0)
    for number in range(options.blocks):
        matrix = _counts(options, number)
        _adata(matrix.toarray() if options.dense else matrix, number).write_zarr(folder / f"{number}.zarr")
    train = _adata(block[:500], 0)
    rb.model.GeneMAE.setup_anndata(train)
    model = rb.model.GeneMAE(train)
    model.initialize()
    model.save(folder / "model")


def _counts(options: argparse.Namespace, number: int) -> sparse.csr_matrix:
    rng = derive_generator(0, "dask memory", number)
    found = sparse.random(options.cells, options.genes, DENSITY, format="csr", random_state=rng, dtype=np.float32)
    found.data[:] = 1 + rng.poisson(1, found.nnz)
    return found


def _adata(matrix: sparse.csr_matrix, number: int) -> ad.AnnData:
    obs = pd.DataFrame(index=[f"{number}-{i}" for i in range(matrix.shape[0])])
    return ad.AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(matrix.shape[1])]))


def embed(folder: Path, n_blocks: int) -> dict[str, float]:
    """Embed the cells of some blocks, and measure this process."""
    import dask.array as da
    import zarr
    from anndata.experimental import read_elem_lazy

    before = resident() / 2**20
    stores = [zarr.open(folder / f"{number}.zarr", mode="r")["X"] for number in range(n_blocks)]
    shapes = [tuple(getattr(store, "shape", None) or store.attrs["shape"]) for store in stores]
    matrix = da.concatenate([read_elem_lazy(store, chunks=shape) for store, shape in zip(stores, shapes, strict=True)])
    names = [f"cell {i}" for i in range(matrix.shape[0])]
    adata = ad.AnnData(matrix, pd.DataFrame(index=names), pd.DataFrame(index=[f"G{i}" for i in range(matrix.shape[1])]))
    rb.tl.embed(adata, folder / "model")
    return {"cells": matrix.shape[0], "blocks": matrix.numblocks[0], "before": before, "peak": resident() / 2**20}


def main() -> None:
    """Measure, in processes of their own."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--blocks", type=int, default=20)
    command.add_argument("--cells", type=int, default=5000, help="of a block")
    command.add_argument("--genes", type=int, default=5000)
    command.add_argument("--dense", action="store_true", help="blocks are dense arrays")
    command.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    command.add_argument("--measure", type=int, help=argparse.SUPPRESS)
    options = command.parse_args()
    if options.measure:
        print(json.dumps(embed(options.folder, options.measure)))
        return
    with tempfile.TemporaryDirectory() as name:
        make(Path(name), options)
        found = []
        for n_blocks in (options.blocks, 1):
            measure = [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "benchmarks.dask_memory",
                "--folder",
                name,
                "--measure",
                str(n_blocks),
            ]
            run = subprocess.run(measure, check=True, capture_output=True, text=True)
            found.append(json.loads(run.stdout.splitlines()[-1]))
    frame = pd.DataFrame(found)
    print(frame.round(0).to_string(index=False))
    print(f"ratio of peaks, MB: {frame['peak'][0] / frame['peak'][1]:.3f}")


if __name__ == "__main__":
    main()
