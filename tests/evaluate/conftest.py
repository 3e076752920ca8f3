"""A small world with three cell types, drawn from a Poisson model."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

N_CELLS, N_GENES = 150, 60


@pytest.fixture(scope="session")
def labels() -> np.ndarray:
    return np.repeat(["B", "NK", "T"], N_CELLS // 3)


@pytest.fixture(scope="session")
def counts(labels) -> sparse.csr_array:
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.6, 2.0, size=(3, N_GENES)) + 0.05
    depth = rng.lognormal(0.0, 0.3, size=(N_CELLS, 1))
    return sparse.csr_array(rng.poisson(depth * rates[np.searchsorted(np.unique(labels), labels)]).astype(np.float32))


@pytest.fixture
def everything() -> np.ndarray:
    return np.ones(N_GENES, dtype=bool)
