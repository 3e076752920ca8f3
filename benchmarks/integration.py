"""Integration of batches: R2MAE told and not told the batch, beside scVI, PCA and noise, by the
metrics of scib-metrics.

python -m benchmarks.integration --json FILE [--sets cell_lines,pbmc_studies,pancreas]
    [--seeds 3] [--methods "R2MAE;PCA, zero fill;..."] [--resume] [--out FILE]

At most 3,000 cells of a set, another choice with each seed, and the 2,000 most variable genes. Rows
are written after each set, seed and method; --resume leaves out what the file holds. --out writes
the means of every metric, and differences to R2MAE paired over seeds. The labels of the cell lines
are genotypes, which any method keeps apart: that set is for judging how well batches mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

import anndata as ad
import numpy as np
from scipy import sparse

from benchmarks.command_line import run_methods, sweep, table
from benchmarks.gene_sets import DATA, N_GENES, SAME_TYPE, SMALLEST_CLASS
from r2mae_bio import evaluate
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate import MaskedAutoencoder

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    import pandas as pd
    from numpy.typing import NDArray

    Cells: TypeAlias = tuple[sparse.csr_array, NDArray[np.str_], NDArray[np.str_]]

MAX_CELLS = 3000
METHODS = (
    MaskedAutoencoder("R2MAE"),
    MaskedAutoencoder("R2MAE, blind to the batch", uses_batch=False),
    evaluate.SCVI(),
    evaluate.PCAZeroFill(),
    evaluate.Noise(),
)


@dataclass(frozen=True)
class Source:
    """Where a set lies."""

    file: str
    """Name of the file, without ``.h5ad``."""
    batch: str
    """Column of the batches."""
    labels: tuple[str, ...] = ()
    """Classes to keep; all if empty."""


SETS = {
    "cell_lines": Source("celllines_multitech_3tech", batch="tech"),
    "pbmc_studies": Source("pbmc_union_pretrain", batch="dataset", labels=tuple(SAME_TYPE.values())),
    "pancreas": Source("pancreas_baron_human", batch="batch"),
}
"""By short name: five cell lines in three technologies, sorted blood cells of two studies, islets
of two donors.
"""


def load(name: str, seed: int, *, data: Path = DATA) -> Cells:
    """Counts (n_cells, n_genes), classes and batches of a set, cells chosen by the seed."""
    source = SETS[name]
    adata = ad.read_h5ad(data / "sc" / f"{source.file}.h5ad")
    labels = adata.obs["cell_type"].astype(str).replace(SAME_TYPE).to_numpy(str)
    names, number = np.unique(labels, return_counts=True)
    kept = np.isin(labels, source.labels or names) & np.isin(labels, names[number >= SMALLEST_CLASS])
    rows = derive_generator(seed, "benchmark-cells").permutation(np.flatnonzero(kept))[:MAX_CELLS]
    rows.sort()
    counts = sparse.csr_array(adata.X)[rows].astype(np.float32)
    genes = np.flatnonzero(evaluate.variable_panel(counts, N_GENES))
    return counts[:, genes], labels[rows], adata.obs[source.batch].astype(str).to_numpy(str)[rows]


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    return sweep(options, [m.name for m in METHODS], partial(load, data=options.data), measure, show)


def measure(cells: Cells, name: str, seed: int) -> pd.DataFrame:
    """Every metric of one method."""
    counts, labels, batch = cells
    method = next(m for m in METHODS if m.name == name)
    return evaluate.integration([method], counts, labels, batch=batch, seeds=(seed,), max_cells=None)


def show(rows: pd.DataFrame) -> str:
    """The metrics."""
    return rows.set_index("metric")["value"].round(3).to_string()


def markdown(frame: pd.DataFrame) -> str:
    """Every metric of every set, and differences to R2MAE."""
    parts = ["# Integration", f"{frame['seed'].nunique()} seeds; mean ± standard deviation over them; larger is better."]
    for name, rows in frame.groupby("set", sort=False):
        summary = evaluate.summarize(rows)
        for kind, part in summary.groupby("kind", sort=False):
            parts += [f"## {name}, {kind}", evaluate.to_markdown(part, metric="value", columns="metric")]
        if "R2MAE" in set(rows["method"]) and rows["method"].nunique() > 1:
            parts += [f"## {name}, R2MAE minus the method", differences(rows)]
    return "\n\n".join(parts) + "\n"


def differences(rows: pd.DataFrame) -> str:
    """A markdown table of paired differences, with the ends of their 95% intervals."""
    found = evaluate.paired_differences(rows, reference="R2MAE", metric="value", by=("kind", "metric"))
    text = [f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]" for mean, low, high in found[["mean", "low", "high"]].to_numpy()]
    texts = found.assign(text=text).pivot_table(index="method", columns="metric", values="text", aggfunc="first", sort=False)
    return table(texts)


def main() -> None:
    """Run what the command line asks for."""
    run_methods(__doc__, SETS, [method.name for method in METHODS], run, markdown)


if __name__ == "__main__":
    main()
