"""Which advice on the mask ratio orders measured errors: fresh masks or a single one per cell?

    python -m benchmarks.theory_advice [--measured benchmarks/results/theory_networks_cpu.json]
        [--out benchmarks/results/theory_advice.md]

Measured errors of linear maps and networks, eight settings each, are read from the results of
benchmarks.theory_networks, with its predictions for single masks; advice from fresh masks is
computed here from the same training rows. Then time and memory for 20,000 genes.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.stats import spearmanr

from benchmarks.networks import data as sets
from benchmarks.networks.masks import CONDITIONS, SETTINGS
from r2mae_bio import theory
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.advice._fresh import predicted
from r2mae_bio.theory.advice._held_out import held_out_errors
from r2mae_bio.theory.risk._fresh_masks import as_resolvent, mask_level

if TYPE_CHECKING:
    from benchmarks.networks.data import Data

MAKERS = {"digits": sets.digits, "pbmc68k": sets.pbmc68k, "zheng3500": sets.zheng}
ADVICE = ("single", "fresh, spectrum", "fresh, held-out")
EARLIER = "one mask, calibrated"
"""What the advice was before, by its name in the results of benchmarks.theory_networks."""
KEY = ["learner", "data", "width", "n", "seed"]


def fresh_advice(data: Data, n: int, seed: int) -> dict[tuple[str, str], np.ndarray]:
    """Errors of the settings by advice and test condition."""
    x = data.values[data.training_rows(n, seed)].double().numpy()
    x = x[:, x.std(0) > 0]
    d = x.shape[1]
    levels = np.array([mask_level(law, d) for law in SETTINGS.values()])
    order = np.argsort(levels)
    seen = tuple(p / (1 - p) for p in CONDITIONS.values())
    held_out = held_out_errors(x, levels[order], seen, genes=np.arange(d), seed=seed)
    model = as_resolvent(theory.decompose(theory.gene_correlation(x)[0]))
    found = {}
    for i, (condition, level) in enumerate(zip(CONDITIONS, seen, strict=True)):
        here, there = (predicted(model, m, levels[order], level) for m in (held_out.n_train, n))
        measured = here.moved(held_out.errors[i].mean(1), there).error
        for name, errors in (("fresh, spectrum", there.error), ("fresh, held-out", measured)):
            found[name, condition] = errors[np.argsort(order)]
    return found


def compare(runs: pd.DataFrame, earlier: pd.DataFrame, data: dict[str, Data]) -> pd.DataFrame:
    """Rank correlation and cost of following each advice, one row per run, condition and
    advice.
    """
    names, rows = list(SETTINGS), []
    advice = {}
    for name, n, seed in runs[["data", "n", "seed"]].drop_duplicates().itertuples(index=False):
        same = earlier[(earlier["data"] == name) & (earlier["n"] == n) & (earlier["seed"] == seed)].set_index("setting")
        single = {("single", c): same[c].reindex(names).to_numpy() for c in CONDITIONS}
        advice[name, n, seed] = fresh_advice(data[name], n, seed) | single
    for key, group in runs.groupby(KEY):
        measured = group.set_index("setting").reindex(names)
        for (how, condition), errors in advice[key[1], key[3], key[4]].items():
            errors = np.where(errors > 0, errors, np.inf)  # at the peak the finite-size correction may fail
            m = measured[condition].to_numpy()
            cost = m[np.argmin(errors)] / m.min() - 1
            rows.append(
                [*key, condition, how, spearmanr(m, errors)[0], cost, *_both(measured, advice[key[1], key[3], key[4]], how)]
            )
    return pd.DataFrame(rows, columns=[*KEY, "test", "advice", "rho", "cost", "both", "least"])


def _both(measured: pd.DataFrame, advice: dict[tuple[str, str], np.ndarray], how: str) -> tuple[float, float]:
    """Larger measured cost of the setting whose larger predicted cost is least, and the least that
    any setting has.
    """
    told = np.stack([np.where(advice[how, c] > 0, advice[how, c], np.inf) for c in CONDITIONS])
    found = measured[list(CONDITIONS)].to_numpy().T
    predicted_cost, cost = ((x / x.min(1, keepdims=True) - 1).max(0) for x in (told, found))
    return float(cost[np.argmin(predicted_cost)]), float(cost.min())


def serving_both(results: pd.DataFrame) -> str:
    """Larger of the two measured costs of the setting whose larger predicted cost is least."""
    lines = ["| learner | data | " + " | ".join(ADVICE) + " | best setting |", "|" + " --- |" * 6]
    means = results.groupby(["learner", "data", "advice"])[["both", "least"]].mean()
    for key in dict.fromkeys(index[:2] for index in means.index):
        group = means.loc[key].reindex(ADVICE)
        lines.append(f"| {' | '.join(key)} | {' | '.join(f'{x:.1%}' for x in group['both'])} | {group['least'].iloc[0]:.1%} |")
    return "\n".join(lines)


def table(results: pd.DataFrame) -> str:
    """Means over widths, sizes and seeds."""
    lines = ["| learner | data | test | " + " | ".join(ADVICE) + " |", "|" + " --- |" * 6]
    for key, group in results.groupby(["learner", "data", "test"], sort=True):
        means = group.groupby("advice")[["rho", "cost"]].mean().reindex(ADVICE)
        cells = [f"{rho:+.2f}; {cost:.1%}" for rho, cost in means.to_numpy()]
        best = means["rho"].max() - 0.005
        cells = [f"**{cell}**" if rho >= best else cell for cell, rho in zip(cells, means["rho"], strict=True)]
        lines.append(f"| {' | '.join(key)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def worse(results: pd.DataFrame) -> str:
    """Where the default orders less well than an alternative, by more than .02."""
    means = results.groupby(["learner", "data", "test", "advice"])["rho"].mean().unstack("advice")
    lines = [
        f"- {', '.join(key)}: {row['fresh, held-out']:+.2f}, {other} {row[other]:+.2f}"
        for key, row in means.iterrows()
        for other in ADVICE[:2]
        if row[other] > row["fresh, held-out"] + 0.02
    ]
    return "\n".join(lines) or "- nowhere"


def many_genes(d: int = 20_000, n: int = 10_000) -> str:
    """Seconds and peak memory for factors that are given, and for counts."""
    rng = derive_generator(0, "many-genes")
    L = rng.uniform(-0.15, 0.15, (d, 40))
    factors = theory.FactorCorrelation(L, 1 - (L**2).sum(1))
    start = time.perf_counter()
    theory.recommend(factors, n=n)
    given, programmes = time.perf_counter() - start, rng.gamma(0.3, 1.0, (20, d))
    parts = [
        sparse.csr_matrix(rng.poisson(0.015 * rng.gamma(0.3, 1.0, (500, 20)) @ programmes).astype("f4")) for _ in range(n // 500)
    ]
    counts = sparse.vstack(parts).tocsr()
    counts = counts[np.asarray(counts.sum(1)).ravel() > 0]
    before, start = _peak(), time.perf_counter()
    advice = theory.recommend_mask_ratio(counts, n_top_genes=d)
    seconds = time.perf_counter() - start
    return (
        f"- from 40 factors: {given:.1f} s\n- from counts of {counts.shape[0]:,} cells ({counts.nnz / counts.shape[0] / d:.1%} not zero), "
        f"{advice.n_genes:,} genes used: {seconds:.1f} s, peak of the process {_peak():,.0f} MiB, {before:,.0f} MiB before "
        "(bars: 10 s, 1 GB)"
    )


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: list[str] | None = None) -> Path:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measured", type=Path, default=Path("benchmarks/results/theory_networks_cpu.json"))
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/theory_advice.md"))
    options = parser.parse_args(arguments)
    speed = many_genes()
    measured = json.loads(options.measured.read_text(encoding="utf-8"))
    data = {name: made for name, make in MAKERS.items() if (made := make()) is not None}
    runs, earlier = pd.DataFrame(measured["runs"]), pd.DataFrame(measured["theory"])
    runs = runs[runs["data"].isin(data)]
    results = compare(runs, earlier[earlier["variant"] == EARLIER], data)
    text = "\n".join(
        [
            "# Advice on the mask ratio against measured errors\n",
            "Spearman correlation over eight settings and cost of the setting that the advice puts first; means over widths, sizes and",
            "three seeds of the runs in `theory_networks_cpu.json`. Tests hide 10% (full) and 90% (panel). `single`: one mask per cell, the",
            "advice until now. `fresh, spectrum`: `recommend(eigen)`. `fresh, held-out`: `recommend_mask_ratio`, the default; training rows",
            f"alone. `python -m benchmarks.theory_advice`.\n\n{table(results)}\n\n## One setting for both tests\n\nLarger of its two measured costs.\n\n{serving_both(results)}\n\n## Where the default orders less well than another\n",
            f"{worse(results)}\n\n## 20,000 genes, one thread\n\n{speed}\n",
        ]
    )
    options.out.write_text(text, encoding="utf-8")
    print(text)
    return options.out


if __name__ == "__main__":
    main()
