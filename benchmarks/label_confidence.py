"""Transferred labels: are they right, do their probabilities mean what they say, and are types that
the reference lacks found?

python -m benchmarks.label_confidence --json FILE [--sets pancreas,kidney,...] [--seeds 3]
[--classes 5] [--retrain] [--resume] [--out FILE]

A model is pretrained on the reference cells of a set, without labels, with every gene measured, and
labels are transferred to query cells of which all genes, or a random panel, were measured, and to
query cells of which only some molecules were. Of few cells the expected calibration error is above
0 even if confidence is right: that is given, too, by drawing classes from the probabilities. Beside
them stands the linear probe that was trained once, on reference cells measured in full. Query cells
of a class that the reference lacks are left out of these scores. Then up to --classes classes, the
largest with at least 20 query cells, are taken out of the reference one at a time, and the AUROC
tells how well the score for unknown types finds their query cells among the others; with 0 this is
left out. The model has seen the cells of these classes, without labels, as has a model that is
pretrained on an atlas; --retrain pretrains one without them for each class. Rows are written after
each set and seed; --resume leaves out what the file holds. --out writes means over sets and seeds.
"""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import roc_auc_score

from benchmarks.command_line import execute, parser, refuse_unknown, table, write
from benchmarks.gene_sets import SETS, load
from benchmarks.scores import macro_f1
from r2mae_bio import evaluate, tl

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from benchmarks.gene_sets import GeneSet
    from r2mae_bio.model import GeneMAE

FRACTIONS = (1.0, 0.3, 0.1)
DEPTHS = (0.3, 0.1, 0.03, 0.01)
FEWEST_CELLS = 20
LEVEL = 0.95
TITLES = {
    "macro_f1": "macro-F1",
    "probe_macro_f1": "macro-F1 of a probe of references measured in full",
    "ece": "expected calibration error",
    "auroc": "AUROC of the score for unknown types",
    "auroc_confidence": "AUROC of 1 - confidence",
}
AT_DEPTH = {
    "accuracy": "accuracy",
    "confidence": "mean confidence",
    "macro_f1": "macro-F1",
    "ece": "expected calibration error",
    "ece_floor": "the same if confidence were right",
}
COLUMNS = ["set", "seed", "panel", "depth", "n_genes", "kind", "class", "n_class"]


class Workbench:
    """One set under one seed."""

    def __init__(self, cells: GeneSet, seed: int, *, retrain: bool, epochs: int | None, classes: int) -> None:
        self.cells, self.seed, self.retrain, self.epochs, self.classes = cells, seed, retrain, epochs, classes
        everything = np.ones(len(cells.genes), bool)
        self.reference = self.take(cells.split.reference, everything)
        self.known = cells.split.query[np.isin(cells.labels[cells.split.query], cells.labels[cells.split.reference])]
        self.model = self.pretrain(self.reference)
        self.without: dict[str, GeneMAE] = {}  # by class that was not there

    def take(self, rows: NDArray[np.intp], measured: NDArray[np.bool_]) -> AnnData:
        """Cells of which only some genes were measured; the label is in ``.obs``."""
        obs = pd.DataFrame({"label": self.cells.labels[rows]}, index=[f"cell {i}" for i in rows])
        matrix = sparse.csr_matrix(self.cells.counts)[rows][:, measured].astype(np.float32)
        return AnnData(matrix, obs=obs, var=pd.DataFrame(index=self.cells.genes[measured]))

    def pretrain(self, adata: AnnData) -> GeneMAE:
        """A model of these cells."""
        return tl.pretrain(adata.copy(), model_kwargs={"seed": self.seed}, max_epochs=self.epochs, progress_bar=False)

    def transfer(self, query: AnnData, reference: AnnData, model: GeneMAE) -> AnnData:
        """Label a query."""
        with _quiet():
            tl.transfer_labels(query, reference, labels_key="label", model=model, min_coverage=0.0, seed=self.seed)
        return query

    def rows(self) -> pd.DataFrame:
        """Scores on all panels."""
        with _quiet():
            probe = evaluate.fit_probe(self.model.get_latent_representation(self.reference), self.reference.obs["label"])
        panels = {f"{100 * f:.3g}%": evaluate.panel_mask(len(self.cells.genes), f, seed=self.seed) for f in FRACTIONS}
        rows = [
            {"panel": panel, "depth": 1.0, "n_genes": int(measured.sum()), **row}
            for panel, measured in panels.items()
            for row in [self._labels(measured, probe), *self._unknown(measured)]
        ]
        everything = panels["100%"]
        shallow = [{"panel": "100%", "depth": depth, **self._labels(everything, probe, depth)} for depth in DEPTHS]
        return pd.DataFrame(rows + shallow).assign(set=self.cells.name, seed=self.seed)

    def _labels(self, measured: NDArray[np.bool_], probe: evaluate.FittedProbe, depth: float = 1.0) -> dict[str, Any]:
        """How right the labels are, and how calibrated, in cells of which a share of the molecules
        was measured.
        """
        query = self.take(self.known, measured)
        if depth < 1:
            query.X = sparse.csr_matrix(evaluate.thin_counts(query.X, depth, seed=self.seed)).astype(np.float32)
        started = time.perf_counter()
        query = self.transfer(query, self.reference, self.model)
        seconds, truth = time.perf_counter() - started, query.obs["label"].to_numpy(str)
        label = query.obs["r2mae_label"].to_numpy(str)
        record = query.uns["r2mae"]["transfer_labels"]["r2mae_label"]
        classes, probabilities = record["classes"], query.obsm["r2mae_label_probabilities"]
        with _quiet():
            probed = probe.score(self.model.get_latent_representation(query, min_coverage=0.0), truth)
        return {
            "kind": "labels",
            "accuracy": float(np.mean(label == truth)),
            "accuracy_out_of_fold": record["accuracy_out_of_fold"],
            "macro_f1": macro_f1(truth, label),
            "probe_accuracy": probed.accuracy,
            "probe_macro_f1": probed.macro_f1,
            "confidence": float(query.obs["r2mae_label_confidence"].mean()),
            "ece": evaluate.expected_calibration_error(truth, probabilities, classes=classes),
            "ece_floor": error_if_calibrated(probabilities, classes),
            "temperature": record["temperature"],
            "flagged": float(np.mean(query.obs["r2mae_label_unknown"] > LEVEL)),
            "seconds": seconds,
        }

    def _unknown(self, measured: NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
        """How well cells of a class that was taken out of the reference are found."""
        for name, n in self._held_out().items():
            reference = self.reference[self.reference.obs["label"] != name].copy()
            if self.retrain and name not in self.without:
                self.without[name] = self.pretrain(reference)
            model = self.without.get(name, self.model)
            query = self.transfer(self.take(self.known, measured), reference, model)
            query = query[query.obs["r2mae_label_unknown"].notna()]  # cells without counts have no score
            new, score = (query.obs["label"] == name).to_numpy(), query.obs["r2mae_label_unknown"].to_numpy()
            against = 1 - query.obs["r2mae_label_confidence"].to_numpy()
            yield {
                "kind": "unknown",
                "class": name,
                "n_class": n,
                "auroc": float(roc_auc_score(new, score)),
                "auroc_confidence": float(roc_auc_score(new, against)),
                "found": float(np.mean(score[new] > LEVEL)),
                "retrained": self.retrain,
            }

    def _held_out(self) -> dict[str, int]:
        """The largest classes of the query and their cells, as long as two classes are left to
        learn.
        """
        names, number = np.unique(self.cells.labels[self.known], return_counts=True)
        order = [i for i in np.argsort(-number, kind="stable") if number[i] >= FEWEST_CELLS]
        few = self.reference.obs["label"].nunique() < 3
        return {} if few else {str(names[i]): int(number[i]) for i in order[: self.classes]}


def error_if_calibrated(probabilities: NDArray[np.float32], classes: NDArray[Any], draws: int = 100) -> float:
    """Expected calibration error where every cell's class is drawn from its probabilities: what few
    cells leave of it when confidence is right.
    """
    rng, reached = np.random.default_rng(0), probabilities.astype(np.float64).cumsum(1)
    errors = []
    for _ in range(draws):
        drawn = (rng.random((len(reached), 1)) * reached[:, -1:] > reached).sum(1)
        errors.append(evaluate.expected_calibration_error(classes[drawn], probabilities, classes=classes))
    return float(np.mean(errors))


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message=".*embedded all the same.*|.*nothing is known of them.*"
        )  # cells without a count
        yield


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    frame = pd.read_json(options.json) if options.json.exists() else pd.DataFrame(columns=COLUMNS)
    done = set(zip(frame["set"], frame["seed"], strict=True))
    for seed in range(options.seeds):
        for name in options.sets:
            if (name, seed) in done:
                continue
            settings = {"retrain": options.retrain, "epochs": options.epochs, "classes": options.classes}
            bench = Workbench(load(name, seed, data=options.data), seed, **settings)
            rows = bench.rows()
            frame = pd.concat([frame, rows], ignore_index=True) if len(frame) else rows
            write(options.json, frame.to_json(orient="records", indent=1))
            print(f"{name}, seed {seed}\n{summary(rows).round(3).to_string()}", flush=True)
    return frame


def summary(frame: pd.DataFrame) -> pd.DataFrame:
    """Means by panel, every set and seed counting the same."""
    labels, unknown = frame[frame["kind"] == "labels"], frame[frame["kind"] == "unknown"]
    scores = ["macro_f1", "probe_macro_f1", "accuracy", "probe_accuracy", "confidence", "ece", "flagged"]
    means = labels.groupby(["panel", "depth"], sort=False)[scores].mean()
    if unknown.empty:
        return means
    by_set = unknown.groupby(["set", "seed", "panel", "depth"], sort=False)[["auroc", "auroc_confidence", "found"]].mean()
    return means.join(by_set.groupby(level=["panel", "depth"], sort=False).mean())


def markdown(frame: pd.DataFrame) -> str:
    """Means over seeds, set by set, and over sets; shares of the genes, then of the molecules, side
    by side.
    """
    shares = " / ".join(panel.removesuffix("%") for panel in frame["panel"].unique())
    panels, depths = frame[frame["depth"] == 1], frame[frame["panel"] == "100%"]
    at_depth = {title: _by_set(depths, column, "depth") for column, title in AT_DEPTH.items() if column in frame}
    parts = [
        "# Transferred labels and their confidence",
        f"{frame['set'].nunique()} sets, means of {frame['seed'].nunique()} seeds. Columns of several figures are shares of the genes measured in the "
        f"query: {shares}%.",
        table(pd.DataFrame({title: _by_set(panels, column) for column, title in TITLES.items() if column in frame}), "set"),
        f"With a threshold of {LEVEL}, {_by_set(panels, 'flagged')['mean']} of the cells of known types are called unknown"
        + (f", and {_by_set(panels, 'found')['mean']} of those of unknown types." if "found" in frame else "."),
        f"All genes, but shares of the molecules of the query: {' / '.join(f'{100 * depth:.3g}' for depth in depths['depth'].unique())}%.",
        table(pd.DataFrame(at_depth), "set"),
    ]
    return "\n\n".join(parts) + "\n"


def _by_set(frame: pd.DataFrame, column: str, by: str = "panel") -> pd.Series:
    """Means over the seeds of each set, and over sets, as text."""
    means = frame.pivot_table(index=["set", "seed"], columns=by, values=column, sort=False).groupby("set", sort=False).mean()
    means.loc["mean"] = means.mean()
    return means[frame[by].unique()].map(lambda value: f"{value:.3f}".lstrip("0")).agg(" / ".join, axis=1)


def main() -> None:
    """Run what the command line asks for."""
    command = parser(__doc__, list(SETS))
    command.add_argument("--retrain", action="store_true", help="pretrain without the class that is taken out")
    command.add_argument("--classes", type=int, default=5, help="most classes that are taken out")
    command.add_argument("--epochs", type=int, help="of pretraining; the default of the package if left away")
    options = command.parse_args()
    refuse_unknown(command, options, SETS)
    execute(options, run, markdown)


if __name__ == "__main__":
    main()
