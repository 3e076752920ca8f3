"""The linear theory and its simulation against a file of reference cases.

python -m benchmarks.theory_reference REFERENCE.json [--draws 150] [--json PATH]

The file holds ``cases``: covariance, n, rescale, mask_ratio (a list of one ratio, or "uniform grid
0.1..0.9, 17 points"), and for each ``risk``, ``bias``, ``variance`` of the deterministic
equivalent, ``mc_mean`` and ``mc_se`` of an independent simulation. All have 120 features,
``b_i = cos(i) / sqrt(120)``, noise variance 0.1 and unmasked test input. The exit status is 1 if a
bar is missed.
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
from r2mae_bio.masking import Choice

D = 120
NOISE = 0.1
COEFFICIENTS = np.cos(np.arange(D)) / np.sqrt(D)
COVARIANCES = {
    "identity": theory.isotropic_covariance(D),
    "ar1_0.6": theory.ar1_covariance(D, 0.6),
    "equicorrelated_0.3": theory.equicorrelated_covariance(D, 0.3),
    "diagonal_power_law_1": theory.power_law_covariance(D, 1.0),
}
LAWS = {"uniform grid 0.1..0.9, 17 points": Choice(tuple(np.linspace(0.1, 0.9, 17)))}
LARGEST_DIFFERENCE = 1e-4
LARGEST_Z = 4.0


@dataclass(frozen=True)
class Row:
    covariance: str
    n: int
    rescale: bool
    mask_ratio: str
    difference: float
    """Largest absolute difference of risk, bias and variance."""
    risk: float
    finite_size: float | None
    """None where variances are unequal."""
    mean: float
    standard_error: float
    reference_mean: float
    reference_error: float

    @property
    def z(self) -> float:
        return (self.mean - self.reference_mean) / float(np.hypot(self.standard_error, self.reference_error))

    @property
    def pooled_mean(self) -> float:
        """Both simulations, weighted by their precision."""
        a, b = self.standard_error**-2, self.reference_error**-2
        return (a * self.mean + b * self.reference_mean) / (a + b)


def compare(case: dict, draws: int) -> Row:
    S, ratio = COVARIANCES[case["covariance"]], case["mask_ratio"]
    law = float(ratio[0]) if isinstance(ratio, list) else LAWS[ratio]
    settings = {"n": case["n"], "noise_variance": NOISE, "mask_ratio": law, "rescale": case["rescale"]}
    risk = theory.regression_risk(S, COEFFICIENTS, **settings)
    differences = risk.total - case["risk"], risk.bias - case["bias"], risk.variance - case["variance"]
    corrected = theory.regression_risk(S, COEFFICIENTS, **settings, finite_size=True).total if np.ptp(np.diag(S)) < 1e-9 else None
    runs = theory.simulate_risk(S, COEFFICIENTS, **settings, n_draws=draws, seed=1)
    name = f"{law:g}" if isinstance(law, float) else "grid .1 .. .9"
    return Row(
        case["covariance"], case["n"], case["rescale"], name, float(np.abs(differences).max()), risk.total, corrected,
        runs.mean, runs.standard_error, case["mc_mean"], case["mc_se"],
    )  # fmt: skip


def summary(rows: list[Row]) -> dict:
    z = np.abs([r.z for r in rows])
    equal = [r for r in rows if r.finite_size is not None]
    plain = np.abs([r.risk / r.pooled_mean - 1 for r in equal])
    corrected = np.abs([r.finite_size / r.pooled_mean - 1 for r in equal])
    worst = max(r.difference for r in rows)
    return {
        "cases": len(rows),
        "worst_difference": worst,
        "largest_z": float(z.max()),
        "above_3": int((z > 3).sum()),
        "above_4": int((z > LARGEST_Z).sum()),
        "z_root_mean_square": float(np.sqrt((z**2).mean())),
        "equal_variance_cases": len(equal),
        "deviation": {
            name: {"median": float(np.median(x)), "mean": float(x.mean()), "worst": float(x.max()), "above_5_percent": int((x > 0.05).sum())}
            for name, x in (("equivalent", plain), ("finite_size", corrected))
        },
        "closer_with_finite_size": int((corrected < plain).sum()),
        "bars_met": bool(worst <= LARGEST_DIFFERENCE and z.max() <= LARGEST_Z),
    }  # fmt: skip


def report(result: dict) -> str:
    s = result["summary"]
    lines = [
        f"{s['cases']} reference cases, {result['draws']} draws each; {result['label']}, {result['seconds']:.0f} s",
        "off: theory against both simulations pooled; z: own simulation against the reference's, in combined standard errors",
        f"{'covariance':>20} {'n':>4} {'rescale':>7} {'ratio':>13} {'risk':>8} {'finite':>8} {'own mean':>9} {'+-':>7} {'ref. mean':>9} {'+-':>7} {'z':>5} {'off':>6} {'finite':>6}",
    ]
    for r in (Row(**row) for row in result["rows"]):
        finite = ("-", "-") if r.finite_size is None else (f"{r.finite_size:.4f}", f"{r.finite_size / r.pooled_mean - 1:+.1%}")
        lines.append(
            f"{r.covariance:>20} {r.n:4d} {r.rescale!s:>7} {r.mask_ratio:>13} {r.risk:8.4f} {finite[0]:>8} {r.mean:9.4f} {r.standard_error:7.4f} "
            f"{r.reference_mean:9.4f} {r.reference_error:7.4f} {r.z:+5.1f} {r.risk / r.pooled_mean - 1:+6.1%} {finite[1]:>6}"
        )
    lines += [
        f"worst difference of risk, bias or variance: {s['worst_difference']:.1e} (bar: {LARGEST_DIFFERENCE})",
        f"own simulation: largest |z| {s['largest_z']:.1f} (bar: {LARGEST_Z:g}), {s['above_3']} above 3, {s['above_4']} above 4, root mean square {s['z_root_mean_square']:.2f}",
        f"theory against the pooled mean, {s['equal_variance_cases']} cases of equal variance:",
    ]
    for name, x in s["deviation"].items():
        lines.append(
            f"  {name.replace('_', ' '):12} median {x['median']:.1%}, mean {x['mean']:.1%}, worst {x['worst']:.1%}, {x['above_5_percent']} above 5%"
        )
    lines.append(f"  finite size is closer in {s['closer_with_finite_size']} of {s['equal_variance_cases']}")
    return "\n".join([*lines, f"bars {'met' if s['bars_met'] else 'missed'}"])


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reference", type=Path)
    parser.add_argument("--draws", type=int, default=150)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    start = time.perf_counter()
    cases = json.loads(options.reference.read_text())["cases"]
    rows = [compare(case, options.draws) for case in cases]
    result = {
        "label": f"{os.cpu_count()} CPU cores",
        "draws": options.draws,
        "seconds": time.perf_counter() - start,
        "rows": [asdict(r) for r in rows],
        "summary": summary(rows),
    }
    print(report(result))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return 0 if result["summary"]["bars_met"] else 1


if __name__ == "__main__":
    sys.exit(main())
