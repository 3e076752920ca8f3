"""Labels across donors, animals, studies, technologies and shifts: ours beside those of the field.

python -m benchmarks.cross_study --json FILE [--pairs pancreas_1_to_2,...] [--methods
"logistic regression, genes;R2MAE, transfer_labels;..."] [--seeds 3] [--resume] [--out FILE]

A reference has labels, a query of another kind has none (pairs are those of study_pairs.py); all
methods see the same 2,000 genes. R2MAE is pretrained once on the counts of the reference, and read
in seven ways. Embeddings get two classifiers, the 15 nearest neighbours, and a logistic regression
whose penalty is chosen on the reference. Harmony, scVI and scANVI learn from the counts of the
query, too; they are transductive, and so is map_query, in what it learns of the query as a whole.
scVI has 30 latent dimensions and stops early, after at most the 400 epochs of its default; scANVI
goes on for 20 epochs with labels; mapped models have the networks that scvi-tools recommends for
queries, and 200 epochs on the query. They take minutes for each pair and run if they are named.
Rows are written after each pair, seed and method; --resume leaves out what the file holds. --out
writes means over pairs, scores by pair, and paired differences to the best of our ways.
"""

from __future__ import annotations

import warnings
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.metrics import accuracy_score

import r2mae_bio as rb
from benchmarks.command_line import run_methods, sweep, table
from benchmarks.scores import macro_f1
from benchmarks.study_pairs import PAIRS, load
from r2mae_bio import evaluate
from r2mae_bio.evaluate import Annotation

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Hashable, Iterator

    from numpy.typing import NDArray

    from benchmarks.study_pairs import Side, StudyPair
    from r2mae_bio.model import GeneMAE

    Embeddings = tuple[NDArray[np.float32], NDArray[np.float32]]
    """Of the reference and of the query."""

CLASSIFIERS: dict[str, Any] = {"kNN": "knn", "logistic regression": "tuned"}
EARLY = {"early_stopping": True}
OURS = "R2MAE"
SCORES = {"macro_f1": "macro-F1", "accuracy": "accuracy", "ece": "expected calibration error"}


class Reference:
    """What is learned from a reference alone, once for all queries."""

    def __init__(self, side: Side, genes: NDArray[np.str_], seed: int) -> None:
        self.side, self.genes, self.seed = side, genes, seed
        self.measured = np.ones(len(genes), bool)
        self.batched = len(np.unique(side.batch)) > 1
        self._fitted: dict[Hashable, Any] = {}

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """What ``make`` gives, the first time that the key is asked for."""
        if key not in self._fitted:
            self._fitted[key] = make()
        return self._fitted[key]

    def adata(self, side: Side, *, batch: bool = False) -> AnnData:
        """Cells with their labels and, if asked for, batches."""
        obs = pd.DataFrame({"label": side.labels, "sample": side.batch}, index=[f"cell {i}" for i in range(len(side.labels))])
        if batch:
            obs["batch"] = side.batch
        matrix = sparse.csr_matrix(side.counts).astype(np.float32)
        return AnnData(matrix, obs=obs, var=pd.DataFrame(index=self.genes))

    @cached_property
    def model(self) -> GeneMAE:
        """Pretrained with the defaults of the package, and the batches of the reference if there
        are several.
        """
        cells, key = self.adata(self.side, batch=self.batched), "batch" if self.batched else None
        return rb.tl.pretrain(cells, batch_key=key, model_kwargs={"seed": self.seed}, progress_bar=False)


class Workbench:
    """A pair under one seed."""

    def __init__(self, pair: StudyPair, reference: Reference, seed: int) -> None:
        self.reference, self.query, self.seed = reference, pair.query, seed
        self.name = pair.name
        self._embedded: dict[str, Embeddings] = {}

    # ------------------------------------------------------------------ embeddings

    def inductive(self, embedder: evaluate.Embedder) -> Embeddings:
        """Both embedded by what was learned from the reference."""
        known = self.reference
        fitted = known.once(embedder.name, lambda: embedder.fit(known.side.counts, seed=self.seed))
        return fitted.embed(known.side.counts, known.measured), fitted.embed(self.query.counts, known.measured)

    def joint(self, embedder: evaluate.Embedder) -> Embeddings:
        """Both embedded by what was learned from both."""
        known = self.reference.side
        counts = sparse.csr_array(sparse.vstack([known.counts, self.query.counts]))
        batch, measured = np.concatenate([known.batch, self.query.batch]), self.reference.measured
        fitted = embedder.fit(counts, seed=self.seed, batch=batch)  # type: ignore[call-arg]
        corrects = isinstance(fitted, evaluate.BatchCorrecting)
        both = fitted.embed_batches(counts, measured, batch) if corrects else fitted.embed(counts, measured)
        return both[: len(known.labels)], both[len(known.labels) :]

    def mapped(self, embedder: evaluate.BatchAware) -> Embeddings:
        """The query embedded as new batches of what was learned from the reference."""
        known, side = self.reference, self.reference.side
        fitted = known.once(embedder.name, lambda: embedder.fit(side.counts, seed=self.seed, batch=side.batch))
        return (
            fitted.embed_batches(side.counts, known.measured, side.batch),
            fitted.embed_batches(self.query.counts, known.measured, self.query.batch),
        )

    def ours(self) -> Embeddings:
        """As the model reads them, no batch taken out."""
        model, known = self.reference.model, self.reference
        cells = known.adata(known.side), known.adata(self.query)
        return tuple(model.get_latent_representation(some, correct_batch=False) for some in cells)  # type: ignore[return-value]

    def ours_mapped(self) -> Embeddings:
        """The batches of the query laid on the reference."""
        model, known = self.reference.model, self.reference
        query = known.adata(self.query, batch=True)
        rb.tl.map_query(query, model, batch_key="batch")
        reference = model.get_latent_representation(known.adata(known.side, batch=known.batched))
        return reference, query.obsm["X_r2mae"]

    def classify(self, kind: str, embed: Callable[[Workbench], Embeddings], key: str) -> Annotation:
        """Labels by a classifier of embeddings, which are made once for both."""
        if key not in self._embedded:
            self._embedded[key] = embed(self)
        reference, query = self._embedded[key]
        probe = evaluate.fit_probe(reference, self.reference.side.labels, kind=CLASSIFIERS[kind])
        return Annotation(probe.classes, probe.predict_proba(query))

    # ------------------------------------------------------------------ labels

    def annotated(self, annotator: evaluate.Annotator) -> Annotation:
        """Labels by a method that gives them itself."""
        side, seed = self.reference.side, self.seed
        fitted = self.reference.once(annotator.name, lambda: annotator.fit(side.counts, side.labels, seed=seed, batch=side.batch))
        return fitted.annotate(self.query.counts, batch=self.query.batch)

    def transferred(self) -> Annotation:
        """Labels by ``tl.transfer_labels``; whole samples are held out where there are three."""
        known = self.reference
        query, reference = known.adata(self.query), known.adata(known.side)
        groups = "sample" if len(np.unique(known.side.batch)) > 2 else None
        rb.tl.transfer_labels(query, reference, labels_key="label", model=known.model, groups_key=groups, seed=self.seed)
        classes = query.uns["r2mae"]["transfer_labels"]["r2mae_label"]["classes"]
        return Annotation(np.asarray(classes, str), query.obsm["r2mae_label_probabilities"])

    def finetuned(self) -> Annotation:
        """Labels by a fine-tuned classifier."""
        known = self.reference

        def tune() -> Any:
            return known.model.finetune(known.adata(known.side), labels_key="label", seed=self.seed, progress_bar=False)

        found = known.once("finetuned", tune).predict_proba(known.adata(self.query))
        return Annotation(found.columns.to_numpy(str), found.to_numpy())


def both(name: str, embed: Callable[[Workbench], Embeddings]) -> dict[str, Callable[[Workbench], Annotation]]:
    """A method for each classifier of the same embedding."""
    return {f"{name}, {kind}": partial(Workbench.classify, kind=kind, embed=embed, key=name) for kind in CLASSIFIERS}


QUICK: dict[str, Callable[[Workbench], Annotation]] = {
    "logistic regression, genes": partial(Workbench.annotated, annotator=evaluate.GeneClassifier()),
    **both("PCA", partial(Workbench.inductive, embedder=evaluate.PCAZeroFill())),
    **both("Harmony", partial(Workbench.joint, embedder=evaluate.Harmony(harmony_kwargs={"ncores": 1}))),
    **both(OURS, Workbench.ours),
    f"{OURS}, transfer_labels": Workbench.transferred,
    **both(f"{OURS}, map_query", Workbench.ours_mapped),
    f"{OURS}, fine-tuned": Workbench.finetuned,
}
SLOW: dict[str, Callable[[Workbench], Annotation]] = {
    **both("scVI, joint", partial(Workbench.joint, embedder=evaluate.SCVI(train_kwargs=EARLY))),
    **both("scVI, mapped", partial(Workbench.mapped, embedder=evaluate.SCArches(train_kwargs=EARLY))),
    "scANVI, joint": partial(Workbench.annotated, annotator=evaluate.SCANVI(train_kwargs=EARLY, name="scANVI, joint")),
    "scANVI, mapped": partial(
        Workbench.annotated, annotator=evaluate.SCANVI(mapped=True, train_kwargs=EARLY, name="scANVI, mapped")
    ),
}
METHODS = QUICK | SLOW


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    latest: dict[Hashable, Reference] = {}

    def prepare(name: str, seed: int) -> Workbench:
        pair, spec = load(name, seed, data=options.data), PAIRS[name]
        key = (spec.study, spec.reference, None if spec.reference else spec.query, seed)
        if key not in latest:  # pairs of the same reference stand side by side
            latest.clear()
            latest[key] = Reference(pair.reference, pair.genes, seed)
        return Workbench(pair, latest[key], seed)

    return sweep(options, list(METHODS), prepare, measure, show)


def measure(bench: Workbench, name: str, seed: int) -> pd.DataFrame:
    """Scores of one method."""
    with _quiet():
        annotation = METHODS[name](bench)
    truth = bench.query.labels
    row = {
        "shifted": PAIRS[bench.name].shifted,
        "n_reference": len(bench.reference.side.labels),
        "n_query": len(truth),
        "macro_f1": macro_f1(truth, annotation.labels),
        "accuracy": accuracy_score(truth, annotation.labels),
        "ece": evaluate.expected_calibration_error(truth, annotation.probabilities, classes=annotation.classes),
    }
    return pd.DataFrame([row])


@contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*embedded all the same.*")  # cells without a count
        yield


def show(rows: pd.DataFrame) -> str:
    """The scores."""
    return rows[list(SCORES)].iloc[0].round(3).to_string()


def markdown(frame: pd.DataFrame) -> str:
    """Means by method, scores by pair, and differences to the best of our ways."""
    by_pair = frame.groupby(["set", "method"], sort=False)[["shifted", *SCORES]].mean().reset_index()
    n = by_pair.groupby("method")["set"].nunique()
    whole = by_pair[by_pair["method"].isin(n.index[n == n.max()])]  # means over the same pairs
    parts = [
        "# Labels across studies",
        f"{whole['set'].nunique()} pairs, {frame['seed'].nunique()} seeds. Means over pairs, each the mean over its seeds; a smaller "
        "calibration error is better.",
        table(means(whole)),
        "Macro-F1 by pair:",
        table(by_pair.pivot(index="set", columns="method", values="macro_f1")[frame["method"].unique()].map(_digits), "pair"),
    ]
    ours = [name for name in whole["method"].unique() if name.startswith(OURS)]
    if ours and whole["method"].nunique() > 1:
        best = whole[whole["method"].isin(ours)].groupby("method")["macro_f1"].mean().idxmax()
        parts += [
            f"Macro-F1 of {best}, the best of our ways in this mean, minus that of the method, with the ends of 95% intervals over pairs; "
            "shifts of one set share its cells:",
            differences(whole, str(best)),
        ]
    return "\n\n".join(parts) + "\n"


def means(by_pair: pd.DataFrame) -> pd.DataFrame:
    """Text: every score of every method, and macro-F1 by kind of pair."""
    methods = by_pair["method"].unique()
    columns = {title: by_pair.groupby("method")[score].mean() for score, title in SCORES.items()}
    for shifted, title in ((0, "macro-F1, found differences"), (1, "macro-F1, made shifts")):
        part = by_pair[by_pair["shifted"] == shifted]
        if len(part):
            columns[title] = part.groupby("method")["macro_f1"].mean()
    return pd.DataFrame(columns).loc[methods].map(_digits)


def differences(by_pair: pd.DataFrame, best: str) -> str:
    """A markdown table of paired differences over all pairs, and over those of either kind."""
    kinds = {
        "all": by_pair,
        "found differences": by_pair[by_pair["shifted"] == 0],
        "made shifts": by_pair[by_pair["shifted"] == 1],
    }
    columns = {}
    for title, part in kinds.items():
        if part["set"].nunique() > 1:
            found = evaluate.paired_differences(part, reference=best, by=(), pair=("set",)).set_index("method")
            columns[title] = found.apply(lambda row: f"{row['mean']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]", axis=1)
    return table(pd.DataFrame(columns).loc[[m for m in by_pair["method"].unique() if m != best]])


def _digits(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def main() -> None:
    """Run what the command line asks for."""
    run_methods(__doc__, PAIRS, list(METHODS), run, markdown, default_methods=list(QUICK), what="pairs")


if __name__ == "__main__":
    main()
