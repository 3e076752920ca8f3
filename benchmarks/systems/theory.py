"""The linear theory of an input: its spectrum, the predicted error of every law, and its advice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.networks.data import correlation
from benchmarks.networks.masks import DrawnLaw
from benchmarks.systems.laws import LAWS, RATIOS
from r2mae_bio.theory import autoencoder_risk, decompose, fresh_mask_risk, recommend_mask_ratio

if TYPE_CHECKING:
    from benchmarks.systems.system import Inputs

TESTS: dict[str, float | None] = {"whole": None, **{f"{ratio:.0%}": ratio for ratio in RATIOS}}
"""How test inputs are masked, by the name of the condition."""
_MOST_ROWS = 4000
_SHOWN = 20


def predict(inputs: Inputs, seed: int) -> dict[str, Any]:
    """Plain data: numbers of rows and features, leading eigenvalues, effective rank, the law that
    is recommended, and the errors of all laws, each row masked once and masked anew for ever.

    Scopes make no difference to it, and a law that moves is the mixture of its ratios.
    """
    rows = inputs.rows[np.random.default_rng(seed).permutation(len(inputs.rows))[:_MOST_ROWS]]
    eigen = decompose(correlation(rows))
    advice = recommend_mask_ratio(rows, normalization=None, n_bootstrap=0, n_cells=inputs.n, seed=seed)
    once: dict[str, dict[str, float]] = {}
    fresh: dict[str, dict[str, float]] = {}
    for name, law in LAWS.items():
        drawn = DrawnLaw(law, eigen.n_features)
        once[name] = {
            test: float(autoencoder_risk(eigen, n=inputs.n, mask_ratio=drawn, test=p).prediction_error)
            for test, p in TESTS.items()
        }
        fresh[name] = {
            test: float(fresh_mask_risk(eigen, n=inputs.n, mask_ratio=drawn, test=p).error) for test, p in TESTS.items()
        }
    values = np.sort(eigen.values)[::-1]
    return {
        "n": inputs.n,
        "d": eigen.n_features,
        "rank": float(eigen.effective_rank),
        "spectrum": [round(float(v), 4) for v in values[:_SHOWN]],
        "auto": [float(x) for x in advice.law],
        "predicted": {"one mask": once, "fresh masks": fresh},
    }


def varying(rows: np.ndarray, least: float = 0.05) -> np.ndarray:
    """Columns that vary, by their deviation relative to the largest one."""
    deviation = rows.std(0)
    return np.asarray(rows[:, deviation > least * deviation.max()], np.float64)
