"""Compare the measured order of the settings with the predicted one."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from benchmarks.networks.masks import SETTINGS
from benchmarks.networks.predict import VARIANTS

GROUP = ["learner", "data", "width", "n"]
NAMES = list(SETTINGS)
FIXED = [name for name in NAMES if not name.startswith("U")]
CLOSE = 0.01
"""Settings within this share of the best are named beside it."""


def compare(runs: list[dict[str, Any]], theory: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One record for each learner, data, width, n and measure.

    Measures are the errors ``full`` and ``panel``, the same of early-stopped networks
    (``*_early``), and for embeddings the wrongly labelled share (``wrong_full``, ``wrong_panel``).
    Lower is better in all of them.
    """
    frame, predicted = pd.DataFrame(runs), pd.DataFrame(theory)
    for condition in ("full", "panel"):
        if f"accuracy_{condition}" in frame:
            frame[f"wrong_{condition}"] = 1 - frame[f"accuracy_{condition}"]
    records = []
    for key, group in frame.groupby(GROUP, sort=False):
        same = predicted[(predicted["data"] == key[1]) & (predicted["n"] == key[3])]
        for measure in ("full", "panel", "full_early", "panel_early", "wrong_full", "wrong_panel"):
            measured = _by_seed(group, measure)
            if len(measured):
                condition = "panel" if "panel" in measure else "full"
                agreement = {v: _agreement(measured, _by_seed(same[same["variant"] == v], condition)) for v in VARIANTS}
                records.append(
                    {**dict(zip(GROUP, key, strict=True)), "measure": measure, **_measured(measured), "theory": agreement}
                )
    return records


def _by_seed(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Seeds by settings; only seeds of which every setting was run."""
    if column not in frame:
        return pd.DataFrame()
    return frame.pivot(index="seed", columns="setting", values=column).reindex(columns=NAMES).dropna()


def _measured(measured: pd.DataFrame) -> dict[str, Any]:
    """Means, and standard errors of the difference to the mean over settings: what seeds share does
    not blur the order.
    """
    mean, best = measured.mean(), measured.mean().idxmin()
    paired = measured.sub(measured.mean(axis=1), axis=0)
    error = paired.std() / np.sqrt(len(measured)) if len(measured) > 1 else mean * 0
    return {
        "seeds": len(measured),
        "mean": mean.to_dict(),
        "paired_error": error.to_dict(),
        "best": best,
        "close": [s for s in NAMES if s != best and mean[s] <= mean[best] * (1 + CLOSE)],
        "order": mean.sort_values(kind="stable").index.tolist(),
    }


def _agreement(measured: pd.DataFrame, predicted: pd.DataFrame) -> dict[str, Any]:
    """Rank correlation over the settings, seed by seed, and what following the prediction costs.

    At the interpolation peak the finite-size correction can leave its range and return an error
    below 0; such a setting counts as the worst.
    """
    predicted = predicted.where(predicted > 0, np.inf).loc[measured.index]
    rho = _rank_correlations(measured.to_numpy(), predicted.to_numpy())
    fixed = _rank_correlations(measured[FIXED].to_numpy(), predicted[FIXED].to_numpy())
    mean, expected = measured.mean(), predicted.mean()
    best = expected.idxmin()
    return {
        "rank_correlation": float(np.mean(rho)),
        "rank_correlation_sd": float(np.std(rho, ddof=1)) if len(rho) > 1 else 0.0,
        "rank_correlation_fixed": float(np.mean(fixed)),
        "best": best,
        "order": expected.sort_values(kind="stable").index.tolist(),
        "cost": float(mean[best] / mean.min() - 1),
        "mean": {s: float(e) if np.isfinite(e) else None for s, e in expected.items()},
    }


def _rank_correlations(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Spearman's correlation of each row."""
    x, y = (ranks - ranks.mean(1, keepdims=True) for ranks in (rankdata(a, axis=1), rankdata(b, axis=1)))
    return ((x * y).sum(1) / np.sqrt((x * x).sum(1) * (y * y).sum(1))).tolist()


def strength(setting: str) -> float:
    """Mean ratio of a setting: how much it hides."""
    ratios, weights = SETTINGS[setting].quadrature()
    return float(ratios @ weights)


def movements(records: list[dict[str, Any]], along: str) -> list[dict[str, Any]]:
    """How the best fixed ratio changes from the smaller to the larger width or n, all else equal,
    and what staying at the old one costs.
    """
    frame = pd.DataFrame([r for r in records if r["measure"] in ("full", "panel")])
    others = [c for c in [*GROUP, "measure"] if c != along]
    moves = []
    for key, group in frame.groupby(others, sort=False):
        ordered = group.sort_values(along).to_dict("records")
        for small, large in pairwise(ordered):
            start, end = _best_fixed(small["mean"]), _best_fixed(large["mean"])
            ends = {"from": start, "to": end, "staying": large["mean"][start] / large["mean"][end] - 1}
            variants = {v: [_best_fixed(r["theory"][v]["mean"]) for r in (small, large)] for v in VARIANTS}
            moves.append({**dict(zip(others, key, strict=True)), along: [small[along], large[along]], **ends, "theory": variants})
    return moves


def _best_fixed(mean: dict[str, float | None]) -> str:
    fixed = {s: mean[s] for s in FIXED if mean[s] is not None}
    return min(fixed, key=lambda s: fixed[s])


def random_cost(mean: dict[str, float | None], setting: str = "U(0,1)") -> float | None:
    """Error at a random ratio relative to that at the best fixed one, less 1; below 0 the random
    ratio is better.
    """
    random, fixed = mean[setting], mean[_best_fixed(mean)]
    return None if random is None or fixed is None else random / fixed - 1


def direction(start: str, end: str, staying: float = 1.0) -> str:
    """``up``, ``down``, ``same``, or ``flat``: changed, but staying costs less than 1%."""
    change = strength(end) - strength(start)
    if abs(change) < 1e-9:
        return "same"
    return "flat" if staying < CLOSE else "up" if change > 0 else "down"
