"""Factors, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats
from sklearn.decomposition import FactorAnalysis

from r2mae_bio.cells.fit._factors import factor_analysis


def test_no_gene_is_without_noise():
    rng = np.random.default_rng(2)
    matrix = sparse.csr_array(rng.normal(size=(40, 30)))
    greedy = factor_analysis(matrix, 10, np.random.default_rng(0), least_noise=1e-3, max_iterations=500)
    held = factor_analysis(matrix, 10, np.random.default_rng(0))
    variance = matrix.toarray().var(0)
    assert (greedy.noise / variance).min() < 0.05  # 40 cells, 10 factors: a Heywood case
    assert (held.noise / variance).min() >= 0.3 - 1e-9


def test_factor_analysis_agrees_with_scikit_learn():
    rng = np.random.default_rng(1)
    loadings, noise = rng.normal(size=(30, 3)), rng.uniform(0.3, 2, 30)
    matrix = rng.normal(size=(3000, 3)) @ loadings.T + rng.normal(size=(3000, 30)) * np.sqrt(noise) + 2
    ours = factor_analysis(
        sparse.csr_array(matrix), 3, np.random.default_rng(0), least_noise=1e-3, max_iterations=500, tolerance=1e-9
    )
    theirs = FactorAnalysis(3, tol=1e-9, max_iter=2000, svd_method="lapack").fit(matrix)
    np.testing.assert_allclose(ours.noise, theirs.noise_variance_, rtol=2e-3)
    product = theirs.components_.T @ theirs.components_
    np.testing.assert_allclose(ours.loadings @ ours.loadings.T, product, atol=5e-3 * np.abs(product).max())
    lengths = np.linalg.norm(ours.loadings, axis=0)
    assert (np.diff(lengths) <= 0).all()


def test_cells_are_as_likely_as_under_scikit_learns_factors():
    """Of counts, which no factor model made; with genes in unequal units and a mean."""
    rng = np.random.default_rng(3)
    rates = np.exp(rng.normal(size=(400, 2)) @ rng.normal(size=(2, 25)) * 0.4) * rng.uniform(1, 20, 25)
    matrix = np.sqrt(rng.poisson(rates).astype(float))
    ours = factor_analysis(
        sparse.csr_array(matrix), 2, np.random.default_rng(0), least_noise=1e-3, max_iterations=500, tolerance=1e-9
    )
    theirs = FactorAnalysis(2, tol=1e-9, max_iter=5000, svd_method="lapack").fit(matrix)
    law = stats.multivariate_normal(matrix.mean(0), ours.loadings @ ours.loadings.T + np.diag(ours.noise))
    assert law.logpdf(matrix).mean() == pytest.approx(theirs.score(matrix), abs=1e-4)


def test_more_factors_than_cells_or_genes_are_zero():
    matrix = sparse.csr_array(np.random.default_rng(0).poisson(1.0, (6, 9)).astype(float))
    found = factor_analysis(matrix, 12, np.random.default_rng(0))
    assert found.loadings.shape == (9, 12)
    assert np.isfinite(found.loadings).all()
    assert (found.noise > 0).all()
    assert not found.loadings[:, 9:].any()
