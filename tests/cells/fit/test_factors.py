"""Batches, meters, statistics and factors, each against an independent computation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from sklearn.decomposition import FactorAnalysis

from r2mae_bio.cells.fit._batch import collate, epoch_batches
from r2mae_bio.cells.fit._factors import factor_analysis, sparse_expression
from r2mae_bio.cells.fit._loader import CellTable
from r2mae_bio.cells.fit._statistics import scan_cells
from r2mae_bio.cells.network._content import GeneContent
from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.core._objective import Score
from r2mae_bio.io import CSRRows


class Source:
    def __init__(self, matrix):
        self.matrix, self.n_cells = sparse.csr_matrix(matrix, dtype=np.float32), matrix.shape[0]
        self.measured = np.ones(matrix.shape[1], bool)

    def rows(self, index):
        r = self.matrix[index]
        return CSRRows(r.indptr.astype(np.int64), r.indices.astype(np.int64), r.data, r.shape[1])


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(1, 1, (700, 1)) * rng.gamma(1, 2, 25)) + (np.arange(25) == 3)


@pytest.fixture
def table(counts):
    return CellTable(Source(counts), np.zeros((len(counts), 0), np.float32))


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 5), st.integers(1, 4))
def test_an_epoch_is_a_partition_whatever_the_ranks(n_cells, batch_size, epoch, world_size):
    where = {"seed": 3, "epoch": epoch}
    whole = list(epoch_batches(n_cells, batch_size, **where))
    assert sorted(np.concatenate(whole)) == list(range(n_cells))
    assert max(map(len, whole)) <= batch_size
    assert max(map(len, whole)) - min(map(len, whole)) <= 1
    shares = [list(epoch_batches(n_cells, batch_size, rank=r, world_size=world_size, **where)) for r in range(world_size)]
    for batch, parts in zip(whole, zip(*shares, strict=True), strict=True):
        assert sorted(batch) == sorted(np.concatenate(parts))


def test_an_epoch_can_begin_anywhere_and_differs_from_the_next():
    whole, rest = (list(epoch_batches(100, 9, seed=1, epoch=2, start=s)) for s in (0, 4))
    assert all(np.array_equal(a, b) for a, b in zip(whole[4:], rest, strict=True))
    assert not np.array_equal(whole[0], next(epoch_batches(100, 9, seed=1, epoch=3)))
    assert not np.array_equal(whole[0], next(epoch_batches(100, 9, seed=2, epoch=2)))


def test_a_batch_holds_its_cells(table, counts):
    index = np.array([5, 600, 5, 0])
    tokens = table.batch(index).tokens()
    np.testing.assert_array_equal(tokens.values.numpy(), counts[index])
    assert tokens.visible.all()
    empty = collate(
        CSRRows(np.zeros(3, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float32), 25),
        tokens.visible,
        np.zeros((2, 0), np.float32),
    )
    assert not empty.tokens().values.any()


def test_the_meter_weights_by_hidden_slots():
    rng = np.random.default_rng(0)
    meter, seen = RatioMeter(), []
    for _ in range(5):
        ratio, hidden, nats = rng.random(40), rng.integers(1, 90, 40), rng.random(40) * 50
        meter.update(Score(torch.from_numpy(nats), torch.from_numpy(hidden)), torch.from_numpy(ratio))
        seen.append((ratio, hidden, nats))
    ratio, hidden, nats = map(np.concatenate, zip(*seen, strict=True))
    report = meter.report("train")
    assert report["train_loss"] == pytest.approx(nats.sum() / hidden.sum())
    chosen = (ratio >= 0.4) & (ratio < 0.6)
    assert report["train_loss_0.4-0.6"] == pytest.approx(nats[chosen].sum() / hidden[chosen].sum())
    np.testing.assert_array_equal(meter.rows(), np.histogram(ratio, np.linspace(0, 1, 21))[0])
    meter.reset()
    assert sum(meter.rows()) == 0


@pytest.mark.parametrize(("transform", "of"), [("sqrt", np.sqrt), ("log", np.log1p)])
def test_statistics_are_those_of_the_training_cells(table, counts, transform, of):
    cells = np.arange(100, 700)
    found = scan_cells(table, cells, counts=True, transform=transform)
    chosen = counts[cells].astype(float)
    depth = chosen.sum(1)
    np.testing.assert_allclose(found.mean, chosen.mean(0), rtol=1e-5)
    np.testing.assert_allclose(found.variance, chosen.var(0), rtol=1e-4)
    np.testing.assert_allclose(found.network.share, chosen.sum(0) / chosen.sum(), rtol=1e-5)
    content = of(chosen * ((depth.mean() + 10) / (depth + 10))[:, None])
    np.testing.assert_allclose(found.network.mean, content.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found.network.sd, np.maximum(content.std(0), 0.03), rtol=1e-3)
    assert scan_cells(table, cells, counts=True).fingerprint == found.fingerprint
    assert scan_cells(table, cells - 1, counts=True).fingerprint != found.fingerprint
    expression = sparse_expression(table, cells, GeneContent(found.network, transform=transform))
    np.testing.assert_allclose(expression.toarray(), content, rtol=1e-4, atol=1e-6)


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


def test_more_factors_than_cells_or_genes_are_zero():
    matrix = sparse.csr_array(np.random.default_rng(0).poisson(1.0, (6, 9)).astype(float))
    found = factor_analysis(matrix, 12, np.random.default_rng(0))
    assert found.loadings.shape == (9, 12)
    assert np.isfinite(found.loadings).all()
    assert (found.noise > 0).all()
    assert not found.loadings[:, 9:].any()
