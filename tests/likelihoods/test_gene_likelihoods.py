"""Likelihoods agree with scipy and scvi-tools, with their limits, and with the dense sum."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from r2mae_bio.likelihoods import GENE_LIKELIHOODS, GeneParams, masked_nll

X = np.array([0, 1, 2, 7, 40, 900], float)
MEANS = np.array([1e-4, 0.3, 2.0, 50.0, 3000.0])
THETAS = np.array([1e-2, 0.5, 3.0, 100.0])
VALUE, MEAN, THETA = (torch.from_numpy(a.ravel()) for a in np.meshgrid(X, MEANS, THETAS, indexing="ij"))


def params(mean=MEAN, theta=THETA, dropout=None):
    return GeneParams(mean.log(), theta.log(), dropout)


def test_negative_binomial_agrees_with_scipy():
    expected = -stats.nbinom.logpmf(VALUE.numpy(), THETA.numpy(), (THETA / (THETA + MEAN)).numpy())
    np.testing.assert_allclose(GENE_LIKELIHOODS["nb"].nll(VALUE, params()).numpy(), expected, rtol=1e-7, atol=1e-9)


def test_poisson_agrees_with_scipy():
    expected = -stats.poisson.logpmf(VALUE.numpy(), MEAN.numpy())
    np.testing.assert_allclose(GENE_LIKELIHOODS["poisson"].nll(VALUE, params()).numpy(), expected, rtol=1e-7)


def test_normal_agrees_with_scipy():
    got = GENE_LIKELIHOODS["normal"].nll(VALUE, GeneParams(MEAN, THETA.log()))
    np.testing.assert_allclose(got.numpy(), -stats.norm.logpdf(VALUE.numpy(), MEAN.numpy(), THETA.numpy()), rtol=1e-7)


@pytest.mark.slow
def test_agreement_with_scvi():
    from scvi.distributions import NegativeBinomial, ZeroInflatedNegativeBinomial

    logits = torch.linspace(-4, 4, VALUE.numel(), dtype=torch.float64)
    nb = -NegativeBinomial(mu=MEAN, theta=THETA).log_prob(VALUE).reshape(-1)
    zinb = -ZeroInflatedNegativeBinomial(mu=MEAN, theta=THETA, zi_logits=logits).log_prob(VALUE).reshape(-1)
    # scvi adds 1e-8 inside its logarithms
    torch.testing.assert_close(GENE_LIKELIHOODS["nb"].nll(VALUE, params()), nb, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(GENE_LIKELIHOODS["zinb"].nll(VALUE, params(dropout=logits)), zinb, rtol=1e-3, atol=1e-4)


def test_zero_inflation_adds_up_to_a_mixture():
    logits = torch.linspace(-4, 4, VALUE.numel(), dtype=torch.float64)
    p = torch.sigmoid(logits)
    nb = torch.exp(-GENE_LIKELIHOODS["nb"].nll(VALUE, params()))
    expected = -torch.log(torch.where(VALUE == 0, p + (1 - p) * nb, (1 - p) * nb))
    got = GENE_LIKELIHOODS["zinb"].nll(VALUE, params(dropout=logits))
    ok = torch.isfinite(expected)
    torch.testing.assert_close(got[ok], expected[ok], rtol=1e-6, atol=1e-8)


def test_limits():
    nb, zinb, poisson = (GENE_LIKELIHOODS[k] for k in ("nb", "zinb", "poisson"))
    never = torch.full_like(MEAN, -40.0)
    likely = nb.nll(VALUE, params()) < 30  # a zero of probability e^-343 is dropout after all
    torch.testing.assert_close(zinb.nll(VALUE, params(dropout=never))[likely], nb.nll(VALUE, params())[likely])
    small = MEAN < 100
    wide = params(theta=torch.full_like(THETA, 1e8))
    torch.testing.assert_close(nb.nll(VALUE, wide)[small], poisson.nll(VALUE, wide)[small], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", list(GENE_LIKELIHOODS))
def test_the_sum_over_hidden_slots_equals_the_dense_one(name):
    generator = torch.Generator().manual_seed(0)
    counts = torch.poisson(torch.full((5, 30), 0.4), generator=generator).double()
    hidden = torch.rand(5, 30, generator=generator) < 0.5
    p = GeneParams(*(torch.randn(shape, generator=generator).double() for shape in ((5, 30), (1, 30), (5, 30))))
    likelihood = GENE_LIKELIHOODS[name]
    rows, slots = counts.nonzero(as_tuple=True)
    got = masked_nll(likelihood, p, rows, slots, counts[rows, slots], hidden)
    torch.testing.assert_close(got, (likelihood.nll(counts, p) * hidden).sum(1))
    torch.testing.assert_close(likelihood.nll_of_zero(p), likelihood.nll(torch.zeros_like(counts), p))


@pytest.mark.parametrize("name", list(GENE_LIKELIHOODS))
def test_gradients_are_finite_far_out(name):
    location = torch.tensor([[-60.0, -5.0, 0.0, 9.0]], requires_grad=True)
    p = GeneParams(location, torch.zeros(1, 4), torch.tensor([[-30.0, 0.0, 30.0, 1.0]]))
    loss = GENE_LIKELIHOODS[name].nll(torch.tensor([[0.0, 3.0, 0.0, 50.0]]), p).sum() / 1e6
    loss.backward()
    assert torch.isfinite(location.grad).all()
