"""Integration of batches: R2MAE told and not told the batch, beside scVI, PCA and noise, by the metrics of scib-metrics.

python -m benchmarks.integration --json FILE [--sets cell_lines,pbmc_studies,pancreas] [--seeds 3] [--methods R2MAE;PCA, zero fill;...]
    [--resume] [--out FILE]

At most 3,000 cells of a set, another choice with each seed, and the 2,000 most variable genes. Rows are written after each set, seed and
method; --resume leaves out what the file holds. --out writes the means of every metric, and differences to R2MAE paired over seeds. The
labels of the cell lines are genotypes, which any method keeps apart: that set is for judging how well batches mix.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.command_line import execute, parser, refuse_unknown, table, write
from benchmarks.gene_sets import DATA, N_GENES, SAME_TYPE, SMALLEST_CLASS
from r2mae_bio import evaluate
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate import MaskedAutoencoder

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from numpy.typing import NDArray

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
"""By short name: five cell lines in three technologies, sorted blood cells of two studies, islets of two donors."""


def load(name: str, seed: int, *, data: Path = DATA) -> tuple[sparse.csr_array, NDArray[np.str_], NDArray[np.str_]]:
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
    frame = pd.read_json(options.json) if options.json.exists() else pd.DataFrame(columns=["set", "seed", "method"])
    done = set(zip(frame["set"], frame["seed"], frame["method"], strict=True))
    for seed in range(options.seeds):
        for name in options.sets:
            todo = [m for m in METHODS if m.name in options.methods and (name, seed, m.name) not in done]
            if not todo:
                continue
            counts, labels, batch = load(name, seed, data=options.data)
            for method in todo:
                rows = evaluate.integration([method], counts, labels, batch=batch, seeds=(seed,), max_cells=None)
                frame = pd.concat([frame, rows.assign(set=name)], ignore_index=True)
                write(options.json, frame.to_json(orient="records", indent=1))
                shown = rows.set_index("metric")["value"].round(3)
                print(f"{name}, {len(labels)} cells, seed {seed}, {method.name}\n{shown.to_string()}", flush=True)
    return frame


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
    names = [method.name for method in METHODS]
    command = parser(__doc__, list(SETS), names)
    options = command.parse_args()
    refuse_unknown(command, options, SETS, names)
    execute(options, run, markdown)


if __name__ == "__main__":
    main()
