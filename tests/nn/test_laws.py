"""Laws of the network: no leakage, agreement of both ways of hiding, exact missing-data algebra, invariance."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.config import GeneConfig
from r2mae_bio.likelihoods import masked_nll
from r2mae_bio.masking import draw_plan
from r2mae_bio.nn import GeneMaskedAutoencoder, GeneStatistics, LeastSquaresRead, TransformerBlock, start_from_factors
from r2mae_bio.tokens import TokenBatch

N_GENES = 40


def tiny(encoder="transformer", likelihood="nb", **settings):
    sizes = {"n_latent": 8, "n_factors": 6, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}
    config = GeneConfig(encoder=encoder, gene_likelihood=likelihood, **{**sizes, **settings})
    share = torch.linspace(1, 3, N_GENES)
    statistics = GeneStatistics(share / share.sum(), torch.full((N_GENES,), 0.4), torch.full((N_GENES,), 0.7), 60.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = GeneMaskedAutoencoder(statistics, 0, config)
        for parameter in network.parameters():  # zero-initialised parts must take part in the tests
            parameter.data += 0.05 * torch.randn_like(parameter)
    return network.eval()


def cells(n=6, seed=0):
    counts = np.random.default_rng(seed).negative_binomial(1, 0.4, (n, N_GENES)).astype(np.float32)
    return TokenBatch(torch.arange(N_GENES)[None], torch.from_numpy(counts), torch.ones(1, N_GENES, dtype=torch.bool))


def plan_for(batch, ratio=0.5, seed=0):
    return draw_plan(batch.visible, np.full(batch.values.shape[0], ratio), np.random.default_rng(seed))


@pytest.fixture(params=["transformer", "mlp"])
def encoder(request):
    return request.param


NO_CONTEXT = torch.zeros(6, 0)


def tensors(params):
    return [t for t in (getattr(params, f.name) for f in dataclasses.fields(params)) if t is not None]


def leaks(predict, batch, plan) -> bool:
    """Whether predictions change, by as little as a bit, when hidden content is replaced."""
    other = torch.where(plan.hidden, batch.values.flip(0) + 17, batch.values)
    before, after = predict(batch, plan), predict(dataclasses.replace(batch, values=other), plan)
    return not all(torch.equal(a, b) for a, b in zip(tensors(before), tensors(after), strict=True))


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal"])
def test_hidden_content_changes_no_prediction(encoder, likelihood):
    network, batch = tiny(encoder, likelihood), cells()
    assert not leaks(lambda b, p: network(b.hide(p), NO_CONTEXT), batch, plan_for(batch))
    assert not leaks(lambda b, p: network(b.take(p), NO_CONTEXT), batch, plan_for(batch))


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal"])
def test_visible_content_changes_predictions(encoder, likelihood):
    network, batch = tiny(encoder, likelihood), cells()
    plan = plan_for(batch)
    other = torch.where(plan.visible, batch.values + 3, batch.values)
    before = network(batch.hide(plan), NO_CONTEXT).location
    after = network(dataclasses.replace(batch, values=other).hide(plan), NO_CONTEXT).location
    assert not torch.equal(before, after)


def test_the_leakage_check_catches_a_decoder_that_is_handed_hidden_content(encoder):
    network, batch = tiny(encoder), cells()

    def mutant(tokens, plan):
        visible = tokens.hide(plan)
        return network.decode(network.encode(visible), NO_CONTEXT, visible, exposure=network.content.exposure(tokens))

    assert leaks(mutant, batch, plan_for(batch))


def test_the_leakage_check_catches_an_encoder_that_is_handed_hidden_content(encoder):
    network, batch = tiny(encoder), cells()
    assert leaks(lambda b, p: network.decode(network.encode(b), NO_CONTEXT, b.hide(p)), batch, plan_for(batch))


@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.95])
def test_dropping_and_replacing_agree(encoder, ratio):
    network, batch = tiny(encoder), cells()
    plan = plan_for(batch, ratio)
    torch.testing.assert_close(network.encode(batch.take(plan)), network.encode(batch.hide(plan)), atol=1e-5, rtol=1e-5)
    taken, hidden = network(batch.take(plan), NO_CONTEXT), network(batch.hide(plan), NO_CONTEXT)
    torch.testing.assert_close(taken.location, hidden.location, atol=1e-5, rtol=1e-5)


def test_take_gathers_the_visible_content_in_order():
    batch = cells()
    plan = plan_for(batch, 0.7)
    taken = batch.take(plan)
    for row in range(6):
        chosen = torch.nonzero(plan.visible[row])[:, 0]
        n = chosen.numel()
        assert torch.equal(taken.ids[row, :n], chosen)
        assert torch.equal(taken.values[row, :n], batch.values[row, chosen])
        assert not taken.visible[row, n:].any()
        assert not taken.values[row, n:].any()


@pytest.mark.parametrize("way", ["hide", "take", "shared"])
def test_the_read_is_the_posterior_mean_of_a_factor_model(way):
    read = LeastSquaresRead(N_GENES, 6)
    read.log_noise.data = torch.linspace(-1, 1, N_GENES)
    batch = cells()
    plan = plan_for(batch)
    visible = plan.visible if way != "shared" else plan.visible[:1].expand(6, -1)
    content = torch.randn(6, N_GENES, generator=torch.Generator().manual_seed(0))
    if way == "take":
        tokens = dataclasses.replace(batch, values=content).take(plan)
        got = read(tokens.values, tokens)
    else:
        shown = visible[:1] if way == "shared" else visible
        got = read(content * visible, TokenBatch(batch.ids, content * visible, shown))
    keys, noise = read.keys.detach().double().numpy(), read.log_noise.detach().double().exp().numpy()
    for row in range(6):
        seen = visible[row].numpy()
        k, y = keys[seen], content[row].double().numpy()[seen]
        marginal = k @ k.T + np.diag(noise[seen])  # covariance of the visible genes: the long way round
        np.testing.assert_allclose(got[row].detach().numpy(), k.T @ np.linalg.solve(marginal, y), atol=2e-5)


def test_order_of_slots_does_not_matter(encoder):
    network, batch = tiny(encoder), cells()
    order = torch.randperm(N_GENES, generator=torch.Generator().manual_seed(3))
    if encoder == "mlp":  # reads shared ids as vocabulary order; rows with their own ids may come in any order
        shuffled = TokenBatch(order.expand(6, -1), batch.values[:, order], torch.ones(6, N_GENES, dtype=torch.bool))
    else:
        shuffled = TokenBatch(order[None], batch.values[:, order], batch.visible)
    torch.testing.assert_close(network.encode(shuffled), network.encode(batch), atol=1e-5, rtol=1e-5)


def test_a_row_does_not_depend_on_its_batch(encoder):
    network, batch = tiny(encoder), cells(64)
    together = network.encode(batch)
    alone = torch.cat([network.encode(TokenBatch(batch.ids, batch.values[i : i + 1], batch.visible)) for i in range(64)])
    torch.testing.assert_close(alone, together, atol=1e-5, rtol=1e-5)


def test_cells_without_counts_are_finite(encoder):
    network = tiny(encoder)
    empty = TokenBatch(torch.arange(N_GENES)[None], torch.zeros(2, N_GENES), torch.ones(1, N_GENES, dtype=torch.bool))
    params = network(empty, torch.zeros(2, 0))
    assert torch.isfinite(params.location).all()


def test_an_unmeasured_gene_is_not_a_zero(encoder):
    network, batch = tiny(encoder), cells()
    zeroed = batch.values.clone()
    zeroed[:, :10] = 0
    unmeasured = torch.ones(1, N_GENES, dtype=torch.bool)
    unmeasured[:, :10] = False
    as_zero = network.encode(TokenBatch(batch.ids, zeroed, batch.visible))
    as_hidden = network.encode(TokenBatch(batch.ids, zeroed, unmeasured))
    assert not torch.allclose(as_zero, as_hidden, atol=1e-3)


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson", "normal"])
def test_every_parameter_learns(encoder, likelihood):
    network, batch = tiny(encoder, likelihood).train(), cells(32)
    plan = plan_for(batch)
    rows, slots = batch.values.nonzero(as_tuple=True)
    params = network(batch.hide(plan), torch.zeros(32, 0))
    masked_nll(network.likelihood, params, rows, slots, batch.values[rows, slots], plan.hidden).sum().backward()
    without = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    allowed = {"decoder.log_prior_counts"} if likelihood == "normal" else set()
    assert set(without) <= allowed


def test_starting_from_factors_embeds_as_the_factor_model_does():
    network = tiny("transformer")
    for name, parameter in network.named_parameters():
        if name.startswith("encoder.refine"):
            parameter.data.zero_()
    generator = torch.Generator().manual_seed(0)
    loadings = torch.linalg.qr(torch.randn(N_GENES, 6, generator=generator))[0] * torch.tensor([3.0, 2.5, 2, 1.5, 1, 0.5])
    noise = torch.rand(N_GENES, generator=generator) + 0.2
    start_from_factors(network, loadings, noise)
    batch = cells()
    plan = plan_for(batch)
    visible = batch.hide(plan)
    expression = network.content.log_expression(visible, network.content.exposure(visible))
    got = network.encode(visible).detach().double().numpy()
    w, v, mean = loadings.double().numpy(), noise.double().numpy(), network.content.mean.double().numpy()
    for row in range(6):
        seen = plan.visible[row].numpy()
        y = expression[row].double().numpy()[seen] - mean[seen]
        factors = w[seen].T @ np.linalg.solve(w[seen] @ w[seen].T + np.diag(v[seen]), y)
        np.testing.assert_allclose(got[row, :6], factors * np.linalg.norm(w, axis=0), atol=1e-3)
        np.testing.assert_allclose(got[row, 6:], 0, atol=1e-5)


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(ConfigError, match="d_model=10 is not a multiple of n_heads=4"):
        TransformerBlock(10, 4)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"encoder": "cnn"}, "encoder is 'cnn'"),
        ({"gene_likelihood": "gauss"}, "gene_likelihood is 'gauss'"),
        ({"n_latent": 0}, "n_latent is 0"),
        ({"start": "pca"}, "start is 'pca'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_settings_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        GeneConfig(**settings)
