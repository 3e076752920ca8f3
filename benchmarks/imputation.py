"""Denoised expression and its intervals: R2MAE beside its controls, by molecular cross-validation
and by coverage; and the totals of genes off a panel.

python -m benchmarks.imputation --json FILE [--sets pancreas,pbmc_studies,kidney] [--seeds 3]
[--methods R2MAE;scVI;...] [--resume] [--out FILE]

Methods learn from 90% of the molecules of the reference cells, see as many of the query cells, and
predict the other 10% of these. Intervals are asked twice to hold 90%: of the counts of a gene given
the other genes, and of the molecules that were held out given all that were seen. Totals over the
query cells are predicted of the genes off random panels, and divided by the true ones: by deciles
of expression over reference and query cells together, since genes sorted by either alone are
low there by chance. Rows are written after each set, seed and method; --resume leaves out what the
file holds. --out writes means, and differences to R2MAE.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from benchmarks.command_line import run_methods, sweep, table
from benchmarks.gene_sets import SETS, load
from r2mae_bio import evaluate
from r2mae_bio._rng import derive_seed
from r2mae_bio.evaluate import FittedGeneMAE, MaskedAutoencoder

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray
    from scipy import sparse

    from benchmarks.gene_sets import GeneSet

TRAIN_SHARE = 0.9
LEVEL = 0.9
N_MASKS = 8
INTERVALS = "R2MAE, intervals"
TOTALS = ("R2MAE, totals", "R2MAE, totals by reference", "mean profile, totals")
PANELS = (0.5, 0.25, 0.1)
FEWEST = 20
"""Counts of a gene over all query cells, below which its ratio says more of chance than of a
prediction.
"""
_LAST: dict[str, FittedGeneMAE] = {}
"""The model that was trained last, so that it can be asked in several ways."""


@dataclass(frozen=True)
class R2MAE:
    """The model, decoded from all genes, or each gene from others with its own count weighed in
    (``n_masks`` above 0).
    """

    name: str = "R2MAE"
    n_masks: int = 0
    train_kwargs: dict[str, Any] = field(default_factory=dict)

    def fit(self, counts: Any, *, seed: int) -> FittedGeneMAE:
        """Train, unless these cells were trained on last with this seed."""
        key = hashlib.sha256(
            f"{seed} {self.train_kwargs}".encode() + counts.data.tobytes() + counts.indices.tobytes()
        ).hexdigest()
        if key not in _LAST:
            _LAST.clear()
            _LAST[key] = MaskedAutoencoder(self.name, train_kwargs=self.train_kwargs).fit(counts, seed=seed)
            _LAST[key].model.calibrate_dispersion()  # on its own validation cells
        return replace(_LAST[key], n_masks=self.n_masks)


METHODS = (
    R2MAE(),
    R2MAE("R2MAE, masks", N_MASKS),
    evaluate.SCVI(),
    evaluate.FactorAnalysis(),
    evaluate.ProbabilisticPCA(),
    evaluate.MeanProfile(),
    evaluate.NoDenoising(),
)
NAMES = [*(method.name for method in METHODS), INTERVALS, *TOTALS]


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""
    order = dict.fromkeys([METHODS[0].name, METHODS[1].name, INTERVALS, *TOTALS, *NAMES])  # what shares a model comes together
    return sweep(options, list(order), partial(load, data=options.data), scores, show)


def show(rows: pd.DataFrame) -> str:
    """All that was measured."""
    return rows.drop(columns=["set", "seed", "method"]).to_string(index=False)


def scores(cells: GeneSet, name: str, seed: int) -> pd.DataFrame:
    """Rows of one method on one set."""
    if name == INTERVALS:
        return coverage(cells, METHODS[0], seed).assign(method=name, seed=seed)
    if name in TOTALS:
        return totals(cells, name, METHODS[0], seed).assign(method=name, seed=seed)
    method = next(m for m in METHODS if m.name == name)
    return evaluate.denoising([method], cells.counts, split=cells.split, train_share=TRAIN_SHARE, seeds=(seed,))


def coverage(cells: GeneSet, method: R2MAE, seed: int) -> pd.DataFrame:
    """Coverage of 90% intervals on the query cells, by what is predicted and by thirds of the
    mean.
    """
    train, reference, query = training_half(cells, seed)
    fitted = method.fit(train[reference], seed=seed)
    seen, held_out = train[query], cells.counts[query] - train[query]
    rows = evaluate.interval_coverage(seen, *fitted.moments(seen, n_masks=N_MASKS, own_counts=False), level=LEVEL, seed=seed)
    mean, sd = fitted.moments(seen, n_masks=N_MASKS, own_counts=True)
    scale = (1 - TRAIN_SHARE) / TRAIN_SHARE
    spread = np.sqrt(scale * mean + scale**2 * np.maximum(sd**2 - mean, 0))  # of Poisson counts of a smaller exposure
    again = evaluate.interval_coverage(held_out, scale * mean, spread, level=LEVEL, seed=seed)
    return pd.concat([rows.assign(predicted="counts, from other genes"), again.assign(predicted="held-out molecules")])


def training_half(cells: GeneSet, seed: int) -> tuple[sparse.csr_array, NDArray[np.intp], NDArray[np.intp]]:
    """The training half of the molecules as :func:`evaluate.denoising` draws it, so that the model
    is the one it trained, and the reference and query cells that have any.
    """
    train = evaluate.thin_counts(cells.counts, TRAIN_SHARE, seed=derive_seed(seed, "molecules"))
    split = (cells.split.reference, cells.split.query)
    reference, query = (rows[np.asarray(train[rows].sum(axis=1)).ravel() > 0] for rows in split)
    return train, reference, query


def totals(cells: GeneSet, name: str, method: R2MAE, seed: int) -> pd.DataFrame:
    """Predicted over true totals of genes off a panel: of all genes of a decile together, and the
    5% and 95% points over its genes.
    """
    train, reference, query = training_half(cells, seed)
    known, asked = train[reference], train[query]
    fitted = None if name == TOTALS[2] else method.fit(known, seed=seed)
    of_reference, truth = (np.asarray(counts.sum(axis=0), float).ravel() for counts in (known, asked))
    parts = []
    for share in PANELS:
        panel = evaluate.panel_mask(len(truth), share, seed=seed, counts=known)
        if fitted is None:
            predicted = of_reference * truth[panel].sum() / of_reference[panel].sum()
        else:
            given = known if name == TOTALS[1] else None
            predicted = fitted.moments(asked, measured=panel, reference=given, n_masks=N_MASKS)[0].sum(axis=0, dtype=float)
        off = np.flatnonzero(~panel)
        order = off[np.argsort((of_reference + truth)[off], kind="stable")]
        for decile, genes in enumerate(np.array_split(order, 10), start=1):
            often = genes[truth[genes] >= FEWEST]
            low, high = np.quantile(predicted[often] / truth[often], [0.05, 0.95]) if often.size else (np.nan, np.nan)
            ratio = predicted[genes].sum() / truth[genes].sum()
            parts.append(
                {"panel": share, "decile": decile, "counts": truth[genes].sum(), "ratio": ratio, "low": low, "high": high}
            )
    return pd.DataFrame(parts)


def totals_tables(frame: pd.DataFrame) -> list[str]:
    """Ratios by decile, means over seeds; and how far from 1 they and those of single genes lie."""
    parts = []
    for name, rows in frame.groupby("method", sort=False):
        wide = rows.pivot_table(index=["set", "panel"], columns="decile", values="ratio", sort=False)
        text = wide.map("{:.2f}".format).rename(columns="{:.0f}".format)
        by_row = rows.groupby(["set", "panel"], sort=False)
        text["all seeds"] = by_row["ratio"].min().map("{:.2f}".format) + " to " + by_row["ratio"].max().map("{:.2f}".format)
        text["genes"] = by_row["low"].mean().map("{:.2f}".format) + " to " + by_row["high"].mean().map("{:.2f}".format)
        text.index = [f"{name}, {share:.0%}" for name, share in text.index]
        parts += [f"## Predicted over true totals off the panel: {name}", ""]
        parts += ["By deciles of expression, lowest first; single genes: 5% to 95%, mean over deciles.", ""]
        parts += [table(text, "set, panel"), ""]
    return parts


def markdown(frame: pd.DataFrame) -> str:
    """Losses by set, differences to R2MAE over sets and seeds, coverage, and totals."""
    sets = list(frame["set"].unique())
    parts = ["# Imputation", "", f"{len(sets)} sets ({', '.join(sets)}), {frame['seed'].nunique()} seeds.", ""]
    losses = frame[~frame["method"].isin([INTERVALS, *TOTALS])]
    for score, title in (
        ("poisson_nll", "Poisson loss of the held-out molecules, nats per cell and gene"),
        ("mse_log", "Squared error of log profiles"),
    ):
        if losses.empty:
            break
        wide = losses.pivot_table(index="method", columns="set", values=score, sort=False)
        parts += [f"## {title}", "", table(wide.map("{:.5f}".format)), ""]
    if "R2MAE" in set(losses["method"]):
        wide = losses.pivot_table(index="method", columns=["set", "seed"], values="poisson_nll", sort=False).dropna(axis=1)
        gap = 100 * (wide / wide.loc["R2MAE"] - 1)
        error = 1.96 * gap.std(axis=1) / gap.shape[1] ** 0.5
        text = gap.mean(axis=1).map("{:+.2f}".format)
        if gap.shape[1] > 1:
            text += " ± " + error.map("{:.2f}".format)
        parts += [
            "Poisson loss above that of R2MAE, %, with 95% intervals over sets and seeds:",
            "",
            table(text.to_frame("%")),
            "",
        ]
    held = frame[frame["method"] == INTERVALS]
    if not held.empty:
        for predicted, rows in held.groupby("predicted", sort=False):
            wide = rows.pivot_table(index="set", columns="expression", values="coverage", sort=False)
            parts += [f"## Coverage of {LEVEL:.0%} intervals: {predicted}", "", "By thirds of the mean, lowest first:", ""]
            parts += [table(wide.map("{:.3f}".format), "set"), ""]
    parts += totals_tables(frame[frame["method"].isin(TOTALS)])
    return "\n".join(parts)


def main() -> None:
    """Run what the command line asks for."""
    run_methods(__doc__, SETS, NAMES, run, markdown, default_sets=["pancreas", "pbmc_studies", "kidney"])


if __name__ == "__main__":
    main()
