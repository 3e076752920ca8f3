"""References thinned to the depth of a query."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from r2mae_bio.cells.transfer._depth import ThinnedCells, as_deep_as, cell_depths, explained, kept_counts, kept_share, no_count
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
def test_depths_are_those_of_the_query(reference, query):
    kept = kept_counts(reference, query, np.random.default_rng(0))
    assert kept.shape == reference.shape
    assert kept.dtype == np.int64
    assert np.isin(kept, query).all()
    if len(reference) == len(query):
        np.testing.assert_array_equal(np.sort(kept), np.sort(query))


def test_deep_cells_stay_the_deeper_ones_as_far_as_chance_lets_them():
    rng = np.random.default_rng(1)
    reference = rng.lognormal(8, 0.5, 4000)
    for thinned_to in (2.0, 30.0, 1500.0):
        query = rng.poisson(reference * thinned_to / reference.mean()).astype(float)
        again = kept_counts(reference, np.maximum(query, 1), rng)
        as_if_sequenced = np.corrcoef(reference, np.maximum(query, 1))[0, 1]
        assert np.corrcoef(reference, again)[0, 1] == pytest.approx(as_if_sequenced, abs=0.03)


def test_depths_have_the_distribution_of_the_query():
    rng = np.random.default_rng(1)
    reference, query = rng.lognormal(8, 0.5, 5000), rng.lognormal(5, 1, 3000)
    levels = [0.1, 0.5, 0.9]
    np.testing.assert_allclose(np.quantile(kept_counts(reference, query, rng), levels), np.quantile(query, levels), rtol=0.03)
    np.testing.assert_array_equal(kept_counts(reference, np.full(3, 0.2), rng), 1)  # fractions of a count


def test_cells_without_counts_are_dealt_as_far_as_depth_explains_them():
    rng = np.random.default_rng(4)
    reference = rng.lognormal(6, 1, 4000)
    query = rng.poisson(reference * 0.005).astype(float)
    found = explained(query, no_count(reference, query))
    assert (found == 0).mean() == pytest.approx((query == 0).mean(), abs=0.02)
    np.testing.assert_array_equal(found[found > 0], query[query > 0])
    kept = kept_counts(reference, found, rng)
    assert (kept == 0).sum() == pytest.approx((found == 0).mean() * 4000, abs=1)
    # of deep cells none would be without a count: such cells were lost in another way
    deep = np.r_[np.zeros(500), reference]
    np.testing.assert_array_equal(explained(deep, no_count(reference, deep)), reference)


def test_the_share_that_is_kept_is_told_by_ranks():
    reference = np.array([10.0, 40.0, 20.0, 30.0])
    assert kept_share(reference, reference[::-1]) == 1
    assert kept_share(reference, np.full(1, 10.0)) == pytest.approx(np.mean([1, 0.25, 0.5, 1 / 3]))
    assert kept_share(reference, np.full(7, 100.0)) == 1
    assert kept_share(reference, np.zeros(0)) == 1


def test_a_reference_becomes_as_deep_as_cells_of_a_few_counts(cells):
    query = np.random.default_rng(2).poisson(3, 300).astype(float)
    query = query[query > 0]
    known = source(cells)
    for draw in as_deep_as(query, known, cell_depths(known), 0):
        found = dense(draw).sum(1)
        np.testing.assert_array_equal(np.unique(found), np.unique(query))
        assert found.var() == pytest.approx(query.var(), rel=0.05)  # binomial draws would have three more


def test_a_reference_that_is_no_deeper_is_left_as_it_is(cells):
    known = source(cells)
    n = cell_depths(known)
    assert as_deep_as(n * 0.95, known, n, 0) == [known]
    assert as_deep_as(n * 3, known, n, 0) == [known]
    assert len(as_deep_as(n * 0.5, known, n, 0)) == 3


# ---------------------------------------------------------------- draws


@pytest.mark.parametrize("most", [10**6, 0], ids=["laid out", "gene by gene"])
def test_draws_are_without_replacement(cells, most, monkeypatch):
    monkeypatch.setattr("r2mae_bio.cells.transfer._depth._LAID_OUT", most)
    total = cells.sum(1)
    kept = np.linspace(1, total.min() - 1, len(cells)).astype(np.int64)
    draws = np.stack([dense(ThinnedCells(source(cells), kept, seed)) for seed in range(60)])
    assert np.all(draws.sum(2) == kept)
    assert np.all(draws <= cells)
    share = (kept / total)[:, None]
    expected = cells * share
    # of the hypergeometric distribution
    variance = cells * share * (1 - share) * ((total[:, None] - cells) / (total - 1)[:, None])
    error = (draws.mean(0) - expected) / np.sqrt(np.maximum(variance, 1e-9) / len(draws))
    assert np.abs(error[cells > 0].mean()) < 0.05
    assert error[cells > 0].std() == pytest.approx(1, abs=0.05)
    assert draws.var(0)[cells > 0].mean() == pytest.approx(variance[cells > 0].mean(), rel=0.05)


def test_a_cell_is_drawn_alike_in_any_company(cells):
    thinned = ThinnedCells(source(cells), np.full(len(cells), 200), 5)
    every = dense(thinned)
    some = np.array([200, 3, 3, 77])
    rows = thinned.rows(some)
    np.testing.assert_array_equal(rows.to_dense(), every[some])
    assert np.all(rows.values > 0)
    assert not np.array_equal(every, dense(ThinnedCells(source(cells), np.full(len(cells), 200), 6)))


def test_cells_that_keep_all_are_bit_equal_and_fractions_keep_their_shares(cells):
    np.testing.assert_array_equal(dense(ThinnedCells(source(cells), cells.sum(1), 0)), cells)
    fractions = np.tile(np.repeat([1.25, 3.75], N_GENES // 2), (2000, 1))
    found = dense(ThinnedCells(source(fractions), np.full(2000, 40), 0))
    assert np.all(found == np.round(found))
    assert np.all(found.sum(1) == 40)
    assert found[:, : N_GENES // 2].sum() / found.sum() == pytest.approx(0.25, rel=0.01)


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


def test_draws_without_a_count_are_not_learned_from():
    x, y = blobs(300, 0)
    draws = np.stack([x, x + 0.1, x - 0.1])
    counted = np.random.default_rng(1).random((3, 300)) > 0.4
    draws[~counted] = 50.0  # would spoil everything
    fitted = LabelTransfer.fit(draws, y, counted=counted)
    assert fitted.accuracy > 0.5
    assert np.abs(fitted._centre).max() < 2
    every = np.tile(y, 3)[counted.ravel()]
    np.testing.assert_allclose(fitted.learned, np.unique(every, return_counts=True)[1] / len(every))
    np.testing.assert_allclose(fitted.prior, np.unique(y, return_counts=True)[1] / 300)


def test_a_class_that_would_lose_its_cells_keeps_them():
    x, y = blobs(300, 0)
    counted = np.tile(y != "2", (3, 1))
    fitted = LabelTransfer.fit(np.stack([x] * 3), y, counted=counted)
    assert fitted.learned[2] == pytest.approx((y == "2").mean())
