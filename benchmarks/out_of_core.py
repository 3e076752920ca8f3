"""What shuffling within buffers costs: validation loss beside a full shuffle, on sorted cells.

python -m benchmarks.out_of_core [--sets NAMES] [--buffers 1,8,32,64] [--block 16] [--genes 1000]
[--epochs 10] [--seeds 3] [--json FILE] [--out FILE]

Cells are sorted by type, the worst case: every block of neighbours then is of one type, and a
buffer holds as many types as blocks at most. In memory each epoch is shuffled as a whole; from a
file, in buffers of so many blocks. Split, weights, masks and numbers of steps are the same. Sets
are h5ad files in sc/ of the folder that R2MAE_BIO_DATA names, with counts in X and cell_type.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd

from benchmarks.gene_sets import DATA
from r2mae_bio.io import CellStore
from r2mae_bio.model import GeneMAE

SETS = "pancreas_baron_human,pbmc_zheng_sorted_3500"


def load(name: str, n_genes: int) -> ad.AnnData:
    """A set with its most expressed genes, sorted by type."""
    whole = ad.read_h5ad(DATA / "sc" / f"{name}.h5ad")
    genes = np.sort(np.argsort(-np.asarray(whole.X.sum(0)).ravel())[:n_genes])
    order = np.argsort(whole.obs["cell_type"].astype(str).to_numpy(), kind="stable")
    cells = ad.AnnData(whole.X[order][:, genes], obs=whole.obs.iloc[order], var=whole.var.iloc[genes][[]])
    return cells[np.asarray(cells.X.sum(1)).ravel() > 0].copy()


def losses(data: ad.AnnData | CellStore, seed: int, epochs: int) -> np.ndarray:
    """Validation loss after each epoch, nats per hidden gene."""
    GeneMAE.setup_anndata(data)
    model = GeneMAE(data, seed=seed)
    model.train(max_epochs=epochs, progress_bar=False, accelerator="cpu")
    return model.history["validation_loss"].to_numpy()


def run(options: argparse.Namespace) -> pd.DataFrame:
    """One row for each set, seed and order."""
    rows = []
    for name in options.sets.split(","):
        cells = load(name, options.genes)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.h5ad"
            cells.write_h5ad(path)
            for seed in range(options.seeds):
                full = losses(cells, seed, options.epochs)
                rows.append({"set": name, "seed": seed, "order": "full shuffle", "last": full[-1], "best": full.min()})
                for blocks in map(int, options.buffers.split(",")):
                    store = CellStore(path, block_size=options.block, buffer_blocks=blocks)
                    found = losses(store, seed, options.epochs)
                    rows.append({"set": name, "seed": seed, "order": f"{blocks} blocks", "last": found[-1], "best": found.min()})
                    store.close()
                print(pd.DataFrame(rows).tail(len(options.buffers.split(",")) + 1).round(5).to_string(index=False), flush=True)
    return pd.DataFrame(rows)


def table(frame: pd.DataFrame) -> str:
    """Excess over the full shuffle of the same seed, mean and standard deviation, as Markdown."""
    last = frame.pivot_table(index=["set", "seed"], columns="order", values="last", sort=False)
    excess = last.drop(columns="full shuffle").sub(last["full shuffle"], axis=0) * 1000
    lines = ["| set | full shuffle | " + " | ".join(excess.columns) + " |", "|---" * (2 + len(excess.columns)) + "|"]
    for name, part in excess.groupby("set", sort=False):
        cells = [f"{part[column].mean():+.2f} ± {part[column].std():.2f}" for column in part]
        whole = last.loc[name, "full shuffle"]
        lines.append(f"| {name} | {whole.mean():.4f} ± {whole.std():.4f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train, and tell the losses."""
    command = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_argument("--sets", default=SETS)
    command.add_argument("--buffers", default="1,8,32,64", help="blocks of a buffer")
    command.add_argument("--block", type=int, default=16, help="cells of a block")
    command.add_argument("--genes", type=int, default=1000, help="the most expressed ones")
    command.add_argument("--epochs", type=int, default=10)
    command.add_argument("--seeds", type=int, default=3)
    command.add_argument("--json", type=Path)
    command.add_argument("--out", type=Path)
    options = command.parse_args()
    warnings.simplefilter("ignore")
    frame = run(options)
    if options.json:
        options.json.write_text(json.dumps(frame.to_dict("records"), indent=1) + "\n")
    found = table(frame)
    print(found)
    if options.out:
        options.out.write_text(found + "\n")


if __name__ == "__main__":
    main()
