"""Normalised counts, against scanpy."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse

from r2mae_bio import theory

from .toy_counts import COUNTS

EXPRESSED = np.setdiff1d(np.arange(60), [4, 9, 17])


def scanpy_log1p(n_top_genes):
    adata = ad.AnnData(COUNTS.astype(float))
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata = adata[:, EXPRESSED].copy()
    sc.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, flavor="seurat")
    return adata.X, EXPRESSED[adata.var["highly_variable"].to_numpy()]


@pytest.mark.parametrize("n_top_genes", [8, 31])  # no ties there; at 10, of genes alone in their bin, scanpy takes all
def test_log1p_is_scanpys(n_top_genes):
    values, genes = scanpy_log1p(n_top_genes)
    ours = theory.normalize_counts(sparse.csr_matrix(COUNTS), n_top_genes=n_top_genes)
    np.testing.assert_array_equal(ours.genes, genes)
    np.testing.assert_allclose(ours.matrix.toarray(), values[:, np.isin(EXPRESSED, genes)], rtol=1e-12)


@pytest.mark.parametrize("n_top_genes", [10, 31])
def test_pearson_residuals_are_scanpys(n_top_genes):
    counts = COUNTS[:, EXPRESSED]
    adata = ad.AnnData(counts.astype(float))
    sc.experimental.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, flavor="pearson_residuals", check_values=False)
    genes = np.flatnonzero(adata.var["highly_variable"])
    sc.experimental.pp.normalize_pearson_residuals(adata)
    ours = theory.normalize_counts(sparse.csc_matrix(counts), n_top_genes=n_top_genes, normalization="pearson_residuals")
    np.testing.assert_array_equal(ours.genes, genes)
    np.testing.assert_allclose(ours.matrix[np.arange(len(counts))], adata.X[:, genes], atol=1e-10)


@pytest.mark.parametrize("normalization", ["log1p", "pearson_residuals"])
def test_residuals_are_clipped_and_rare_or_constant_genes_left_out(normalization):
    counts = COUNTS.copy()
    counts[5, 12] = 100_000
    normalized = theory.normalize_counts(counts, n_top_genes=1000, normalization=normalization)
    np.testing.assert_array_equal(normalized.genes, EXPRESSED)
    assert normalized.matrix.shape == (150, 57)
    if normalization == "pearson_residuals":
        assert normalized.matrix[np.arange(150)].max() == pytest.approx(np.sqrt(150))


def test_a_gene_of_constant_share_does_not_vary():
    counts = np.full((20, 3), 5)
    counts[:, 1] += np.arange(20) % 3
    counts[:, 2] -= np.arange(20) % 3
    np.testing.assert_array_equal(theory.normalize_counts(counts).genes, [1, 2])


def test_explicit_zeros_are_no_expression():
    stored = sparse.csr_matrix(COUNTS + 1)
    stored.data -= 1
    assert stored.nnz == COUNTS.size
    np.testing.assert_array_equal(theory.normalize_counts(stored).genes, EXPRESSED)
