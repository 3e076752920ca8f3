"""Factors, against scikit-learn."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from scipy import sparse, stats
from sklearn.decomposition import PCA, FactorAnalysis

from r2mae_bio.cells.fit import _factors
from r2mae_bio.cells.fit._factors import draw_cells, factor_analysis, sparse_expression
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.cells.network._content import GeneContent, GeneStatistics

from .conftest import Source


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


def test_blocks_of_single_precision_agree_with_one_dense_matrix(monkeypatch):
    monkeypatch.setattr(_factors, "_ROWS_AT_ONCE", 64)
    rng = np.random.default_rng(4)
    matrix = sparse.csr_array(np.sqrt(rng.poisson(np.exp(rng.normal(size=(500, 2)) @ rng.normal(size=(2, 30)) * 0.5))))
    covariance, block = _factors._Covariance(matrix.astype(np.float32)), rng.normal(size=(30, 5))
    dense = np.cov(matrix.toarray().T, bias=True)
    np.testing.assert_allclose(covariance(block), dense @ block, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(covariance.variance, dense.diagonal(), rtol=1e-5)
    single, double = (factor_analysis(matrix.astype(t), 2, np.random.default_rng(0)) for t in (np.float32, np.float64))
    np.testing.assert_allclose(single.noise, double.noise, rtol=1e-4)
    np.testing.assert_allclose(single.loadings @ single.loadings.T, double.loadings @ double.loadings.T, atol=1e-4)


def test_cells_to_start_from_are_a_seeded_draw():
    cells = np.arange(50, 1050)
    some = draw_cells(cells, np.random.default_rng(0), 100)
    assert some.size == np.unique(some).size == 100
    assert np.isin(some, cells).all()
    assert (np.diff(some) > 0).all()
    np.testing.assert_array_equal(some, draw_cells(cells, np.random.default_rng(0), 100))
    assert (some != draw_cells(cells, np.random.default_rng(1), 100)).any()
    assert draw_cells(cells, np.random.default_rng(0), 1000) is cells


def test_memory_stays_near_that_of_the_matrix():
    """Whatever is allocated through NumPy: no copy of the matrix, in any precision or order."""
    matrix = sparse.random_array((20000, 200), density=0.5, dtype=np.float32, rng=np.random.default_rng(0)).tocsr()
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    tracemalloc.start()
    try:
        factor_analysis(matrix, 4, np.random.default_rng(0), max_iterations=3)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.6 * size


def test_expression_is_gathered_without_a_copy():
    matrix = sparse.random_array((20000, 200), density=0.5, dtype=np.float32, rng=np.random.default_rng(0)).tocsr()
    size = matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes
    table = CellTable(Source(matrix), np.zeros((20000, 0), np.float32))
    ones = torch.ones(200)
    content = GeneContent(GeneStatistics(ones / 200, 0 * ones, ones, 50.0))
    tracemalloc.start()
    try:
        found = sparse_expression(table, np.arange(20000), content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found.data.dtype == np.float32
    assert found.indices.dtype == np.int32
    assert peak < 1.4 * size


def test_a_gene_that_these_cells_lack_has_the_noise_of_all_cells():
    rng = np.random.default_rng(5)
    matrix = rng.poisson(1.0, (200, 8)).astype(float)
    matrix[:, 3] = 0
    variance = matrix.var(0)
    variance[3] = 0.2
    found = factor_analysis(sparse.csr_array(matrix), 2, np.random.default_rng(0), variance=variance)
    assert found.noise[3] == pytest.approx(0.2)
    own = factor_analysis(sparse.csr_array(matrix), 2, np.random.default_rng(0))
    others = np.arange(8) != 3
    np.testing.assert_allclose(found.noise[others], own.noise[others])


def correlated(n_cells=2000):
    rng = np.random.default_rng(1)
    loadings, noise = rng.normal(size=(30, 3)), rng.uniform(0.3, 2, 30)
    return rng.normal(size=(n_cells, 3)) @ loadings.T + rng.normal(size=(n_cells, 30)) * np.sqrt(noise) + 2


def test_wholly_pooled_noise_is_that_of_probabilistic_components():
    matrix = correlated()
    ours = factor_analysis(
        sparse.csr_array(matrix), 3, np.random.default_rng(0), pooling=1, least_noise=1e-3, max_iterations=200, tolerance=1e-9
    )
    theirs, degrees = PCA(3, svd_solver="full").fit(matrix), (len(matrix) - 1) / len(matrix)
    np.testing.assert_allclose(ours.noise, theirs.noise_variance_ * degrees, rtol=1e-5)
    strength = theirs.explained_variance_ - theirs.noise_variance_
    covariance = (theirs.components_.T * strength) @ theirs.components_ * degrees
    np.testing.assert_allclose(ours.loadings @ ours.loadings.T, covariance, atol=1e-4 * np.abs(covariance).max())


def test_pooled_noise_lies_between_its_own_and_the_mean():
    matrix = sparse.csr_array(correlated())
    none, some, whole = (factor_analysis(matrix, 3, np.random.default_rng(0), pooling=p).noise for p in (0, 0.4, 1))
    spread = [np.log(noise).std() for noise in (none, some, whole)]
    assert spread[2] < 1e-12 < spread[1] < spread[0]
    np.testing.assert_array_equal(none, factor_analysis(matrix, 3, np.random.default_rng(0)).noise)
    own = np.maximum(
        matrix.toarray().var(0) - (factor_analysis(matrix, 3, np.random.default_rng(0), pooling=0.4).loadings ** 2).sum(1), 0
    )
    own = np.maximum(own, 0.3 * matrix.toarray().var(0))
    np.testing.assert_allclose(some, own**0.6 * own.mean() ** 0.4, rtol=1e-3)
