"""scVI with a random mask ratio beside scVI: linear and kNN probes on whole cells and panels.

python -m benchmarks.r2scvi --json FILE [--sets pancreas,kidney,...] [--seeds 3] [--methods
"scVI;R2SCVI;..."] [--resume] [--out FILE]

All train with 30 dimensions, for as many epochs as scvi-tools chooses (400 for up to 20,000 cells),
or both for 100, a quarter of the time. Genes that a panel lacks are
zero for scVI, as is usual with it, and hidden for R2SCVI. Sets, splits, panels and probes are those
of benchmarks.panels, and so is the report. Rows are written after each set, seed and method;
--resume leaves out what the file holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.command_line import run_methods, sweep, table
from benchmarks.gene_sets import SETS
from benchmarks.panels import gaps, preparing
from r2mae_bio import evaluate
from r2mae_bio._rng import derive_seed
from r2mae_bio.evaluate.methods._scvi import QUIETLY, alone, batched_anndata, minibatches

if TYPE_CHECKING:
    import argparse

    import pandas as pd
    from numpy.typing import NDArray

    from benchmarks.gene_sets import GeneSet
    from benchmarks.panels import Panels
    from r2mae_bio.evaluate.methods._embedder import SparseCounts


@dataclass(frozen=True)
class R2SCVI:
    """``r2mae_bio.integrations.scvi.R2SCVI`` as a method of a table."""

    name: str
    mask_ratio: Any = (0, 1)
    n_latent: int = 30
    max_epochs: int | None = None
    """As many as scvi-tools chooses if None."""

    def fit(self, counts: SparseCounts, *, seed: int) -> Fitted:
        """Train on raw counts (n_cells, n_genes)."""
        from r2mae_bio.integrations.scvi import R2SCVI as Model

        adata = batched_anndata(counts, None)
        with alone(derive_seed(seed, "scvi") % 2**32):
            Model.setup_anndata(adata)
            model = Model(adata, n_latent=self.n_latent, mask_ratio=self.mask_ratio)
            model.train(max_epochs=self.max_epochs, **QUIETLY)
            model.deregister_manager(adata)
        return Fitted(model)


@dataclass(frozen=True)
class Fitted:
    """A trained :class:`R2SCVI`."""

    model: Any

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Posterior means (n_cells, n_latent), genes that were not measured hidden."""
        self.model.module.measured = None if measured.all() else torch.from_numpy(measured)
        batches = minibatches(counts, measured, np.zeros(counts.shape[0], np.int64))
        with alone(None):
            return np.asarray(self.model.get_latent_representation(dataloader=batches), np.float32)


METHODS = (
    R2SCVI("R2SCVI"),
    R2SCVI("R2SCVI, fixed ratio 0.5", 0.5),
    R2SCVI("R2SCVI, uniform 0 to 0.5", (0, 0.5)),
    evaluate.SCVI(name="scVI"),
    R2SCVI("R2SCVI, 100 epochs", max_epochs=100),
    evaluate.SCVI(name="scVI, 100 epochs", max_epochs=100),
)
CONTROLS = {method: "scVI, 100 epochs" if "100 epochs" in method else "scVI" for method in (m.name for m in METHODS)}
"""What each is compared with: the same number of epochs."""
NAMES = [method.name for method in METHODS]


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    return sweep(options, NAMES, preparing(options), measure, show)


def measure(prepared: tuple[GeneSet, Panels], name: str, seed: int) -> pd.DataFrame:
    """One method on all panels."""
    cells, panels = prepared
    method = next(method for method in METHODS if method.name == name)
    return evaluate.panel_transfer([method], cells.counts, cells.labels, split=cells.split, panels=panels, seeds=(seed,))


def show(rows: pd.DataFrame) -> str:
    """Macro-F1 of both probes by panel."""
    return rows.pivot_table(index="probe", columns="panel", values="macro_f1", sort=False).round(3).to_string()


def markdown(frame: pd.DataFrame) -> str:
    """Means over sets and seeds, and paired differences to scVI, for both probes."""
    sets, seeds = frame["set"].unique(), frame["seed"].nunique()
    parts = ["# scVI with a random mask ratio", f"{len(sets)} sets ({', '.join(sets)}), seeds: {seeds}.", ""]
    for probe, rows in frame.groupby("probe", sort=False):
        wide = rows.pivot_table(index="method", columns=["set", "seed", "panel"], values="macro_f1", sort=False).dropna(axis=1)
        mean = wide.T.groupby(level="panel", sort=False).mean().T
        parts += [f"## {probe} probe", "", "Mean macro-F1:", "", table(mean.map("{:.3f}".format)), ""]
        compared = [name for name in wide.index if name != CONTROLS[name] in wide.index]
        if compared:
            differences = wide.loc[compared] - wide.loc[[CONTROLS[name] for name in compared]].to_numpy()
            parts += ["Minus scVI of as many epochs, with 95% intervals over sets and seeds:", "", gaps(differences), ""]
    return "\n".join(parts)


def main() -> None:
    """Run what the command line asks for."""
    run_methods(__doc__, SETS, NAMES, run, markdown)


if __name__ == "__main__":
    main()
