"""Means and spreads of roots at other depths, against sums over counts and thinned cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from r2mae_bio.cells.network._content import GeneContent, GeneStatistics
from r2mae_bio.cells.network._depth_moments import DepthMoments, expected_root, fit_dispersion
from r2mae_bio.tokens import TokenBatch

MEANS, DISPERSIONS = [1e-4, 0.01, 0.3, 5.0, 200.0, 5000.0], [0.5, 0.1, 1.0, 2.0, 0.3, 5000.0]


def summed_root(mean: float, dispersion: float) -> float:
    counts = np.arange(100_000)
    return float((np.sqrt(counts) * stats.nbinom.pmf(counts, dispersion, dispersion / (dispersion + mean))).sum())


def test_mean_roots_equal_sums_over_counts():
    expected = [summed_root(*pair) for pair in zip(MEANS, DISPERSIONS, strict=True)]
    found = expected_root(torch.tensor(MEANS).double(), torch.tensor(DISPERSIONS).double())
    assert found.numpy() == pytest.approx(expected, rel=1e-4)


def test_dispersions_are_found_again():
    mean, dispersion = torch.tensor(MEANS[1:5]).double(), torch.tensor(DISPERSIONS[1:5]).double()
    assert fit_dispersion(mean, expected_root(mean, dispersion)).numpy() == pytest.approx(dispersion.numpy(), rel=1e-3)


@pytest.fixture(scope="module")
def counts() -> torch.Tensor:
    """Cells of one depth whose genes are gamma-Poisson."""
    rng = np.random.default_rng(0)
    mean = np.array([0.2, 1.0, 4.0, 30.0, 100.0])
    return torch.from_numpy(rng.poisson(rng.gamma(2.0, mean / 2, (40_000, 5))).astype(np.float32))


def test_moments_are_those_of_thinned_cells(counts):
    """Scaled by less than they were thinned by, as where a prior holds the depth up."""
    moments = DepthMoments(counts.mean(0), counts.sqrt().mean(0))
    shift, ratio = moments(torch.tensor([1.0, 1 / 8, 2**-3.5]), torch.tensor([1.0, 6.0, 9.0]))
    assert shift[0].abs().max() == 0
    assert torch.equal(ratio[0], torch.ones(5))
    thinned = torch.binomial(counts, torch.full_like(counts, 1 / 8), generator=torch.Generator().manual_seed(0))
    shallow = (thinned * 6).sqrt()
    assert shift[1].numpy() == pytest.approx((shallow.mean(0) - counts.sqrt().mean(0)).numpy(), abs=0.03)
    assert ratio[1].numpy() == pytest.approx((shallow.std(0) / counts.sqrt().std(0)).numpy(), rel=0.02)
    thinner = torch.binomial(counts, torch.full_like(counts, 2**-3.5), generator=torch.Generator().manual_seed(0))
    between = (thinner * 9).sqrt().mean(0) - counts.sqrt().mean(0)
    assert shift[2].numpy() == pytest.approx(between.numpy(), abs=0.2)  # of two levels


def test_a_cell_without_counts_is_an_average_cell(counts):
    content = content_of(counts, depth_moments=True)
    tokens = TokenBatch(torch.arange(5)[None], torch.zeros(1, 5), torch.ones(1, 5, dtype=torch.bool), full=True)
    assert content(tokens).abs().max() < 0.5 < content_of(counts, depth_moments=False)(tokens).abs().max()


def content_of(counts: torch.Tensor, *, depth_moments: bool) -> GeneContent:
    total = counts.sum(1).mean()
    roots = counts.sqrt()
    statistics = GeneStatistics(counts.mean(0) / total, roots.mean(0), roots.std(0), float(total))
    return GeneContent(statistics, depth_moments=depth_moments)


def test_content_of_shallow_cells_has_the_moments_of_deep_ones():
    """Of many genes, so that depth is known."""
    rng = np.random.default_rng(1)
    cells = torch.from_numpy(rng.poisson(rng.gamma(2.0, rng.gamma(1.0, 1.0, 400), (2000, 400))).astype(np.float32))
    thinned = torch.binomial(cells, torch.full_like(cells, 1 / 8), generator=torch.Generator().manual_seed(0))
    tokens = TokenBatch(torch.arange(400)[None], thinned, torch.ones(1, 400, dtype=torch.bool), full=True)
    plain, matched = (content_of(cells, depth_moments=on)(tokens) for on in (False, True))
    assert matched.mean(0).abs().mean() < 0.05 < 0.2 < plain.mean(0).abs().mean()
    assert (matched.std(0) - 1).abs().mean() < 0.1 < (plain.std(0) - 1).abs().mean()


def test_genes_in_another_order_are_read_alike(counts):
    content, order = content_of(counts, depth_moments=True), torch.tensor([3, 0, 4])
    visible = torch.zeros(1, 5, dtype=torch.bool)
    visible[0, order] = True
    whole = TokenBatch(torch.arange(5)[None], counts[:9] * visible, visible, full=True)
    some = TokenBatch(order[None], counts[:9, order], torch.ones(1, 3, dtype=torch.bool))
    assert torch.allclose(content(some), content(whole)[:, order])
