"""Correlations of genes, shrunken as scikit-learn does, with bootstrap weights."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse
from sklearn.covariance import ledoit_wolf

from r2mae_bio import theory
from r2mae_bio._errors import DataError
from r2mae_bio.theory.spectrum._blocks import BLOCK

from .toy_counts import COUNTS, normal_rows, standardize


@pytest.mark.parametrize("shape", [(80, 20), (20, 80), (3000, 401)], ids=["more cells", "more genes", "several blocks"])
def test_shrinkage_is_scikit_learns(shape):
    X = normal_rows(*shape) * np.linspace(1, 3, shape[1]) + normal_rows(shape[0], 1, 1) + 5.0
    assert (shape[0] * shape[1] > BLOCK) == (shape[0] == 3000)
    expected, rho = ledoit_wolf(standardize(X))
    correlation, intensity = theory.gene_correlation(X)
    assert intensity == pytest.approx(rho, abs=1e-8)
    np.testing.assert_allclose(correlation, expected, atol=1e-8)


def test_correlation_is_numpys_and_sparse_equals_dense():
    X = theory.normalize_counts(COUNTS).matrix
    correlation, intensity = theory.gene_correlation(X, shrinkage=None)
    assert intensity == 0
    np.testing.assert_allclose(correlation, np.corrcoef(X.toarray().T), atol=1e-12)
    np.testing.assert_array_equal(np.diag(correlation), 1)
    for other in (X.toarray(), sparse.csc_matrix(X)):
        np.testing.assert_allclose(theory.gene_correlation(other, shrinkage=None)[0], correlation, atol=1e-12)


def test_a_large_mean_does_not_cancel():
    X = normal_rows(100, 5)
    expected = theory.gene_correlation(X)[0]
    np.testing.assert_allclose(theory.gene_correlation(X + 1e7)[0], expected, atol=1e-8)


@pytest.mark.parametrize("normalization", ["log1p", "pearson_residuals"])
@pytest.mark.parametrize("shrinkage", ["ledoit-wolf", None])
def test_weights_are_repetitions(normalization, shrinkage):
    matrix = theory.normalize_counts(COUNTS, normalization=normalization).matrix
    drawn = np.random.default_rng(3).integers(150, size=150)
    weights = np.bincount(drawn, minlength=150)
    correlation, intensity = theory.gene_correlation(matrix, weights=weights, shrinkage=shrinkage)
    repeated = matrix[drawn] if normalization == "pearson_residuals" else matrix[drawn].toarray()
    expected, rho = theory.gene_correlation(repeated, shrinkage=shrinkage)
    assert intensity == pytest.approx(rho, abs=1e-10)
    np.testing.assert_allclose(correlation, expected, atol=1e-10)


def test_a_gene_that_a_resample_misses_is_uncorrelated():
    X = normal_rows(40, 4)
    X[:, 2] = np.arange(40) < 5
    correlation, intensity = theory.gene_correlation(X, weights=np.arange(40) >= 5)
    np.testing.assert_array_equal(correlation[2], [0, 0, 1, 0])
    others, rho = theory.gene_correlation(X[5:][:, [0, 1, 3]])
    assert intensity == pytest.approx(rho)
    np.testing.assert_allclose(correlation[np.ix_([0, 1, 3], [0, 1, 3])], others, atol=1e-12)


@pytest.mark.parametrize("weights", [np.ones(149), -np.ones(150), np.full(150, np.nan), np.arange(150) == 3])
def test_unusable_weights(weights):
    with pytest.raises(DataError, match=r"weights have shape|of 150 cells count"):
        theory.gene_correlation(COUNTS, weights=weights)


@pytest.mark.parametrize("matrix", [np.ones((5, 3)), np.full((5, 3), np.inf), np.ones(5), np.ones((5, 0))])
def test_unusable_matrices(matrix):
    with pytest.raises(DataError):
        theory.gene_correlation(matrix)
