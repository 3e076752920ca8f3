"""Whole transcriptomes and panels: R2MAE beside its controls on labelled sets, linear and kNN
probes, macro-F1.

python -m benchmarks.panels --json FILE [--sets pancreas,kidney,...] [--seeds 3] [--methods
"R2MAE;PCA, zero fill;..."] [--resume] [--out FILE]

Every set is split anew by each seed, by donor, animal or study where it has them. Probes learn from
reference cells with all genes, and once more from the genes of the query alone. Rows are written
after each set, seed and method; --resume leaves out what the file holds. --out writes the mean over
sets, and differences to R2MAE paired over sets and seeds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from benchmarks.command_line import run_methods, sweep, table
from benchmarks.gene_sets import SETS, load
from r2mae_bio import evaluate
from r2mae_bio.evaluate import MaskedAutoencoder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from benchmarks.gene_sets import GeneSet

    Panels: TypeAlias = dict[str, NDArray[np.bool_]]

METHODS = (
    MaskedAutoencoder("R2MAE"),
    MaskedAutoencoder("R2MAE and depth", depth=True),
    MaskedAutoencoder("R2MAE, MLP", model_kwargs={"encoder": "mlp"}),
    MaskedAutoencoder("fixed ratio 0.5", 0.5),
    MaskedAutoencoder("untrained encoder", trained=False),
    MaskedAutoencoder("random-init encoder", trained=False, model_kwargs={"start": "random"}),
    evaluate.FactorAnalysis(),
    evaluate.ProbabilisticPCA(),
    evaluate.PCAZeroFill(),
    evaluate.HighlyVariableGenes(),
    evaluate.SCVI(),
    evaluate.MajorityClass(),
    evaluate.Noise(),
)
# A linear control at full strength: the kind, what it reads of counts, its size and its metric are
# chosen on the reference cells.
CHOSEN = "linear control, chosen"
CANDIDATES = (
    *(evaluate.PCAZeroFill(50, f"PCA, {t}", t) for t in ("log", "root")),
    *(
        evaluate.ProbabilisticPCA(k, f"PPCA, {k}, {t}, {w}", t, stretched=True, whitened=w)
        for k in (20, 30, 50)
        for t in ("log", "root")
        for w in (False, True)
    ),
    *(evaluate.FactorAnalysis(30, f"factor analysis, {t}", t, stretched=True) for t in ("log", "root")),
)
NAMES = [*(method.name for method in METHODS), CHOSEN]
VARIABLE = "300 variable"
TITLES = {"all genes": "all genes", "panel": "the genes of the query"}


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""

    return sweep(options, NAMES, preparing(options), measure, show)


def preparing(options: argparse.Namespace) -> Callable[[str, int], tuple[GeneSet, Panels]]:
    """What loads a set, split by a seed, and chooses its variable genes."""

    def prepare(name: str, seed: int) -> tuple[GeneSet, Panels]:
        cells = load(name, seed, data=options.data)
        return cells, {VARIABLE: evaluate.variable_panel(cells.counts[cells.split.reference], 300)}

    return prepare


def measure(prepared: tuple[GeneSet, Panels], name: str, seed: int) -> pd.DataFrame:
    """One method on all panels."""
    cells, panels = prepared
    if name == CHOSEN:
        known = cells.split.reference
        chosen = evaluate.choose_method(CANDIDATES, cells.counts[known], cells.labels[known], seed=seed)
        method: evaluate.Embedder = replace(chosen, name=CHOSEN)  # type: ignore[type-var]
    else:
        method = next(m for m in METHODS if m.name == name)
    return evaluate.panel_transfer(
        [method], cells.counts, cells.labels, split=cells.split, panels=panels, seeds=(seed,), matched=True
    )


def show(rows: pd.DataFrame) -> str:
    """Macro-F1 of both probes by panel."""
    return rows.pivot_table(index=["probe", "reference"], columns="panel", values="macro_f1", sort=False).round(3).to_string()


def markdown(frame: pd.DataFrame) -> str:
    """Means over sets and seeds, and paired differences, for both probes and both kinds of
    reference.
    """
    parts = [
        "# Panels",
        f"{frame['set'].nunique()} sets ({', '.join(frame['set'].unique())}), {frame['seed'].nunique()} seeds.",
        "",
    ]
    for (probe, reference), rows in frame.groupby(["probe", "reference"], sort=False):
        wide = rows.pivot_table(index="method", columns=["set", "seed", "panel"], values="macro_f1", sort=False).dropna(axis=1)
        mean = wide.T.groupby(level="panel", sort=False).mean().T
        parts += [
            f"## {probe} probe, learned from {TITLES[reference]}",
            "",
            "Mean macro-F1:",
            "",
            table(mean.map("{:.3f}".format)),
            "",
        ]
        if "R2MAE" not in wide.index:
            continue
        parts += ["R2MAE minus the method, with 95% intervals over sets and seeds:", ""]
        parts += [gaps(wide.loc["R2MAE"] - wide.drop("R2MAE")), ""]
    return "\n".join(parts)


def gaps(differences: pd.DataFrame) -> str:
    """Mean differences by panel and their intervals, of methods (rows) on sets, seeds and panels
    (columns).
    """
    gap = differences.T.groupby(level="panel", sort=False)
    error = 1.96 * gap.std() / gap.count() ** 0.5
    return table((gap.mean().map("{:+.3f}".format) + " ± " + error.map("{:.3f}".format)).T)


def main() -> None:
    """Run what the command line asks for."""
    run_methods(__doc__, SETS, NAMES, run, markdown)


if __name__ == "__main__":
    main()
