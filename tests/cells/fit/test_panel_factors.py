"""Factor analysis and statistics of cells in which different genes were measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse

from r2mae_bio.cells.fit import _panel_factors
from r2mae_bio.cells.fit._factors import factor_analysis
from r2mae_bio.cells.fit._panel_factors import PanelCells, PanelFactors, fit_by_panel
from r2mae_bio.cells.fit._statistics import scan_cells
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.cells.read._panels import CellPanels

from .conftest import Source

N_GENES, N_FACTORS = 40, 3
EXACT = {"least_noise": 1e-3, "max_iterations": 300, "tolerance": 1e-8}


def make_panels(codes, n_genes=N_GENES):
    """All genes, the first 30, and the last 25."""
    genes = np.arange(n_genes)
    measured = np.stack([genes >= 0, genes < 0.75 * n_genes, genes >= 0.375 * n_genes])
    return CellPanels(np.asarray(codes, np.int64), measured, ("a", "b", "c"))


@pytest.fixture
def world():
    """Cells of a factor model, whose panels saw other cells: factors differ in mean."""
    rng = np.random.default_rng(5)
    loadings, noise, mean = rng.normal(size=(N_GENES, N_FACTORS)), rng.uniform(0.5, 2, N_GENES), rng.uniform(3, 6, N_GENES)
    codes = rng.integers(0, 3, 4000)
    factors = rng.normal(size=(4000, N_FACTORS)) + np.array([[0, 0, 0], [1, 0, 0], [0, -1.0, 0]])[codes]
    factors = (factors - factors.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(factors.T))).T
    full = mean + factors @ loadings.T + rng.normal(size=(4000, N_GENES)) * np.sqrt(noise)
    panels = make_panels(codes)
    return full, panels, np.where(panels.measured[codes], full, 0), loadings, noise, mean


def test_factors_are_those_of_the_cells_measured_in_full(world):
    full, panels, seen, loadings, noise, mean = world
    found = factor_analysis(sparse.csr_array(seen), N_FACTORS, np.random.default_rng(0), panels=panels, **EXACT)
    product = loadings @ loadings.T
    np.testing.assert_allclose(found.loadings @ found.loadings.T, product, atol=0.06 * np.abs(product).max())
    np.testing.assert_allclose(found.noise, noise, rtol=0.2)
    np.testing.assert_allclose(found.mean, mean, atol=0.15)
    naive = np.where(panels.measured[panels.codes], full, np.nan)
    assert np.abs(np.nanmean(naive, 0) - mean).max() > 3 * np.abs(found.mean - mean).max()
    zero = factor_analysis(sparse.csr_array(seen), N_FACTORS, np.random.default_rng(0), **EXACT)
    assert np.abs(zero.loadings @ zero.loadings.T - product).max() > 5 * np.abs(found.loadings @ found.loadings.T - product).max()


def test_cells_do_not_become_less_likely(world):
    _, panels, seen, *_ = world
    cells = PanelCells(sparse.csr_array(seen), panels)
    rng = np.random.default_rng(1)
    found = PanelFactors(rng.normal(size=(N_GENES, 2)) * 0.1, cells.mean, cells.variance)
    likelihoods = [_log_likelihood(seen, panels, found)]
    for _ in range(8):
        found = fit_by_panel(cells, found, pooling=0.0, least=1e-3 * cells.variance, max_iterations=1)
        likelihoods.append(_log_likelihood(seen, panels, found))
    assert (np.diff(likelihoods) > 0).all()


def _log_likelihood(seen, panels, found):
    total = 0.0
    for code, genes in enumerate(panels.measured):
        rows, loadings = seen[panels.codes == code][:, genes] - found.mean[genes], found.loadings[genes]
        covariance = loadings @ loadings.T + np.diag(found.own[genes])
        total -= 0.5 * (np.linalg.slogdet(covariance)[1] * len(rows) + (rows * np.linalg.solve(covariance, rows.T).T).sum())
    return total


def test_one_panel_is_the_usual_analysis(world):
    full, *_ = world
    one = CellPanels(np.zeros(len(full), np.int64), np.ones((1, N_GENES), bool), ("a",))
    plain, panelled = (
        factor_analysis(sparse.csr_array(full), N_FACTORS, np.random.default_rng(0), panels=panels, **EXACT)
        for panels in (None, one)
    )
    np.testing.assert_allclose(panelled.loadings @ panelled.loadings.T, plain.loadings @ plain.loadings.T, atol=1e-2)
    np.testing.assert_allclose(panelled.noise, plain.noise, rtol=1e-2)
    np.testing.assert_allclose(panelled.mean, full.mean(0), atol=1e-6)
    assert plain.mean is None


def test_covariance_is_exact_within_panels_and_cut_in_blocks(world, monkeypatch):
    monkeypatch.setattr(_panel_factors, "_ROWS_AT_ONCE", 100)
    _, panels, seen, *_ = world
    cells = PanelCells(sparse.csr_array(seen.astype(np.float32)), panels)
    found = cells(np.eye(N_GENES))
    np.testing.assert_allclose(found, found.T, atol=1e-4)
    np.testing.assert_allclose(found.diagonal(), cells.variance, rtol=1e-4)
    known = np.where(panels.measured[panels.codes], seen, np.nan)
    first = slice(0, 15)  # genes of panels a and b
    rows = ~np.isnan(known[:, 0])
    np.testing.assert_allclose(found[first, first], np.cov(known[rows, first].T, bias=True), rtol=1e-3, atol=1e-3)
    assert np.linalg.eigvalsh(found).min() > 0


def test_genes_without_a_cell_have_no_factors():
    rng = np.random.default_rng(0)
    panels = CellPanels(np.arange(200) % 2, np.array([[1, 1, 1, 1, 0, 0], [1, 1, 0, 0, 1, 0]], bool), ("a", "b"))
    seen = np.where(panels.measured[panels.codes], rng.poisson(3.0, (200, 6)), 0.0)
    found = factor_analysis(sparse.csr_array(seen), 8, np.random.default_rng(0), panels=panels)
    assert not found.loadings[5].any()
    assert np.isfinite(found.loadings).all()
    assert (found.noise > 0).all()


# ---------------------------------------------------------------- statistics


class PanelSource(Source):
    def __init__(self, matrix, panels):
        super().__init__(np.where(panels.measured[panels.codes], matrix, 0))
        self.panels = panels


def _scan(source, cells=None):
    table = CellTable(source, np.zeros((source.n_cells, 0), np.float32))
    return scan_cells(table, np.arange(source.n_cells) if cells is None else cells, counts=True)


def test_shares_and_depth_are_those_of_whole_cells():
    """Panels of unequal depth: means over the cells that measured a gene would not compare."""
    rng = np.random.default_rng(3)
    share = rng.dirichlet(np.full(N_GENES, 2.0))
    codes = rng.integers(0, 3, 3000)
    depth = np.array([200.0, 1000.0, 50.0])[codes]
    found = _scan(PanelSource(rng.poisson(depth[:, None] * share), make_panels(codes))).network
    np.testing.assert_allclose(found.share.numpy(), share, rtol=0.05)
    assert found.share.dtype == torch.float32
    assert found.mean_depth == pytest.approx(depth.mean(), rel=0.02)


def test_moments_are_taken_over_the_cells_that_measured_a_gene():
    rng = np.random.default_rng(4)
    counts, codes = rng.poisson(5.0, (700, N_GENES)), rng.integers(0, 3, 700)
    panels = make_panels(codes)
    found = _scan(PanelSource(counts, panels))
    known = np.where(panels.measured[codes], counts, np.nan)
    np.testing.assert_allclose(found.mean, np.nanmean(known, 0), rtol=1e-5)
    np.testing.assert_allclose(found.variance, np.nanvar(known, 0), rtol=1e-4)
    content = found.network
    assert (content.mean > 1).all()
    assert (content.sd < 1).all()


def test_the_fingerprint_tells_panels_apart():
    counts = np.zeros((30, N_GENES), int)
    counts[:, 20] = 4  # all panels measured it
    codes = np.arange(30) % 3
    plain, panelled, other = (
        Source(counts),
        PanelSource(counts, make_panels(codes)),
        PanelSource(counts, make_panels(codes[::-1])),
    )
    assert len({_scan(source).fingerprint for source in (plain, panelled, other)}) == 3
