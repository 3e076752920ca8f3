"""When a ready-made model is better than one trained on the query: few cells, few genes.

    python -m benchmarks.ready_made --data FOLDER --json FILE [--resume] [--out FILE]

A user has n cells of a panel, with labels. Models are asked for embeddings; a linear probe and
nearest neighbours learn from the n cells, and name the types of other cells of the same set, which
no model has seen. Panels are drawn from the 1,000 most variable genes of the training cells.

``ready-made`` was trained on other cells (``train_models``), of all genes, and is not trained
further. ``trained on the query`` and ``PCA of the query`` learn from the n cells alone, without
their labels; ``PCA of the same cells`` from those of the ready-made model, and fills genes off the
panel with zero. ``other donors`` (``--other-donors``) is the ready-made recipe on blood of other
donors and technologies (10x 3' v2 and v3, 5'; cells with and without interferon beta); its data are
under GPL-2 and GPL-3, and it is not shipped.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

import r2mae_bio as rb
from benchmarks.command_line import table
from benchmarks.gene_sets import DATA, variable_genes
from benchmarks.train_models import RECIPES, CellRecipe
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate import MaskedAutoencoder, PCAZeroFill, fit_probe, paired_differences, stratified_split

if TYPE_CHECKING:
    from collections.abc import Iterator

N_CELLS = (50, 200, 1000)
N_GENES = (300, 100)
N_POOL = 1000
"""Genes among which panels are drawn: the most variable among the training cells."""
MOST_TESTED = 1000
N_COMPONENTS = 50
"""Of PCA, where there are as many cells."""
OTHER_DONORS = CellRecipe(
    "pbmc_union_pretrain", "dataset", ("pbmc_10x_v2_v3_5p_unlabelled", "kang_ifnb_unlabelled_2000"), "batch", max_epochs=20
)
READY, OTHERS, QUERY, PCA, PCA_SAME = (
    "ready-made", "other donors", "trained on the query", "PCA of the query", "PCA of the same cells",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Asked:
    """Cells to ask about, and what was trained on others."""

    cells: ad.AnnData
    labels: np.ndarray
    pool: ad.AnnData
    """What the ready-made model was trained on: the most variable genes."""
    pca: Any
    """Of the pool."""
    models: dict[str, Any]


def asked_of(cells: ad.AnnData, key: str, training: ad.AnnData, models: dict[str, Any]) -> Asked:
    """With the control that is the same for all draws."""
    pool = training[:, variable_genes(training.X, N_POOL)].copy()
    return Asked(cells, cells.obs[key].astype(str).to_numpy(), pool, PCAZeroFill().fit(pool.X, seed=0), models)


def blood(data: Path, name: str, models: dict[str, Any]) -> Asked:
    """Cells of the study that the model learned from, but others: sorted ones, of which the file
    holds none twice, or the 700 unsorted ones that scanpy ships.
    """
    if name == "pbmc68k":
        cells, key = rb.datasets.pbmc68k(), "bulk_labels"
    else:
        union = ad.read_h5ad(data / "sc" / "pbmc_union_pretrain.h5ad")
        cells, key = union[union.obs["dataset"] == "pbmc_zheng_sorted_ref"].copy(), "cell_type"
    return asked_of(cells, key, RECIPES["blood-small"].cells(data), models)


def pancreas(data: Path, models: dict[str, Any]) -> Asked:
    """The second donor."""
    cells = ad.read_h5ad(data / "sc" / "pancreas_baron_human.h5ad")
    cells = cells[cells.obs["batch"] == "donor_2"].copy()
    return asked_of(cells, "cell_type", RECIPES["pancreas-small"].cells(data), models)


def sets(data: Path, *, other_donors: bool) -> dict[str, Asked]:
    """By name."""
    of_blood = {READY: rb.models.load("blood-small")}
    if other_donors:
        of_blood[OTHERS] = OTHER_DONORS.train(data, 0)
    return {
        "sorted blood": blood(data, "sorted", of_blood),
        "pbmc68k": blood(data, "pbmc68k", of_blood),
        "pancreas": pancreas(data, {READY: RECIPES["pancreas-small"].train(data, 0)}),
    }


def rows_of(asked: Asked, n_cells: int, n_genes: int, seed: int) -> Iterator[dict[str, Any]]:
    """Scores of every method for one draw of cells and panel."""
    shared = np.flatnonzero(asked.cells.var_names.isin(asked.pool.var_names))
    if len(shared) < n_genes:  # pbmc68k has 765 genes, of which fewer than 300 are in the pool
        return
    panel = np.sort(derive_generator(seed, "panel", n_genes).choice(shared, n_genes, replace=False))
    drawn = stratified_split(asked.labels, query_fraction=1 - n_cells / len(asked.labels), seed=seed)
    test = derive_generator(seed, "test").permutation(drawn.query)[:MOST_TESTED]
    seen, unseen = (asked.cells[rows][:, panel].copy() for rows in (drawn.reference, test))
    learned, truth = asked.labels[drawn.reference], asked.labels[test]
    for method, (known, others) in embeddings(asked, seen, unseen, seed):
        for kind in ("linear", "knn"):
            result = fit_probe(known, learned, kind=kind).score(others, truth)
            yield {"method": method, "probe": kind, "macro_f1": result.macro_f1, "accuracy": result.accuracy}


def embeddings(asked: Asked, seen: ad.AnnData, unseen: ad.AnnData, seed: int) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Both parts of the query, by method."""
    for name, model in asked.models.items():
        yield name, [model.get_latent_representation(part, min_coverage=0.0, correct_batch=False) for part in (seen, unseen)]
    everything = np.ones(seen.n_vars, dtype=bool)
    few = PCAZeroFill(n_components=min(N_COMPONENTS, seen.n_obs - 1))  # the rank of centred cells
    for name, method in {QUERY: MaskedAutoencoder(QUERY), PCA: few}.items():
        fitted = method.fit(seen.X, seed=seed)
        yield name, [fitted.embed(part.X, everything) for part in (seen, unseen)]
    at = asked.pool.var_names.get_indexer(seen.var_names)
    measured = np.zeros(asked.pool.n_vars, dtype=bool)
    measured[at] = True
    yield PCA_SAME, [asked.pca.embed(_spread(part.X, at, asked.pool.n_vars), measured) for part in (seen, unseen)]


def _spread(matrix: Any, at: np.ndarray, n_genes: int) -> sparse.csr_matrix:
    """Columns of a panel in their places among all genes."""
    coo = sparse.coo_matrix(matrix)
    return sparse.csr_matrix((coo.data, (coo.row, at[coo.col])), shape=(matrix.shape[0], n_genes))


def run(data: Path, seeds: int, path: Path, *, resume: bool, other_donors: bool) -> pd.DataFrame:
    """All rows; those that the file holds are kept."""
    rows = json.loads(path.read_text()) if resume and path.exists() else []
    done = {(row["set"], row["seed"], row["cells"], row["genes"]) for row in rows}
    known = sets(data, other_donors=other_donors)
    for seed in range(seeds):
        for name, asked in known.items():
            for n_cells in (n for n in N_CELLS if n <= asked.cells.n_obs - n // 2):
                for n_genes in N_GENES:
                    key = {"set": name, "seed": seed, "cells": n_cells, "genes": n_genes}
                    if tuple(key.values()) in done:
                        continue
                    begin = time.process_time()
                    rows += [{**key, **row} for row in rows_of(asked, n_cells, n_genes, seed)]
                    path.write_text(json.dumps(rows))
                    print(f"{key} {time.process_time() - begin:.0f} core-seconds", flush=True)
    return pd.DataFrame(rows)


def markdown(frame: pd.DataFrame) -> str:
    """Means and standard deviations over seeds, and paired differences of the ready-made model."""
    parts = [
        "# Ready-made models",
        *(line.strip() for line in __doc__.split("\n\n")[2:]),
        f"`python -m benchmarks.ready_made`, two CPU cores. Macro-F1, mean ± sd over {frame['seed'].nunique()} seeds; best in\n"
        "bold. `sorted blood` are other sorted cells of the study that the ready-made model learned from,\n"
        "`pbmc68k` its unsorted ones, `pancreas` is the second of two donors. Of pbmc68k fewer than 300\n"
        "genes are in the pool; 1,000 cells to learn from are in the first set alone.",
    ]
    frame = frame.assign(column=[f"{c:,} cells, {g} genes" for c, g in zip(frame["cells"], frame["genes"], strict=True)])
    for (name, probe), part in frame.groupby(["set", "probe"], sort=False):
        scores = part.groupby(["method", "column"], sort=False)["macro_f1"].agg(["mean", "std"])
        best = scores["mean"].groupby("column").transform("max") == scores["mean"]
        texts = [f"{mean:.3f} ± {sd:.3f}" for mean, sd in scores.to_numpy()]
        shown = pd.Series([f"**{text}**" if top else text for text, top in zip(texts, best, strict=True)], index=scores.index)
        parts += [f"## {name}, {probe}", table(_wide(shown))]
    difference = paired_differences(frame, reference=READY, by=("probe", "column"), pair=("set", "seed"))
    difference["text"] = [
        f"{mean:+.3f} ± {(high - low) / 2:.3f} ({wins:.0f}/{n:.0f})"
        for mean, low, high, wins, n in difference[["mean", "low", "high", "wins", "n"]].to_numpy().tolist()
    ]
    parts.append("## Ready-made minus the others: mean and 95% interval over sets and seeds (pairs in which it is ahead)")
    for probe, part in difference.groupby("probe", sort=False):
        parts += [f"### {probe}", table(_wide(part.set_index(["method", "column"])["text"]))]
    return "\n\n".join(parts) + "\n"


def _wide(texts: pd.Series) -> pd.DataFrame:
    """Methods by columns, in the order in which they come; ``unstack(sort=False)`` of pandas 2.3
    puts values into wrong places.
    """
    methods, columns = (texts.index.get_level_values(level).unique() for level in ("method", "column"))
    return texts.unstack("column").reindex(index=methods, columns=columns)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--json", type=Path, required=True, help="rows, written after each draw")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--other-donors", action="store_true", help="also train the recipe on other donors, a core-minute")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--out", type=Path, help="tables")
    options = parser.parse_args()
    text = markdown(run(options.data, options.seeds, options.json, resume=options.resume, other_donors=options.other_donors))
    if options.out:
        options.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
