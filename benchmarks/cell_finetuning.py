"""Fine-tuning beside the linear probe: whole transcriptomes and panels of labelled sets, macro-F1.

python -m benchmarks.cell_finetuning --json FILE [--sets pancreas,kidney,...] [--seeds 3]
    [--methods 'linear probe;fine-tuned;...'] [--resume] [--out FILE]

A model is pretrained on the reference cells of a set, without labels, with every gene measured.
Each method then learns from these cells and their labels, and is asked about query cells of which
all genes, or a random panel, were measured; panels of one seed are nested and the same for every
method. Query cells of a class that the reference lacks count as wrong. Rows are written after each
set, seed and method; --resume leaves out what the file holds. --out writes means over sets and
seeds, and differences to the linear probe paired over both.
"""

from __future__ import annotations

import time
import warnings
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from benchmarks.command_line import run_methods, sweep, table
from benchmarks.gene_sets import SETS, load
from benchmarks.scores import macro_f1
from r2mae_bio import evaluate
from r2mae_bio.model import GeneMAE

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from numpy.typing import NDArray

    from benchmarks.gene_sets import GeneSet

    Predict = Callable[[AnnData], NDArray[np.str_]]

FRACTIONS = (1.0, 0.3, 0.1, 0.03)
PROBE = "linear probe"
FINETUNED: dict[str, tuple[bool, dict[str, Any]]] = {
    "head on the frozen encoder": (True, {"freeze_encoder": True}),
    "fine-tuned": (True, {}),
    "fine-tuned from random weights": (False, {}),
}
"""Whether the encoder was pretrained, and arguments of ``GeneMAE.finetune``."""
METHODS = (PROBE, *FINETUNED)


class Workbench:
    """One set under one seed; models are made when they are first asked for."""

    def __init__(self, cells: GeneSet, seed: int) -> None:
        self.cells, self.seed = cells, seed
        self.reference = self.take(cells.split.reference, np.ones(len(cells.genes), bool))

    def take(self, rows: NDArray[np.intp], measured: NDArray[np.bool_]) -> AnnData:
        """Cells of which only some genes were measured; the label is in ``.obs``."""
        obs = pd.DataFrame({"label": self.cells.labels[rows]}, index=[f"cell {i}" for i in rows])
        matrix = sparse.csr_matrix(self.cells.counts)[rows][:, measured].astype(np.float32)
        return AnnData(matrix, obs=obs, var=pd.DataFrame(index=self.cells.genes[measured]))

    @cache  # noqa: B019 - lives as long as the set
    def model(self, pretrained: bool) -> GeneMAE:
        """A model trained on the reference cells, or as random as it begins without the start at a
        factor analysis.
        """
        adata = self.reference.copy()
        GeneMAE.setup_anndata(adata)
        model = GeneMAE(adata, seed=self.seed, start="factors" if pretrained else "random")
        if pretrained:
            model.train(progress_bar=False)
        else:
            model.initialize()
        return model

    def fit(self, method: str) -> Predict:
        """Learn from the labels of the reference cells."""
        if method == PROBE:
            return self._probe()
        pretrained, options = FINETUNED[method]
        classifier = self.model(pretrained).finetune(
            self.reference, labels_key="label", seed=self.seed, progress_bar=False, **options
        )
        return lambda query: classifier.predict(query, min_coverage=0.0).to_numpy(str)

    def _probe(self) -> Predict:
        model = self.model(True)
        probe = evaluate.fit_probe(model.get_latent_representation(self.reference), self.reference.obs["label"])
        return lambda query: probe.predict(model.get_latent_representation(query, min_coverage=0.0))

    def rows(self, method: str) -> pd.DataFrame:
        """Scores of one method on all panels."""
        self.model(FINETUNED.get(method, (True, {}))[0])  # not part of the time
        started = time.perf_counter()
        predict = self.fit(method)
        seconds = time.perf_counter() - started
        rows = []
        for fraction in FRACTIONS:
            measured = evaluate.panel_mask(len(self.cells.genes), fraction, seed=self.seed)
            query = self.take(self.cells.split.query, measured)
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message=".*embedded all the same.*")  # cells without a count on a small panel
                predicted = predict(query)
            truth = query.obs["label"].to_numpy(str)
            f1 = macro_f1(truth, predicted)
            accuracy = float(np.mean(truth == predicted))
            rows.append({"panel": f"{100 * fraction:.3g}%", "n_genes": int(measured.sum()), "macro_f1": f1, "accuracy": accuracy})
        return pd.DataFrame(rows).assign(set=self.cells.name, seed=self.seed, method=method, seconds=seconds)


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""

    def prepare(name: str, seed: int) -> Workbench:
        return Workbench(load(name, seed, data=options.data), seed)

    return sweep(options, METHODS, prepare, lambda bench, method, _: bench.rows(method), show)


def show(rows: pd.DataFrame) -> str:
    """Scores by panel, and seconds."""
    shown = rows.set_index("panel")[["macro_f1", "accuracy"]].T.round(3)
    return f"{rows['seconds'].iloc[0]:.0f} s\n{shown.to_string()}"


def markdown(frame: pd.DataFrame) -> str:
    """Means over sets and seeds, and paired differences to the linear probe."""
    wide = frame.pivot_table(index="method", columns=["set", "seed", "panel"], values="macro_f1", sort=False).dropna(axis=1)
    mean = wide.T.groupby(level="panel", sort=False).mean().T
    parts = [
        "# Fine-tuning on cells",
        f"{frame['set'].nunique()} sets ({', '.join(frame['set'].unique())}), {frame['seed'].nunique()} seeds. Mean macro-F1:",
        "",
        table(mean.map("{:.3f}".format)),
        "",
    ]
    if PROBE in wide.index and len(wide) > 1:
        gap = (wide.drop(index=PROBE) - wide.loc[PROBE]).T.groupby(level="panel", sort=False)
        error = 1.96 * gap.std() / gap.count() ** 0.5
        parts += ["The method minus the linear probe, with 95% intervals over sets and seeds:", ""]
        parts += [table((gap.mean().map("{:+.3f}".format) + " ± " + error.map("{:.3f}".format)).T), ""]
    return "\n".join(parts)


def main() -> None:
    """Run what the command line asks for."""
    run_methods(__doc__, SETS, list(METHODS), run, markdown)


if __name__ == "__main__":
    main()
