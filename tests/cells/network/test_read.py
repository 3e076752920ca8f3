"""The least-squares read is the posterior mean of a Gaussian factor model given the visible
genes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.network._read import LeastSquaresRead, _masked_gram, _MaskedGram, _Posterior
from r2mae_bio.masking import draw_plan
from r2mae_bio.tokens import TokenBatch


def build(n_genes: int, n_factors: int, seed: int) -> LeastSquaresRead:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        read = LeastSquaresRead(n_genes, n_factors)
    with torch.no_grad():
        read.keys.copy_(torch.randn(n_genes, n_factors, generator=generator))
        read.log_noise.copy_(torch.randn(n_genes, generator=generator) * 0.7)
    return read


def posterior_means(read: LeastSquaresRead, content: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """By conditioning the joint normal of factors and visible genes, one cell at a time."""
    keys, noise = read.keys.detach().numpy().astype(np.float64), np.exp(read.log_noise.detach().numpy().astype(np.float64))
    means = np.zeros((content.shape[0], keys.shape[1]))
    for row, seen in enumerate(visible):
        k = keys[seen]
        means[row] = k.T @ np.linalg.solve(k @ k.T + np.diag(noise[seen]), content[row, seen].astype(np.float64))
    return means


@given(n_genes=st.integers(2, 30), n_factors=st.integers(1, 6), rows=st.integers(1, 6), seed=st.integers(0, 2**32))
def test_read_is_the_posterior_mean(n_genes: int, n_factors: int, rows: int, seed: int) -> None:
    read, generator = build(n_genes, n_factors, seed), torch.Generator().manual_seed(seed)
    content = torch.randn(rows, n_genes, generator=generator)
    valid = torch.ones(1, n_genes, dtype=torch.bool)
    plan = draw_plan(valid, torch.rand(rows, generator=generator), derive_generator(seed, "mask"))
    everything = TokenBatch(torch.arange(n_genes)[None], content, valid)
    with torch.no_grad():
        hidden, taken = everything.hide(plan), everything.take(plan)
        expected = posterior_means(read, content.numpy(), plan.visible.numpy())
        np.testing.assert_allclose(read(hidden.values, hidden).numpy(), expected, atol=2e-3, rtol=2e-3)
        np.testing.assert_allclose(read(taken.values, taken).numpy(), expected, atol=2e-3, rtol=2e-3)
        shared = posterior_means(read, content.numpy(), valid.expand(rows, -1).numpy())
        np.testing.assert_allclose(read(content, everything).numpy(), shared, atol=2e-3, rtol=2e-3)
        whole = replace(hidden, full=True)
        np.testing.assert_allclose(read(hidden.values, whole).numpy(), expected, atol=2e-3, rtol=2e-3)


@pytest.mark.parametrize("same_ids", [True, False])
def test_slots_may_come_in_any_order(same_ids: bool) -> None:
    read, generator = build(12, 3, 0), torch.Generator().manual_seed(1)
    visible = torch.rand(4, 12, generator=generator) < 0.6
    content = torch.randn(4, 12, generator=generator) * visible
    batch = TokenBatch(torch.arange(12)[None], content, visible)
    order = torch.randperm(12, generator=generator)
    ids = batch.ids[:, order] if same_ids else batch.ids[:, order].expand(4, -1)
    shuffled = TokenBatch(ids, content[:, order], visible[:, order])
    with torch.no_grad():
        torch.testing.assert_close(read(content, batch), read(shuffled.values, shuffled), atol=1e-5, rtol=1e-5)


def test_all_ways_of_reading_have_the_same_gradient() -> None:
    generator = torch.Generator().manual_seed(4)
    visible = torch.rand(5, 12, generator=generator) < 0.6
    content = torch.randn(5, 12, generator=generator) * visible
    weight = torch.randn(5, 3, generator=generator)
    ids = torch.arange(12)[None]

    def gradients(batches: list[TokenBatch]) -> list[torch.Tensor]:
        read = build(12, 3, 0)
        torch.cat([read(batch.values, batch) for batch in batches]).mul(weight).sum().backward()
        return [parameter.grad for parameter in read.parameters()]

    shared = gradients([TokenBatch(ids, content, visible)])
    own = gradients([TokenBatch(ids.expand(5, -1), content, visible)])
    single = gradients([TokenBatch(ids, content[i : i + 1], visible[i : i + 1]) for i in range(5)])
    whole = gradients([TokenBatch(ids, content, visible, full=True)])
    whole_single = gradients([TokenBatch(ids, content[i : i + 1], visible[i : i + 1], full=True) for i in range(5)])
    for other in (own, single, whole, whole_single):
        torch.testing.assert_close(other, shared, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("rows_of_visible", [4, 1])
def test_gradient_by_hand_is_the_derivative(rows_of_visible: int) -> None:
    generator = torch.Generator().manual_seed(5)
    seen = (torch.rand(rows_of_visible, 7, generator=generator) < 0.6).double()
    content = torch.randn(4, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    keys = torch.randn(7, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    log_noise = torch.randn(7, generator=generator, dtype=torch.float64, requires_grad=True)

    def means(content: torch.Tensor, keys: torch.Tensor, log_noise: torch.Tensor) -> torch.Tensor:
        return _Posterior.apply(content * seen, seen, keys, log_noise)

    assert torch.autograd.gradcheck(means, (content, keys, log_noise))
    assert torch.autograd.gradcheck(lambda k: _MaskedGram.apply(seen, k), (keys,))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_masked_gram_is_the_sum_of_outer_products(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(6)
    visible, keys = torch.rand(5, 40, generator=generator) < 0.5, torch.randn(40, 6, generator=generator, dtype=dtype)
    expected = torch.einsum("bl,lf,lh->bfh", visible.double(), keys.double(), keys.double())
    found = _masked_gram(visible.to(dtype), keys)
    torch.testing.assert_close(found.double(), expected, atol=1e-5 if dtype == torch.float32 else 1e-12, rtol=1e-6)
    assert torch.equal(found, found.transpose(1, 2))


def test_nothing_visible_is_the_average_cell() -> None:
    read = build(8, 3, 0)
    batch = TokenBatch(torch.arange(8)[None], torch.zeros(2, 8), torch.zeros(2, 8, dtype=torch.bool))
    with torch.no_grad():
        assert (read(batch.values, batch) == 0).all()


def test_a_hidden_gene_is_not_a_measured_average_one() -> None:
    read = build(8, 3, 0)
    content, visible = torch.randn(1, 8, generator=torch.Generator().manual_seed(2)), torch.ones(1, 8, dtype=torch.bool)
    visible[0, 4:] = False
    content = content * visible
    batch = TokenBatch(torch.arange(8)[None], content, visible)
    with torch.no_grad():
        measured = read(content, replace(batch, visible=torch.ones_like(visible)))
        assert (read(content, batch) - measured).abs().max() > 1e-2


def test_result_is_single_precision_and_differentiable() -> None:
    read = build(8, 3, 0)
    content = torch.randn(4, 8, generator=torch.Generator().manual_seed(3)).requires_grad_()
    batch = TokenBatch(torch.arange(8)[None], content, torch.ones(1, 8, dtype=torch.bool))
    found = read(content, batch)
    assert found.dtype == torch.float32
    assert found.shape == (4, 3)
    found.square().sum().backward()
    for parameter in (*read.parameters(), content):
        assert parameter.grad.isfinite().all()
        assert (parameter.grad != 0).any()


def test_gain_gives_a_panel_the_spread_of_the_whole() -> None:
    read, rng = build(40, 3, 2), np.random.default_rng(0)
    noise = np.exp(read.log_noise.detach().numpy() / 2)
    cells = rng.standard_normal((20_000, 3)) @ read.keys.detach().numpy().T + noise * rng.standard_normal((20_000, 40))
    content, seen = torch.from_numpy(cells).float(), torch.arange(40)[None] < 4
    whole = TokenBatch(torch.arange(40)[None], content, torch.ones_like(seen))
    panel = TokenBatch(torch.arange(40)[None], content * seen, seen)
    with torch.no_grad():
        assert torch.allclose(read.gain(whole), torch.ones(1, 3), atol=1e-5)
        spread, short = read(content, whole).std(0), read(content * seen, panel).std(0)
        assert (short < 0.97 * spread).any()
        np.testing.assert_allclose((short * read.gain(panel)[0]).numpy(), spread.numpy(), rtol=0.03)


def test_gain_is_each_rows_own() -> None:
    read, generator = build(12, 3, 0), torch.Generator().manual_seed(1)
    visible = torch.rand(5, 12, generator=generator) < 0.5
    batch = TokenBatch(torch.arange(12)[None], torch.zeros(5, 12), visible)
    with torch.no_grad():
        together = read.gain(batch)
        for row in range(5):
            alone = TokenBatch(batch.ids, torch.zeros(1, 12), visible[row : row + 1])
            assert torch.allclose(read.gain(alone)[0], together[row], atol=1e-5)


def test_gain_of_a_panel_that_says_nothing_is_finite() -> None:
    read = build(12, 3, 0)
    with torch.no_grad():
        read.keys[:2] = 0
        gain = read.gain(TokenBatch(torch.arange(12)[None], torch.zeros(1, 12), torch.arange(12)[None] < 2))
    assert torch.isfinite(gain).all()
    assert (gain <= 100).all()
