"""A comparison of quick methods on the toy cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from r2mae_bio.evaluate import (
    FactorAnalysis,
    MajorityClass,
    Noise,
    PCAZeroFill,
    compare,
)

METHODS = (FactorAnalysis(4), PCAZeroFill(4), MajorityClass(), Noise(4))


FAST = ("panels", "depth", "denoising")


OPTIONS = {"labels_key": "type", "methods": METHODS, "panels": (1.0, 0.2), "n_variable": 12, "seeds": (0, 1)}


@pytest.fixture(scope="module")
def adata(counts, labels):
    obs = pd.DataFrame({"type": labels}, index=[f"c{i}" for i in range(len(labels))])
    obs["donor"] = np.array(["d1", "d2", "d3"])[np.arange(len(labels)) % 3]
    return AnnData(counts.copy(), obs=obs)


@pytest.fixture(scope="module")
def result(adata):
    return compare(adata, tasks=FAST, **OPTIONS)


@pytest.fixture(scope="module")
def integrated():
    """Two methods, two metrics of each kind: what integration would return."""
    rows = [
        (method, seed, kind, metric, 0.4 + 0.1 * seed + 0.2 * (method == "R2MAE"))
        for method in ("R2MAE", "noise")
        for seed in (0, 1)
        for kind, metric in [("bio conservation", "nmi"), ("batch mixing", "bras"), ("batch mixing", "ilisi")]
    ]
    return pd.DataFrame(rows, columns=["method", "seed", "kind", "metric", "value"])
