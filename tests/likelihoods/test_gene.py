"""Likelihoods of gene expression, against scipy, against scvi-tools and in their limits."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from r2mae_bio.config import GeneConfig
from r2mae_bio.likelihoods import GENE_LIKELIHOODS, GeneParams, masked_nll, predictive_distribution

COUNTS = [0.0, 1.0, 2.0, 7.0, 40.0, 1000.0, 50_000.0]
LOG_MEANS = [-20.0, -5.0, -0.3, 0.0, 2.0, 6.0, 11.0]
LOG_THETAS = [-6.0, -1.0, 0.0, 2.5, 5.0]
LOGITS = [-30.0, -3.0, 0.0, 4.0, 30.0]
NAMES = sorted(GENE_LIKELIHOODS)


def grid(*axes: list[float]) -> list[torch.Tensor]:
    return [axis.reshape(1, -1) for axis in torch.meshgrid(*(torch.tensor(a, dtype=torch.float64) for a in axes), indexing="ij")]


def close(found: torch.Tensor, expected: Any, *, rtol: float = 1e-8, atol: float = 1e-8) -> None:
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), rtol=rtol, atol=atol)


def random_params(shape: tuple[int, int], seed: int, *, spread: float = 1.0) -> GeneParams:
    generator = torch.Generator().manual_seed(seed)

    def normal(*size: int) -> torch.Tensor:
        return torch.randn(*size, generator=generator, dtype=torch.float64) * spread

    return GeneParams(normal(*shape), normal(1, shape[1]), normal(*shape))


def test_all_who_take_a_name_take_the_same_ones() -> None:
    assert sorted(get_args(get_type_hints(GeneConfig)["gene_likelihood"])) == NAMES
    for name in NAMES:
        assert GeneConfig(gene_likelihood=name).gene_likelihood == name
        assert predictive_distribution([2.0], [2.0], likelihood=name).mean() == pytest.approx(2)


# ---------------------------------------------------------------- references
def test_poisson_is_that_of_scipy() -> None:
    x, location = grid(COUNTS, LOG_MEANS)
    close(GENE_LIKELIHOODS["poisson"].nll(x, GeneParams(location)), -stats.poisson.logpmf(x, location.exp()))


def test_negative_binomial_is_that_of_scipy() -> None:
    x, location, dispersion = grid(COUNTS, LOG_MEANS, LOG_THETAS)
    theta, mean = dispersion.exp().numpy(), location.exp().numpy()
    expected = -stats.nbinom.logpmf(x.numpy(), theta, theta / (theta + mean))
    close(GENE_LIKELIHOODS["nb"].nll(x, GeneParams(location, dispersion)), expected, rtol=1e-6)


def test_normal_is_that_of_scipy() -> None:
    x, location, log_sd = grid([-3.0, 0.0, 0.5, 9.0], [-10.0, 0.0, 4.0], [-4.0, 0.0, 3.0])
    close(GENE_LIKELIHOODS["normal"].nll(x, GeneParams(location, log_sd)), -stats.norm.logpdf(x, location, log_sd.exp()))


def test_zero_inflation_is_a_mixture_of_a_zero_and_scipy_nbinom() -> None:
    x, location, dispersion, logit = grid(COUNTS, LOG_MEANS, LOG_THETAS, [-8.0, 0.0, 8.0])
    theta, mean = dispersion.exp().numpy(), location.exp().numpy()
    pi = torch.sigmoid(logit).numpy()
    log_nb = stats.nbinom.logpmf(x.numpy(), theta, theta / (theta + mean))
    inflated = np.logaddexp(np.log(pi), np.log1p(-pi) + log_nb)
    expected = -np.where(x.numpy() == 0, inflated, np.log1p(-pi) + log_nb)
    close(GENE_LIKELIHOODS["zinb"].nll(x, GeneParams(location, dispersion, logit)), expected, rtol=1e-6)


@pytest.mark.filterwarnings("default")  # scvi-tools brings half of the ecosystem along
def test_negative_binomials_are_those_of_scvi() -> None:
    from scvi.distributions import NegativeBinomial, ZeroInflatedNegativeBinomial

    x, location, dispersion, logit = grid([0.0, 1.0, 7.0, 1000.0], [-5.0, 0.0, 2.0, 6.0], [-2.0, 0.0, 3.0], LOGITS)
    mean, theta = location.exp(), dispersion.exp()
    plain = NegativeBinomial(mu=mean, theta=theta, validate_args=False)
    inflated = ZeroInflatedNegativeBinomial(mu=mean, theta=theta, zi_logits=logit, validate_args=False)
    # scvi-tools adds 1e-8 within its logarithms
    close(GENE_LIKELIHOODS["nb"].nll(x, GeneParams(location, dispersion)), -plain.log_prob(x), rtol=1e-5, atol=1e-5)
    found = GENE_LIKELIHOODS["zinb"].nll(x, GeneParams(location, dispersion, logit))
    close(found, -inflated.log_prob(x), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["nb", "zinb", "poisson"])
def test_probabilities_of_counts_sum_to_one(name: str) -> None:
    x = torch.arange(4000, dtype=torch.float64)[:, None]
    location, dispersion, logit = grid([-2.0, 0.0, 3.0], [-1.0, 1.0], [-2.0, 2.0])
    close((-GENE_LIKELIHOODS[name].nll(x, GeneParams(location, dispersion, logit))).exp().sum(0), 1.0)


# ---------------------------------------------------------------- limits
def test_without_dropout_zero_inflation_changes_nothing() -> None:
    x, location, dispersion = grid(COUNTS, LOG_MEANS, LOG_THETAS)
    nb = GENE_LIKELIHOODS["nb"].nll(x, GeneParams(location, dispersion))
    gaps = []
    for logit in (-5.0, -15.0, -60.0):
        zinb = GENE_LIKELIHOODS["zinb"].nll(x, GeneParams(location, dispersion, torch.full_like(x, logit)))
        gaps.append(float((zinb - nb).abs()[nb < 20].max()))
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-9


def test_without_dispersion_the_negative_binomial_is_poisson() -> None:
    x, location = grid([0.0, 1.0, 7.0, 40.0], [-5.0, 0.0, 2.0])
    poisson = GENE_LIKELIHOODS["poisson"].nll(x, GeneParams(location))
    gaps = [
        float((GENE_LIKELIHOODS["nb"].nll(x, GeneParams(location, torch.full_like(x, d))) - poisson).abs().max())
        for d in (3.0, 8.0, 15.0)
    ]
    assert gaps[0] > gaps[1] > gaps[2]
    assert gaps[2] < 1e-3


@pytest.mark.xfail(reason="lgamma(theta) - lgamma(x + theta) cancels in float32 once theta is large")
def test_single_precision_holds_when_dispersion_vanishes() -> None:
    x, location, dispersion = grid([1.0, 5.0, 100.0], [0.0, 1.6, 4.0], [5.0, 8.0, 12.0, 15.0])
    exact = GENE_LIKELIHOODS["nb"].nll(x, GeneParams(location, dispersion))
    single = GENE_LIKELIHOODS["nb"].nll(x.float(), GeneParams(location.float(), dispersion.float()))
    close(single, exact, rtol=1e-3, atol=5e-3)


@pytest.mark.parametrize("name", NAMES)
def test_single_precision_is_close_to_double(name: str) -> None:
    x, location, dispersion, logit = grid([0.0, 1.0, 7.0, 300.0], [-8.0, 0.0, 2.0, 6.0], [-3.0, 0.0, 3.0], LOGITS)
    params = GeneParams(location, dispersion, logit)
    single = GeneParams(location.float(), dispersion.float(), logit.float())
    close(GENE_LIKELIHOODS[name].nll(x.float(), single), GENE_LIKELIHOODS[name].nll(x, params), rtol=1e-4, atol=1e-3)


# ---------------------------------------------------------------- zeros and sums
@pytest.mark.parametrize("name", NAMES)
def test_the_cheap_zero_is_the_zero(name: str) -> None:
    location, dispersion, logit = grid(LOG_MEANS, LOG_THETAS, LOGITS)
    params = GeneParams(location, dispersion, logit)
    likelihood = GENE_LIKELIHOODS[name]
    close(likelihood.nll_of_zero(params), likelihood.nll(torch.zeros_like(location), params), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
@given(rows=st.integers(1, 5), slots=st.integers(1, 12), seed=st.integers(0, 2**32), density=st.floats(0, 1))
def test_the_sparse_sum_is_the_dense_sum(name: str, rows: int, slots: int, seed: int, density: float) -> None:
    params = random_params((rows, slots), seed, spread=2.0)
    generator = torch.Generator().manual_seed(seed + 1)
    x = torch.poisson(torch.full((rows, slots), 3.0, dtype=torch.float64), generator=generator)
    x = x * (torch.rand(rows, slots, generator=generator) < density)
    if name == "normal":
        x = torch.log1p(x)
    hidden = torch.rand(rows, slots, generator=generator) < 0.5
    row, slot = x.nonzero(as_tuple=True)
    order = torch.randperm(row.numel(), generator=generator)
    row, slot = row[order], slot[order]
    likelihood = GENE_LIKELIHOODS[name]
    found = masked_nll(likelihood, params, row, slot, x[row, slot], hidden)
    assert found.shape == (rows,)
    close(found, (likelihood.nll(x, params) * hidden).sum(1), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_visible_entries_do_not_count(name: str) -> None:
    params, hidden = random_params((3, 6), 0), torch.zeros(3, 6, dtype=torch.bool)
    hidden[:, :2] = True
    row, slot = torch.tensor([0, 1, 2, 2]), torch.tensor([0, 3, 4, 1])
    sums = [
        masked_nll(GENE_LIKELIHOODS[name], params, row, slot, torch.tensor([2.0, v, v, 3.0], dtype=torch.float64), hidden)
        for v in (1.0, 900.0)
    ]
    assert torch.equal(*sums)


def test_picking_slots_broadcasts_shared_parameters() -> None:
    params = random_params((4, 5), 1)
    rows, slots = torch.tensor([0, 3, 3]), torch.tensor([4, 0, 2])
    picked = params.at(rows, slots)
    assert torch.equal(picked.location, params.location[rows, slots])
    assert torch.equal(picked.dispersion, params.dispersion[0, slots])
    assert torch.equal(picked.dropout, params.dropout[rows, slots])
    assert GeneParams(params.location).at(rows, slots).dispersion is None


@pytest.mark.parametrize("name", ["nb", "zinb", "normal"])
def test_a_missing_parameter_is_named(name: str) -> None:
    with pytest.raises(TypeError, match="needs a parameter that the head did not give"):
        GENE_LIKELIHOODS[name].nll_of_zero(GeneParams(torch.zeros(1, 1)))


# ---------------------------------------------------------------- gradients
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0.0, 1.0, 5000.0])
def test_gradients_are_finite_for_extreme_parameters(name: str, value: float) -> None:
    axes = [[-60.0, -10.0, 0.0, 10.0, 30.0], [-4.0, 0.0, 4.0], [-200.0, -20.0, 0.0, 20.0, 200.0]]
    location, dispersion, logit = (axis.float().requires_grad_() for axis in grid(*axes))
    params = GeneParams(location, dispersion, logit)
    likelihood = GENE_LIKELIHOODS[name]
    nll = likelihood.nll(torch.full_like(location, value), params)
    assert nll.isfinite().all()
    assert likelihood.nll_of_zero(params).isfinite().all()
    for gradient in torch.autograd.grad(nll.sum(), (location, dispersion, logit), allow_unused=True):
        assert gradient is None or gradient.isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_the_sparse_sum_are_numerically_right(name: str) -> None:
    start = random_params((2, 4), 3)
    hidden = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 1]], dtype=torch.bool)
    row, slot = torch.tensor([0, 0, 1, 1]), torch.tensor([0, 2, 1, 3])
    values = torch.tensor([1.0, 5.0, 2.0, 30.0], dtype=torch.float64)

    def total(location: torch.Tensor, dispersion: torch.Tensor, dropout: torch.Tensor) -> torch.Tensor:
        return masked_nll(GENE_LIKELIHOODS[name], GeneParams(location, dispersion, dropout), row, slot, values, hidden)

    inputs = [tensor.clone().requires_grad_() for tensor in (start.location, start.dispersion, start.dropout)]
    assert torch.autograd.gradcheck(total, inputs)
