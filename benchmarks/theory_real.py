"""Does the linear theory hold on real cells? A masked regression and a masked autoencoder, fitted
and tested on cells.

    python -m benchmarks.theory_real [--data FOLDER] [--out FOLDER] [--sets NAME ...]

Of every set, the 150 genes of the largest variance (log-normalised, then standardised) and a third
of the cells held out. Genes chosen by dispersion (--genes dispersion) are zero in most cells and
huge in a few: no linear theory holds for them. From the other two thirds come the covariance that
the theory is given (Ledoit-Wolf) and the training cells of every draw. Linear models are fitted by
minimum-norm least squares on n masked cells and tested on the held-out cells, unmasked. The same is
done with Gaussian cells of the same covariance: what differs is not linear theory but the shape of
the data.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from r2mae_bio import theory
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.simulate._draws import draw_ratios, mask, minimum_norm
from r2mae_bio.theory.simulate._parallel import run_draws

SETS = (
    "pbmc68k",
    "pbmc_zheng_sorted_3500",
    "anon_human_kidney_top2000",
    "pancreas_baron_human",
    "malaria_falciparum_10x",
    "anon_cbmc_citeseq_top2000",
    "merfish_hypothalamus_mouse",
)
RATIOS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, (0.0, 1.0), (0.05, 0.95), (0.3, 0.9))
N_GENES, N_TARGETS, N_DRAWS = 150, 20, 8
VARIANTS = {
    "equivalent": {"finite_size": False},
    "finite size": {"finite_size": True},
    "finite size, cell sizes": {"finite_size": True, "row_scales": True},
}


@dataclass(frozen=True)
class Cells:
    """Standardised expression of one set."""

    reference: np.ndarray
    held_out: np.ndarray
    correlation: np.ndarray
    scales: np.ndarray
    heavy_tail: float


def load(name: str, folder: Path, genes: str) -> Cells:
    if name == "pbmc68k":
        from r2mae_bio.datasets import pbmc68k

        counts = pbmc68k().X
    else:
        import anndata

        counts = anndata.read_h5ad(folder / "sc" / f"{name}.h5ad").X
    counts = counts[np.asarray(counts.sum(axis=1)).ravel() > 0]
    matrix = theory.normalize_counts(counts, n_top_genes=N_GENES if genes == "dispersion" else counts.shape[1]).matrix
    mean, square = np.asarray(matrix.mean(axis=0)).ravel(), np.asarray((matrix * matrix).mean(axis=0)).ravel()
    X = matrix[:, np.sort(np.argsort(-(square - mean**2))[:N_GENES])].toarray()
    X = X[derive_generator(0, "cells").permutation(len(X))]
    n_reference = 2 * len(X) // 3
    mean, sd = X[:n_reference].mean(0), X[:n_reference].std(0)
    X = ((X - mean) / np.where(sd > 0, sd, 1))[:, sd > 0]
    reference, held_out = X[:n_reference], X[n_reference:]
    correlation, _ = theory.gene_correlation(reference)
    size = np.sort((reference**2).mean(1))
    scales = np.sqrt([part.mean() for part in np.array_split(size, 16)])
    values = np.linalg.eigvalsh(correlation)
    gaussian = 2 * (values**2).sum() / values.sum() ** 2
    return Cells(reference, held_out, correlation, scales, float(size.var() / size.mean() ** 2 - gaussian))


def gaussian_like(cells: Cells) -> Cells:
    """Gaussian cells of the same covariance and number."""
    root = np.linalg.cholesky(cells.correlation)
    draw = derive_generator(0, "gaussian").normal(size=(len(cells.reference) + len(cells.held_out), len(root))) @ root.T
    n = len(cells.reference)
    return Cells(draw[:n], draw[n:], cells.correlation, np.ones(1), 0.0)


def measure(cells: Cells, targets: np.ndarray, n: int, ratio: object, *, autoencoder: bool) -> np.ndarray:
    """Mean squared error on held-out cells, by draw."""

    def draw(i: int, stopped: object) -> float:
        rng = derive_generator(i, "real", n)
        rows = cells.reference[rng.choice(len(cells.reference), n, replace=n > len(cells.reference))]
        masked, hidden = mask(rows, draw_ratios(ratio, n, rng, batch_size=n), rng, rescale=True)
        errors = []
        for j in targets:
            others = np.arange(rows.shape[1]) != j
            used = hidden[:, j] if autoencoder else np.ones(n, bool)
            m = minimum_norm(masked[used][:, others], rows[used, j])
            errors.append(np.mean((cells.held_out[:, j] - cells.held_out[:, others] @ m) ** 2))
        return float(np.mean(errors))

    return np.array(run_draws(draw, N_DRAWS, n_jobs=None, progress=False, title="fit"))


def predict(
    cells: Cells, eigen: dict, targets: np.ndarray, n: int, ratio: object, variant: dict, *, autoencoder: bool
) -> theory.Risk:
    settings = {**variant, "row_scales": cells.scales if variant.get("row_scales") else None}
    if autoencoder:
        return theory.autoencoder_risk(eigen["joint"], n=n, mask_ratio=ratio, genes=targets, algebra="exact", **settings)
    risks = [
        theory.regression_risk(left, b, n=n, noise_variance=noise, mask_ratio=ratio, **settings)
        for left, b, noise in eigen["single"]
    ]
    parts = {name: np.mean([getattr(r, name) for r in risks]) for name in risks[0].__dataclass_fields__}
    return theory.Risk(**{**parts, "iterations": int(parts["iterations"])})


def single_targets(S: np.ndarray, targets: np.ndarray) -> list[tuple]:
    """Decomposition without the target, coefficients and noise of every target."""
    problems = []
    for j in targets:
        others = np.arange(len(S)) != j
        left = S[np.ix_(others, others)]
        b = np.linalg.solve(left, S[others, j])
        problems.append((theory.decompose(left), b, 1 - S[others, j] @ b))
    return problems


def study(name: str, cells: Cells, *, autoencoder: bool, n: int) -> dict:
    targets = np.linspace(0, len(cells.correlation) - 1, N_TARGETS).astype(int)
    eigen = {"joint": theory.decompose(cells.correlation)}
    if not autoencoder:
        eigen["single"] = single_targets(cells.correlation, targets)
    measured = [np.median(measure(cells, targets, n, r, autoencoder=autoencoder)) for r in RATIOS]
    rows = {"measured": measured}
    for variant, settings in VARIANTS.items():
        risks = [predict(cells, eigen, targets, n, r, settings, autoencoder=autoencoder) for r in RATIOS]
        rows[variant] = [r.prediction_error for r in risks]
    flagged = np.array([r.near_peak or r.heavy_tailed for r in risks])
    result = {
        "set": name, "model": "autoencoder" if autoencoder else "regression", "n": n, "d": len(cells.correlation),
        "heavy_tail": cells.heavy_tail, "ratios": [str(r) for r in RATIOS], "flagged": flagged.tolist(), **rows,
    }  # fmt: skip
    for variant in VARIANTS:
        relative = np.array(rows[variant]) / measured
        good = relative[~flagged] if (~flagged).any() else relative
        worst = good[np.argmax(np.abs(np.log(good)))]
        result[f"summary {variant}"] = [
            float(np.median(good)), float(worst), float(np.median(np.abs(relative - 1))), float(spearmanr(rows[variant], measured)[0]),
        ]  # fmt: skip
    return result


def sizes(cells: Cells, *, autoencoder: bool) -> list[int]:
    largest = len(cells.reference)
    return [min(n, largest) for n in ((200, 700) if autoencoder else (75, 700))]


def report(results: list[dict]) -> str:
    lines = [
        "# The linear theory on real cells",
        "",
        f"`python -m benchmarks.theory_real`; {os.cpu_count()} CPU cores. {N_GENES} genes, {N_TARGETS} targets, {N_DRAWS} draws, "
        f"9 fixed ratios and 3 uniform laws. Ratios of predicted to measured (median over draws) prediction error on held-out cells: median and worst "
        "over the settings that are not flagged as peak or heavy-tailed, and Spearman's correlation of the two curves over all 12 settings. `tail` is "
        "the excess variance of a cell's squared size over that of Gaussian cells. `Gaussian` is the same experiment on Gaussian cells of the same covariance.",
        "",
        "| set | model | n | tail | flagged | equivalent: median, worst, rho | finite size | + cell sizes | Gaussian, finite size |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    gaussian = {(r["set"], r["model"], r["n"]): r for r in results if r["cells"] == "gaussian"}
    for r in (r for r in results if r["cells"] == "real"):
        g = gaussian[r["set"], r["model"], r["n"]]
        figures = [r[f"summary {v}"] for v in VARIANTS] + [g["summary finite size"]]
        text = " | ".join(f"{m:.3f}, {w:.3f}, {rho:.3f}" for m, w, _, rho in figures)
        lines.append(f"| {r['set']} | {r['model']} | {r['n']} | {r['heavy_tail']:.2f} | {sum(r['flagged'])} | {text} |")
    real = [r for r in results if r["cells"] == "real"]
    lines += [
        "",
        "| variant | median of medians | share of settings within 10% | least Spearman | median Spearman |",
        "|---|---|---|---|---|",
    ]
    for v in VARIANTS:
        within = np.concatenate([(np.abs(np.array(r[v]) / r["measured"] - 1) < 0.1)[~np.array(r["flagged"])] for r in real])
        s = np.array([r[f"summary {v}"] for r in real])
        lines.append(f"| {v} | {np.median(s[:, 0]):.3f} | {within.mean():.0%} | {s[:, 3].min():.3f} | {np.median(s[:, 3]):.3f} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("R2MAE_BIO_DATA", Path(__file__).resolve().parents[3] / "shared" / "data")
    parser.add_argument("--data", type=Path, default=Path(default), help="folder with sc/*.h5ad; without it only pbmc68k is used")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"))
    parser.add_argument("--sets", nargs="*", default=SETS)
    parser.add_argument("--genes", choices=("variance", "dispersion"), default="variance")
    options = parser.parse_args()
    results, start = [], time.monotonic()
    for name in options.sets:
        if name != "pbmc68k" and not (options.data / "sc" / f"{name}.h5ad").is_file():
            print(f"{name}: not found in {options.data}, left out", file=sys.stderr)
            continue
        cells = load(name, options.data, options.genes)
        for autoencoder in (True, False):
            for n in sizes(cells, autoencoder=autoencoder):
                for kind, these in (("real", cells), ("gaussian", gaussian_like(cells))):
                    results.append({"cells": kind, **study(name, these, autoencoder=autoencoder, n=n)})
                summary = results[-2]["summary finite size, cell sizes"]
                print(
                    f"{time.monotonic() - start:6.0f} s {name} {'autoencoder' if autoencoder else 'regression'} n={n}: {summary}",
                    file=sys.stderr,
                )
    text = report(results)
    print(text)
    options.out.mkdir(parents=True, exist_ok=True)
    stem = "theory_real_rare_cpu" if options.genes == "dispersion" else "theory_real_cpu"
    for suffix, content in (("md", text), ("json", json.dumps(results, indent=1))):
        temporary = options.out / f".{stem}.{suffix}"
        temporary.write_text(content, encoding="utf-8")
        temporary.replace(options.out / f"{stem}.{suffix}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
