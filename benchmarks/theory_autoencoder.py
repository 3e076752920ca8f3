"""The linear theory of the masked autoencoder beside Monte Carlo, over fixed and random mask
ratios.

python -m benchmarks.theory_autoencoder [--features 160] [--cells 200 600] [--draws 100] [--every 4]
[--json PATH]

"equivalent" is the deterministic equivalent for the expected number n E[p] of cells in which a gene
is hidden, "finite" its finite-size correction, averaged over that binomial number. Bars are those
of "finite".
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from r2mae_bio import theory

FIXED = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9)
AROUND_PEAK = (-0.15, -0.1, -0.075, -0.05, -0.035, -0.02, 0.0, 0.02, 0.035, 0.05, 0.075, 0.1, 0.15)
RANDOM = ((0.05, 0.95), (0.3, 0.9), (0.0, 1.0))
PROGRAMMES = 12
LARGEST_DEVIATION = 0.05
LARGEST_SHIFT = 0.05
PEAK_STEP = 0.01
PEAK_WINDOW = 0.12


@dataclass(frozen=True)
class Row:
    """One setting; deviations are theory / median - 1."""

    n: int
    mask_ratio: float | tuple[float, float]
    equivalent: float
    finite_size: float
    median: float
    median_error: float
    mean: float
    standard_error: float
    inflation: float
    leverage_spread: float
    near_peak: bool
    heavy_tailed: bool

    @property
    def deviation(self) -> float:
        return self.finite_size / self.median - 1

    @property
    def flagged(self) -> bool:
        return self.near_peak or self.heavy_tailed


def compare(S: np.ndarray, n: int, mask_ratio: float | tuple[float, float], genes: np.ndarray, draws: int) -> Row:
    eigen = theory.decompose(S)
    plain, corrected = (
        theory.autoencoder_risk(eigen, n=n, mask_ratio=mask_ratio, genes=genes, finite_size=f) for f in (False, True)
    )
    runs = theory.simulate_autoencoder_risk(S, n=n, mask_ratio=mask_ratio, genes=genes, n_draws=draws)
    return Row(
        n, mask_ratio, plain.total, corrected.total, runs.median, runs.median_error, runs.mean, runs.standard_error,
        corrected.inflation, corrected.leverage_spread, corrected.near_peak, corrected.heavy_tailed,
    )  # fmt: skip


def ratios(n: int, d: int) -> list[float]:
    peak = (d - 1) / n
    near = [round(peak + x, 4) for x in AROUND_PEAK if 0.05 < peak + x < 0.97] if peak < 1 else []
    return sorted({*FIXED, *near})


def find_peak(S: np.ndarray, n: int, genes: np.ndarray, draws: int) -> dict[str, float]:
    """Ratios of the largest risk: of the theory on a fine grid, and of the Monte Carlo median on a
    grid around n p = d - 1.
    """
    fine = np.arange(0.03, 0.97, 0.002)
    eigen, found = theory.decompose(S), {"hidden rows = other genes": (len(S) - 1) / n}
    for name, corrected in (("equivalent", False), ("finite size", True)):
        totals = [theory.autoencoder_risk(eigen, n=n, mask_ratio=p, genes=genes, finite_size=corrected).total for p in fine]
        found[name] = float(fine[np.argmax(totals)])
    centre = (len(S) - 1) / n
    grid = np.arange(max(0.03, centre - PEAK_WINDOW), min(0.97, centre + PEAK_WINDOW), PEAK_STEP)
    runs = [theory.simulate_autoencoder_risk(S, n=n, mask_ratio=float(p), genes=genes, n_draws=draws) for p in grid]
    found["Monte Carlo, median of means over genes"] = float(grid[np.argmax([r.median for r in runs])])
    found["Monte Carlo, median over draws and genes"] = float(grid[np.argmax([np.median(r.per_gene) for r in runs])])
    return found


def thresholds(rows: list[Row]) -> list[dict[str, float]]:
    """What other thresholds of the two flags would leave, and how far the theory is off there."""
    table = []
    for inflation in (3, 4, 5, 7, 10, 15, 20):
        for spread in (0.1, 0.15, 0.2, 0.3):
            left = [r for r in rows if r.inflation <= inflation and r.leverage_spread <= spread]
            finite = np.abs([r.deviation for r in left])
            table.append(
                {
                    "inflation": inflation,
                    "spread": spread,
                    "left": len(left),
                    "worst": float(finite.max()),
                    "median": float(np.median(finite)),
                }
            )
    return table


def measure(options: argparse.Namespace) -> dict:
    start = time.perf_counter()
    S = theory.programme_covariance(options.features, PROGRAMMES)
    genes = np.arange(0, options.features, options.every)
    settings = [(n, p) for n in options.cells for p in (*ratios(n, options.features), *RANDOM)]
    rows = [compare(S, n, p, genes, options.draws) for n, p in settings]
    peaks = {str(n): find_peak(S, n, genes, options.draws) for n in options.cells if options.features - 1 < 0.97 * n}
    return {
        "label": f"{os.cpu_count()} CPU cores",
        "features": options.features,
        "programmes": PROGRAMMES,
        "genes": int(genes.size),
        "draws": options.draws,
        "seconds": time.perf_counter() - start,
        "rows": [{**asdict(r), "deviation": r.deviation} for r in rows],
        "peaks": peaks,
        "summary": summary(rows, peaks),
        "thresholds": thresholds(rows),
    }


def summary(rows: list[Row], peaks: dict[str, dict[str, float]]) -> dict:
    left = np.array([abs(r.deviation) for r in rows if not r.flagged])
    plain = np.array([abs(r.equivalent / r.median - 1) for r in rows if not r.flagged])
    shifts = [
        abs(p[a] - p[b])
        for p in peaks.values()
        for a in p
        if a in ("equivalent", "finite size")
        for b in p
        if b.startswith("Monte")
    ]
    return {
        "settings": len(rows),
        "near_peak": sum(r.near_peak for r in rows),
        "heavy_tailed": sum(r.heavy_tailed for r in rows),
        "unflagged": int(left.size),
        "worst": float(left.max()),
        "median": float(np.median(left)),
        "equivalent_worst": float(plain.max()),
        "equivalent_median": float(np.median(plain)),
        "within": int((left <= LARGEST_DEVIATION).sum()),
        "largest_peak_shift": max(shifts, default=0.0),
        "bars_met": bool(left.max() <= LARGEST_DEVIATION and max(shifts, default=0.0) <= LARGEST_SHIFT),
    }


def report(result: dict) -> str:
    s = result["summary"]
    lines = [
        f"Masked linear autoencoder, {result['features']} genes in {result['programmes']} programmes, {result['genes']} of them predicted; "
        f"{result['draws']} draws; {result['label']}, {result['seconds']:.0f} s",
        "risk in units of a gene's variance; +- is one standard error of the median",
        f"{'cells':>5} {'ratio':>14} {'equivalent':>10} {'finite':>8} {'median':>8} {'+-':>7} {'mean':>8} {'off':>7} {'inflation':>9} {'spread':>6}  flags",
    ]
    for r in result["rows"]:
        flags = " ".join(name for name in ("near_peak", "heavy_tailed") if r[name])
        ratio = f"U{tuple(r['mask_ratio'])}" if isinstance(r["mask_ratio"], list | tuple) else f"{r['mask_ratio']:.4g}"
        lines.append(
            f"{r['n']:5d} {ratio:>14} {r['equivalent']:10.4f} {r['finite_size']:8.4f} {r['median']:8.4f} {r['median_error']:7.4f} "
            f"{r['mean']:8.4f} {r['deviation']:+7.1%} {r['inflation']:9.1f} {r['leverage_spread']:6.3f}  {flags}".rstrip()
        )
    lines += [
        f"unflagged: {s['unflagged']} of {s['settings']} settings ({s['near_peak']} near_peak, {s['heavy_tailed']} heavy_tailed)",
        f"finite size: worst {s['worst']:.1%}, median {s['median']:.1%}, {s['within']} within {LARGEST_DEVIATION:.0%}; "
        f"deterministic equivalent: worst {s['equivalent_worst']:.1%}, median {s['equivalent_median']:.1%}",
        *(f"peak at {n} cells: " + "; ".join(f"{k} {v:.3f}" for k, v in p.items()) for n, p in result["peaks"].items()),
        f"largest distance of theory's peak from Monte Carlo's: {s['largest_peak_shift']:.3f} (bar: {LARGEST_SHIFT})",
        f"bars {'met' if s['bars_met'] else 'missed'}",
        "other thresholds: inflation, spread: settings left, worst and median deviation",
        *(
            f"  {t['inflation']:>3} {t['spread']:.2f}: {t['left']:3d} {t['worst']:7.1%} {t['median']:6.1%}"
            for t in result["thresholds"]
        ),
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--features", type=int, default=160)
    parser.add_argument("--cells", type=int, nargs="+", default=[200, 600])
    parser.add_argument("--draws", type=int, default=100)
    parser.add_argument("--every", type=int, default=4, help="predict every so-manieth gene")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    result = measure(options)
    print(report(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["summary"]["bars_met"] else 1


if __name__ == "__main__":
    sys.exit(main())
