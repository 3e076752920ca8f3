"""How far the noise of the start is pooled over genes: probes, and what tells without labels.

python -m benchmarks.noise_pooling --json FILE [--sets pancreas,kidney,...] [--seeds 3] [--methods
"0;0.3;1"] [--resume] [--out FILE]

Methods are strengths of pooling. The start alone, without training, is scored by macro-F1 of linear
and kNN probes with all genes and 10% of them. Beside them stands how well the factor model of four
fifths of the reference cells predicts hidden genes of the others, at 10, 50 and 90% hidden: squared
error of roots in standard deviations, in common units, the Gaussian density of each root, and the
Poisson density of counts. --out writes means, what each of these would have chosen, and
differences to no pooling with 95% intervals over sets and seeds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.command_line import run_methods, sweep, table
from benchmarks.gene_sets import SETS, load
from r2mae_bio import evaluate
from r2mae_bio.cells.fit._factors import factor_analysis
from r2mae_bio.evaluate import MaskedAutoencoder

if TYPE_CHECKING:
    import argparse

    from numpy.typing import NDArray

    from benchmarks.gene_sets import GeneSet

STRENGTHS = ("0", "0.15", "0.3", "0.45", "0.6", "1")
CRITERIA = {
    "standardised": "squared error, standardised roots",
    "roots": "squared error, roots",
    "density": "Gaussian density of roots",
    "counts": "Poisson density of counts",
}
RATIOS, MASKS, PRIOR = (0.1, 0.5, 0.9), 3, 10.0


class _HeldOut:
    """Some reference cells to fit to, and others of which genes are hidden."""

    def __init__(self, counts: sparse.csr_array, seed: int) -> None:
        rng, cells = np.random.default_rng(seed), counts.toarray().astype(float)
        cells = cells[rng.permutation(np.flatnonzero(cells.sum(1) > 0))]
        n_held = min(500, len(cells) // 5)
        self.held, fitted = cells[:n_held], cells[n_held:]
        self.share, self.depth = fitted.sum(0) / fitted.sum(), float(fitted.sum(1).mean())
        self.fitted = self.roots(fitted, slice(None))
        self.mean, self.sd = self.fitted.mean(0), np.maximum(self.fitted.std(0), 0.03)
        n = len(self.share)
        self.masks = [rng.permutation(n) < max(1, round((1 - ratio) * n)) for ratio in RATIOS for _ in range(MASKS)]

    def scale(self, seen: NDArray[Any], genes: Any) -> NDArray[Any]:
        """Mean depth over the depth estimated from the genes that are seen."""
        return (self.depth * self.share[genes].sum() + PRIOR) / (seen.sum(1, keepdims=True) + PRIOR)

    def roots(self, cells: NDArray[Any], genes: Any) -> NDArray[Any]:
        """Roots of depth-scaled counts of the genes that are seen."""
        seen = cells[:, genes]
        return np.sqrt(seen * self.scale(seen, genes))

    def criteria(self, strength: float) -> dict[str, float]:
        """Each higher where prediction is better, mean over masks."""
        rows = sparse.csr_array(self.fitted.astype(np.float32))
        factors = factor_analysis(rows, 32, np.random.default_rng(0), pooling=strength)
        return pd.DataFrame([self._under(mask, factors.loadings, factors.noise) for mask in self.masks]).mean().to_dict()

    def _under(self, mask: NDArray[np.bool_], loadings: NDArray[Any], noise: NDArray[Any]) -> dict[str, float]:
        weights = loadings[mask] / noise[mask, None]
        posterior = np.linalg.inv(np.eye(loadings.shape[1]) + loadings[mask].T @ weights)
        factors = (self.roots(self.held, mask) - self.mean[mask]) @ weights @ posterior
        hidden = loadings[~mask]
        found, variance = factors @ hidden.T, noise[~mask] + ((hidden @ posterior) * hidden).sum(1)
        truth = (self.roots(self.held, slice(None)) - self.mean)[:, ~mask]
        error = (truth - found) ** 2
        rate = np.maximum(found + self.mean[~mask], 0) ** 2 + np.clip(noise[~mask], 1e-4, 0.25)
        rate = rate / self.scale(self.held[:, mask], mask)
        return {
            "standardised": -float((error / self.sd[~mask] ** 2).mean()),
            "roots": -float(error.mean() / (truth**2).mean()),
            "density": -float((error / variance + np.log(2 * np.pi * variance)).mean() / 2),
            "counts": float((self.held[:, ~mask] * np.log(rate) - rate).mean()),
        }


def run(options: argparse.Namespace) -> pd.DataFrame:
    """Add what is missing to the file, and return all of it."""

    def prepare(name: str, seed: int) -> tuple[GeneSet, _HeldOut]:
        cells = load(name, seed, data=options.data)
        return cells, _HeldOut(cells.counts[cells.split.reference], seed)

    return sweep(options, STRENGTHS, prepare, measure, lambda rows: rows[["panel", "probe", "macro_f1"]].round(3).to_string())


def measure(prepared: tuple[GeneSet, _HeldOut], name: str, seed: int) -> pd.DataFrame:
    """Probes and criteria of one strength."""
    cells, held = prepared
    start = MaskedAutoencoder(name, trained=False, model_kwargs={"noise_pooling": float(name)})
    rows = evaluate.panel_transfer([start], cells.counts, cells.labels, split=cells.split, fractions=(1.0, 0.1), seeds=(seed,))
    return rows.assign(**held.criteria(float(name)))


def markdown(frame: pd.DataFrame) -> str:
    """Means, choices and differences."""
    frame = frame.assign(method=frame["method"].astype(float), score=frame["panel"] + " " + frame["probe"])
    scores = frame.pivot_table(index=["set", "seed", "method"], columns="score", values="macro_f1")
    scores = scores[sorted(scores.columns, key=lambda text: (not text.startswith("100"), "knn" in text))]
    hints = frame.groupby(["set", "seed", "method"])[list(CRITERIA)].first()
    rows = {f"pooling {p:g}": scores.xs(p, level="method") for p in sorted(frame["method"].unique())}
    for key, title in CRITERIA.items():
        best = hints[key].groupby(["set", "seed"]).idxmax()
        rows[f"chosen: {title}"] = scores.loc[list(best)].droplevel("method")
    first = scores.xs(0.0, level="method")
    means = pd.DataFrame({name: part.mean() for name, part in rows.items()}).T.map("{:.3f}".format)
    gaps = pd.DataFrame({name: _interval(part - first) for name, part in rows.items()}).T.drop("pooling 0")
    parts = [f"{frame['set'].nunique()} sets ({', '.join(frame['set'].unique())}), {frame['seed'].nunique()} seeds.", ""]
    parts += ["Mean macro-F1:", "", table(means, "start"), "", "Minus no pooling:", "", table(gaps, "start"), ""]
    for score in scores.columns:
        parts += [
            f"{score}, by set:",
            "",
            table(scores[score].groupby(["set", "method"]).mean().unstack().map("{:.3f}".format), "set"),
            "",
        ]
    return "\n".join(parts)


def _interval(gap: pd.DataFrame) -> pd.Series[str]:
    return gap.mean().map("{:+.3f}".format) + " ± " + (1.96 * gap.std() / len(gap) ** 0.5).map("{:.3f}".format)


def main() -> None:
    """Run what the command line asks for."""
    run_methods(__doc__, SETS, STRENGTHS, run, markdown)


if __name__ == "__main__":
    main()
