"""The models to take home: trained on public counts, written with matrices in float16.

    python -m benchmarks.train_models blood-small --out data_registry/models/blood-small
    python -m benchmarks.train_models pancreas-small --out pancreas-small
    python -m benchmarks.train_models ecoli-dna --out ecoli-dna

What each was trained on, and under which licence, is said in its entry of
``data_registry/models.yaml``; the entry's sizes and hashes are printed at the end.
``pancreas-small`` sees one of two donors and ``ecoli-dna`` four fifths of the genome, so that
``ready_made`` and ``dna_pretraining`` have something to ask them about.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import yaml

from benchmarks.gene_sets import DATA
from r2mae_bio import pp, tl

if TYPE_CHECKING:
    from collections.abc import Callable

FEWEST_CELLS = 5
"""A gene seen in fewer cells is left out."""


@dataclass(frozen=True)
class CellRecipe:
    """Cells to learn from, and how long."""

    file: str
    """Name of the file, without ``.h5ad``."""
    column: str = "batch"
    """Column of ``.obs`` by which cells are chosen."""
    values: tuple[str, ...] = ()
    """Cells of these; all if empty."""
    batch_key: str | None = None
    """Column of ``.obs`` whose effects the decoder may use."""
    max_epochs: int = 60
    """Passes over the cells at most; it stops when the held-out tenth no longer gains."""

    def cells(self, data: Path) -> ad.AnnData:
        """The cells, with the genes that enough of them show."""
        adata = ad.read_h5ad(data / "sc" / f"{self.file}.h5ad")
        if self.values:
            adata = adata[adata.obs[self.column].astype(str).isin(self.values)]
        seen = np.asarray((adata.X > 0).sum(axis=0)).ravel() >= FEWEST_CELLS
        adata = adata[:, seen].copy()
        if self.batch_key is not None:
            pp.measured_by_batch(adata, batch_key=self.batch_key)
        return adata

    def train(self, data: Path, seed: int) -> Any:
        """The trained model."""
        settings = {"early_stopping": True, "train_kwargs": {"patience": 8}, "progress_bar": False}
        keys = {"batch_key": self.batch_key, "model_kwargs": {"seed": seed}}
        return tl.pretrain(self.cells(data), max_epochs=self.max_epochs, **keys, **settings)


@dataclass(frozen=True)
class GenomeRecipe:
    """A genome to learn from, one part of it held out."""

    genome: str
    """Name in ``dna_pretraining``."""
    max_epochs: int
    """Passes over the training part."""

    def train(self, data: Path, seed: int) -> Any:
        """The trained model."""
        from benchmarks.dna_pretraining import open_genome
        from r2mae_bio.model import DNAMAE

        genome, split = open_genome(self.genome, data)
        model = DNAMAE(genome, window=256, mask_ratio=(0, 1), seed=seed)
        model.train(self.max_epochs, split=split, progress_bar=False)
        return model


RECIPES: dict[str, CellRecipe | GenomeRecipe] = {
    "blood-small": CellRecipe("pbmc_zheng_sorted_3500"),
    "pancreas-small": CellRecipe("pancreas_baron_human", values=("donor_1",)),
    "ecoli-dna": GenomeRecipe("ecoli", max_epochs=18),
}


def entry_of(folder: Path) -> dict[str, dict[str, Any]]:
    """What ``models.yaml`` says of a model's files."""
    files = {file.name: file.read_bytes() for file in sorted(folder.iterdir())}
    of_each: dict[str, Callable[[bytes], Any]] = {"sha256": lambda text: hashlib.sha256(text).hexdigest(), "bytes": len}
    return {name: {file: tell(text) for file, text in files.items()} for name, tell in of_each.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds sc/ and dna/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--max-epochs", type=int, help="another number than the recipe's, as to see whether it runs")
    options = parser.parse_args()
    recipe = RECIPES[options.name]
    if options.max_epochs is not None:
        recipe = replace(recipe, max_epochs=options.max_epochs)
    logging.getLogger("r2mae_bio").setLevel(logging.INFO)
    begin = time.process_time()
    model = recipe.train(options.data, options.seed)
    model.save(options.out, overwrite=True, half_precision=True)
    last = model.history.iloc[-1]
    print(f"{options.name}: {len(model.history)} epochs, {(time.process_time() - begin) / 60:.1f} core-minutes")
    print(f"validation loss {last['validation_loss']:.4f} nats, blind {model.blind_loss:.4f}")
    print(yaml.safe_dump({options.name: entry_of(options.out)}, sort_keys=False))


if __name__ == "__main__":
    main()
