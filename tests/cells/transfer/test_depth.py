"""References thinned to the depth of a query."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from r2mae_bio.cells.transfer._depth import ThinnedCells, as_deep_as, cell_depths, kept_shares
from r2mae_bio.cells.transfer._label_transfer import LabelTransfer
from r2mae_bio.io import GeneVocabulary, align_genes, open_cells

N_GENES = 40


def source(counts):
    names = tuple(f"G{i}" for i in range(counts.shape[1]))
    adata = ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)), var=pd.DataFrame(index=names))
    return open_cells(adata, alignment=align_genes(GeneVocabulary(names, {}, np.ones(len(names))), names))


@pytest.fixture
def cells():
    return np.random.default_rng(0).poisson(20, (300, N_GENES))


def dense(thinned):
    return thinned.rows(np.arange(thinned.n_cells)).to_dense()


# ---------------------------------------------------------------- how much is kept


def test_depths_are_sums_over_the_genes_offered(cells):
    cells[7] = 0
    np.testing.assert_array_equal(cell_depths(source(cells)), cells.sum(1))


depths = st.lists(st.integers(1, 10_000), min_size=1, max_size=40).map(lambda values: np.array(values, np.float64))


@given(depths, depths)
def test_no_cell_gains_counts_and_ranks_are_kept(reference, query):
    shares = kept_shares(reference, query)
    assert shares.shape == reference.shape
    assert np.all((shares > 0) & (shares <= 1))
    order = np.argsort(reference, kind="stable")
    assert np.all(np.diff((shares * reference)[order]) >= -1e-9)


def test_depths_become_those_of_the_query(cells):
    rng = np.random.default_rng(1)
    reference, query = rng.lognormal(8, 0.5, 5000), rng.lognormal(5, 1, 3000)
    found = kept_shares(reference, query) * reference
    np.testing.assert_allclose(np.quantile(found, [0.1, 0.5, 0.9]), np.quantile(query, [0.1, 0.5, 0.9]), rtol=0.03)
    np.testing.assert_array_equal(kept_shares(query[:9], reference), 1)
    np.testing.assert_array_equal(kept_shares(reference, np.zeros(0)), 1)


def test_a_reference_that_is_no_deeper_is_left_as_it_is(cells):
    known = source(cells)
    n = cell_depths(known)
    assert as_deep_as(n * 0.95, known, n, 0) == [known]
    assert as_deep_as(n * 3, known, n, 0) == [known]
    assert len(as_deep_as(n * 0.5, known, n, 0)) == 3


# ---------------------------------------------------------------- draws


def test_draws_are_binomial(cells):
    shares = np.linspace(0.05, 0.95, len(cells))
    draws = np.stack([dense(ThinnedCells(source(cells), shares, seed)) for seed in range(60)])
    expected, variance = cells * shares[:, None], cells * (shares * (1 - shares))[:, None]
    error = (draws.mean(0) - expected) / np.sqrt(np.maximum(variance, 1e-9) / len(draws))
    assert np.abs(error[cells > 0].mean()) < 0.05
    assert error[cells > 0].std() == pytest.approx(1, abs=0.05)
    assert draws.var(0)[cells > 0].mean() == pytest.approx(variance[cells > 0].mean(), rel=0.05)
    assert np.all(draws <= cells)


def test_a_cell_is_drawn_alike_in_any_company(cells):
    thinned = ThinnedCells(source(cells), np.full(len(cells), 0.3), 5)
    every = dense(thinned)
    some = np.array([200, 3, 3, 77])
    rows = thinned.rows(some)
    np.testing.assert_array_equal(rows.to_dense(), every[some])
    assert np.all(rows.values > 0)
    assert not np.array_equal(every, dense(ThinnedCells(source(cells), np.full(len(cells), 0.3), 6)))


def test_cells_that_keep_all_are_bit_equal_and_fractions_keep_their_mean(cells):
    np.testing.assert_array_equal(dense(ThinnedCells(source(cells), np.ones(300), 0)), cells)
    fractions = np.full((2000, N_GENES), 2.25)
    found = dense(ThinnedCells(source(fractions), np.full(2000, 0.4), 0))
    assert np.all(found == np.round(found))
    assert found.mean() == pytest.approx(2.25 * 0.4, rel=0.01)


# ---------------------------------------------------------------- learning from several draws


def blobs(n, seed):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 3, n)
    return np.random.default_rng(5).normal(0, 1, (3, 6))[kind] + rng.normal(0, 1, (n, 6)), kind.astype(str)


def test_draws_of_a_cell_are_held_out_together():
    x, y = blobs(90, 0)
    # noise labels that a copy would give away: with copies in other folds, accuracy would be near 1
    labels = np.random.default_rng(3).integers(0, 2, 90).astype(str)
    high = np.random.default_rng(4).normal(0, 1, (90, 80))
    assert LabelTransfer.fit(np.stack([high] * 3), labels).accuracy < 0.7
    one, three = LabelTransfer.fit(x, y), LabelTransfer.fit(np.stack([x] * 3), y)
    np.testing.assert_array_equal(one.classes, three.classes)
    assert three.accuracy == pytest.approx(one.accuracy, abs=0.03)


def test_cells_without_counts_get_the_shares_of_the_classes():
    x, y = blobs(300, 0)
    fitted = LabelTransfer.fit(x, y)
    empty = np.arange(20) < 4
    found, plain = fitted.predict(x[:20], empty=empty), fitted.predict(x[:20])
    np.testing.assert_allclose(found.probabilities[:4], np.tile(np.unique(y, return_counts=True)[1] / 300, (4, 1)), rtol=1e-6)
    assert np.isnan(found.unknown[:4]).all()
    np.testing.assert_array_equal(found.probabilities[4:], plain.probabilities[4:])
    np.testing.assert_array_equal(found.unknown[4:], plain.unknown[4:])
