"""What labels themselves can teach: classifiers of all genes, and of the genes of panels, trained
on the labels of the reference cells that probes of an embedding learn from, on the sets and panels
of benchmarks.panels.

python -m benchmarks.label_ceiling --json FILE [--sets pancreas,kidney,...] [--seeds 3] [--resume]
[--panels FILE] [--out FILE]

An embedding that has seen no label is asked for macro-F1 under two probes; a linear probe of 64
numbers can hardly know more of a type than a logistic regression on 2,000 genes whose penalty was
chosen on the same cells. "linear": its predictions. "kNN": neighbours by its log-odds, which for
reference cells come from folds that did not learn from them. Roots or logarithms and the strength
of the penalty are chosen by macro-F1 in five folds of the reference, dealt class by class, for each
panel. --panels adds what benchmarks.panels found to the report.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.command_line import execute, parser, refuse_unknown, sweep, table
from benchmarks.gene_sets import SETS, load
from benchmarks.panels import TITLES, VARIABLE
from benchmarks.scores import macro_f1
from r2mae_bio._splits import deal_folds
from r2mae_bio.evaluate import fit_probe, log_normalize, panel_mask, variable_panel
from r2mae_bio.evaluate._logistic import logistic_regression

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray
    from scipy import sparse

    from benchmarks.gene_sets import GeneSet

METHOD = "labels, the same genes"
STRENGTHS = (3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
PARTS = (1.0, 0.3, 0.1, 0.03)


def roots(counts: sparse.csr_array) -> NDArray[np.float64]:
    """Roots of counts scaled to 100 per cell, which all have much the same counting noise."""
    values = counts.toarray().astype(np.float64)
    return np.sqrt(100 * values / np.maximum(values.sum(1, keepdims=True), 1))


def logs(counts: sparse.csr_array) -> NDArray[np.float64]:
    """Logarithms of counts scaled to 1e4 per cell, plus one; a third of them, as a gene varies by
    some three times as much as by roots.
    """
    return log_normalize(counts, np.ones(counts.shape[1], bool)).toarray() / 3


CONTENTS = {"roots": roots, "logs": logs}


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""

    def prepare(name: str, seed: int) -> GeneSet:
        return load(name, seed, data=options.data)

    return sweep(options, [METHOD], prepare, measure, lambda rows: rows.to_string(index=False))


def measure(cells: GeneSet, _name: str, seed: int) -> pd.DataFrame:
    """Scores of both probes on the query, by panel."""
    n_genes, reference = cells.counts.shape[1], cells.counts[cells.split.reference]
    masks = {f"{part:.0%}": panel_mask(n_genes, part, seed=seed) for part in PARTS}
    masks[VARIABLE] = variable_panel(reference, 300)
    return pd.concat([taught(cells, mask, seed).assign(panel=panel) for panel, mask in masks.items()], ignore_index=True)


def taught(cells: GeneSet, mask: NDArray[np.bool_], seed: int) -> pd.DataFrame:
    """Scores of a classifier of these genes (n_genes,)."""
    counts, labels = cells.counts[:, np.flatnonzero(mask)], cells.labels.astype(str)
    reference, query = cells.split.reference, cells.split.query
    best = choose(counts[reference], labels[reference], seed)
    learned, asked = (CONTENTS[best.content](counts[some]) for some in (reference, query))
    classifier = logistic_regression(best.strength).fit(learned - learned.mean(0), labels[reference])
    odds = log_odds(classifier, asked - learned.mean(0))
    neighbours = fit_probe(best.odds, labels[reference], kind="knn").score(odds, labels[query]).macro_f1
    linear = macro_f1(labels[query], classifier.classes_[odds.argmax(1)])
    settings = {"content": best.content, "strength": best.strength, "folds": best.score}
    return pd.DataFrame({"probe": ["linear", "knn"], "macro_f1": [linear, neighbours], **settings})


class Choice(NamedTuple):
    """A classifier, and how it did on reference cells that it did not learn from."""

    content: str
    """One of CONTENTS."""
    strength: float
    """Inverse strength of the penalty."""
    score: float
    """Macro-F1."""
    odds: NDArray[np.float64]
    """Log-odds of the classes (n_cells, n_classes)."""


def choose(counts: sparse.csr_array, labels: NDArray[np.str_], seed: int) -> Choice:
    """Content and strength of the best macro-F1.

    Weaker penalties are tried until two in a row were no better: the weakest take longest.
    """
    found: list[Choice] = []
    for content, values_of in CONTENTS.items():
        values, scores = values_of(counts), []
        for strength in STRENGTHS:
            odds = log_odds_of_others(values, labels, strength, seed)
            scores.append(macro_f1(labels, np.unique(labels)[odds.argmax(1)]))
            found.append(Choice(content, strength, scores[-1], odds))
            if len(scores) > 2 and max(scores[-2:]) <= max(scores[:-2]):
                break
    return max(found, key=lambda choice: choice.score)


def log_odds_of_others(values: NDArray[np.float64], labels: NDArray[np.str_], strength: float, seed: int) -> NDArray[np.float64]:
    """Log-odds of cells by classifiers of the other folds (n_cells, n_classes), each class dealt to
    all; those of a class that the others lack are the lowest of all.
    """
    classes = np.unique(labels)
    found = np.full((len(labels), len(classes)), np.nan)
    dealt = deal_folds(np.searchsorted(classes, labels), None, seed=seed)
    for others, fold in ((dealt != number, dealt == number) for number in np.unique(dealt)):
        mean = values[others].mean(0)
        classifier = logistic_regression(strength).fit(values[others] - mean, labels[others])
        found[np.ix_(fold, np.searchsorted(classes, classifier.classes_))] = log_odds(classifier, values[fold] - mean)
    return np.where(np.isnan(found), np.nanmin(found), found)


def log_odds(classifier: object, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each class (n_cells, n_classes), also of two."""
    odds = classifier.decision_function(values)  # type: ignore[attr-defined]
    return odds if odds.ndim == 2 else np.column_stack([-odds / 2, odds / 2])


def markdown(frame: pd.DataFrame, panels: pd.DataFrame | None = None) -> str:
    """Means by panel, and whole cells by set, beside those of embeddings where they are given."""
    frame = frame.assign(reference="panel", row=METHOD)
    if panels is not None:
        frame = pd.concat([frame, panels.assign(row=panels["method"] + ", probes of " + panels["reference"].map(TITLES))])
    parts = ["# Labels as the ceiling", f"{frame['set'].nunique()} sets, {frame['seed'].nunique()} seeds; macro-F1.", ""]
    for probe, rows in frame.groupby("probe", sort=False):
        means = rows.pivot_table(index="row", columns="panel", values="macro_f1", sort=False)
        parts += [f"## {probe} probe", "", table(means.map("{:.3f}".format)), ""]
        whole = rows[(rows["panel"] == "100%") & ((rows["method"] == METHOD) | (rows["reference"] == "all genes"))]
        wide = whole.pivot_table(index="set", columns="method", values="macro_f1", sort=False)
        parts += ["All genes:", "", table(wide.map("{:.3f}".format), "set"), ""]
    return "\n".join(parts)


def main() -> None:
    """Run what the command line asks for."""
    command = parser(__doc__, list(SETS))
    command.add_argument("--panels", type=Path)
    options = command.parse_args()
    refuse_unknown(command, options, SETS)
    options.methods = [METHOD]
    panels = None if options.panels is None else pd.read_json(options.panels)
    execute(options, run, lambda frame: markdown(frame, panels))


if __name__ == "__main__":
    main()
