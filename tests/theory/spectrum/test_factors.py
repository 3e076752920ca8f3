"""Few factors and a diagonal from cells."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from r2mae_bio import theory
from r2mae_bio.errors import DataError


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    L = np.random.default_rng(0).uniform(-0.5, 0.5, (150, 3))
    S = L @ L.T
    np.fill_diagonal(S, 1.0)
    return S


@pytest.fixture(scope="module")
def cells(truth: np.ndarray) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((300, 150)) @ np.linalg.cholesky(truth).T + 2


def test_factors_above_the_noise_are_found(truth: np.ndarray, cells: np.ndarray) -> None:
    found = theory.factor_correlation(cells)
    S = found.loadings @ found.loadings.T + np.diag(found.unique)
    assert 3 <= found.loadings.shape[1] <= 6  # noise of unequal variance passes for a weak factor or two
    np.testing.assert_allclose(np.diag(S), 1)
    sample = np.corrcoef(cells.T)
    assert np.linalg.norm(S - truth) < 0.75 * np.linalg.norm(sample - truth)
    top = np.linalg.eigvalsh(S)[-3:]
    assert np.abs(top / np.linalg.eigvalsh(truth)[-3:] - 1).max() < 0.15


def test_sparse_and_dense_agree(cells: np.ndarray) -> None:
    a, b = (theory.factor_correlation(x, seed=3) for x in (cells, sparse.csr_array(cells)))
    np.testing.assert_allclose(a.loadings @ a.loadings.T, b.loadings @ b.loadings.T, atol=1e-8)


def test_risk_of_factors_is_near_the_true_one(truth: np.ndarray, cells: np.ndarray) -> None:
    for ratio in (0.3, 0.8):
        settings = {"n": 300, "mask_ratio": ratio, "test": 0.9}
        a, b = (theory.fresh_mask_risk(x, **settings).error for x in (theory.factor_correlation(cells), truth))
        assert a == pytest.approx(b, rel=0.05)


def test_noise_has_no_factors() -> None:
    found = theory.factor_correlation(np.random.default_rng(0).standard_normal((100, 80)))
    assert found.loadings.shape[1] <= 1
    assert found.unique.min() > 0.5
    with pytest.raises(DataError, match="No gene varies"):
        theory.factor_correlation(np.ones((10, 4)))
