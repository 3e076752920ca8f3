"""The masked autoencoder: symmetries of the embedding and of the predictions, start of training,
depth.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.likelihoods import GENE_LIKELIHOODS, masked_nll
from r2mae_bio.tokens import TokenBatch

ENCODERS = ["transformer", "mlp"]
LIKELIHOODS = list(GENE_LIKELIHOODS)
TOLERANCE = {"atol": 1e-5, "rtol": 1e-5}
pytestmark = pytest.mark.parametrize("encoder", ENCODERS)


def assert_same_params(found, expected) -> None:
    for name in ("location", "dispersion", "dropout"):
        one, other = getattr(found, name), getattr(expected, name)
        assert (one is None) == (other is None)
        if one is not None:
            torch.testing.assert_close(one, other, **TOLERANCE)


def shuffled(batch: TokenBatch, *, per_row: bool, seed: int = 5) -> TokenBatch:
    """Slots in another order, ids with them; every row in its own order if asked."""
    generator = torch.Generator().manual_seed(seed)
    rows, slots = batch.values.shape
    orders = torch.stack([torch.randperm(slots, generator=generator) for _ in range(rows if per_row else 1)])
    ids = batch.ids.expand(orders.shape[0], -1).gather(1, orders)
    orders = orders.expand(rows, -1)
    return TokenBatch(ids, batch.values.gather(1, orders), batch.visible.expand(rows, -1).gather(1, orders))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_shapes_and_types(make_network, make_batch, encoder, likelihood) -> None:
    network = make_network(encoder, likelihood)
    tokens, plan, context = make_batch(3)
    with torch.no_grad():
        latent, params = network.encode(tokens.hide(plan)), network(tokens.hide(plan), context)
    assert latent.shape == (3, 5)
    assert params.location.shape == (3, 24)
    assert (params.dispersion is None) == (likelihood == "poisson")
    assert (params.dropout is None) == (likelihood != "zinb")
    assert latent.dtype == params.location.dtype == torch.float32


# ---------------------------------------------------------------- hide, take, order
@given(seed=st.integers(0, 2**32), rows=st.integers(2, 9), measured=st.sampled_from([0.4, 1.0]))
def test_dropping_slots_is_hiding_them(make_network, make_batch, encoder, seed, rows, measured) -> None:
    network = make_network(encoder)
    tokens, plan, context = make_batch(rows, seed, measured=measured)
    with torch.no_grad():
        torch.testing.assert_close(network.encode(tokens.take(plan)), network.encode(tokens.hide(plan)), **TOLERANCE)
        assert_same_params(network(tokens.take(plan), context), network(tokens.hide(plan), context))


def test_dropping_slots_is_hiding_them_in_a_single_row(make_network, make_batch, encoder) -> None:
    network = make_network(encoder)
    tokens, plan, context = make_batch(1)
    with torch.no_grad():
        assert_same_params(network(tokens.take(plan), context), network(tokens.hide(plan), context))


@pytest.mark.parametrize(
    "per_row",
    [
        pytest.param(True, id="own-order"),
        pytest.param(False, id="shared-order"),
    ],
)
def test_slots_may_come_in_any_order(make_network, make_batch, encoder, per_row) -> None:
    network = make_network(encoder, "zinb")
    tokens, plan, context = make_batch(measured=0.8)
    visible = tokens.hide(plan)
    other = shuffled(visible, per_row=per_row)
    with torch.no_grad():
        torch.testing.assert_close(network.encode(other), network.encode(visible), **TOLERANCE)
        assert_same_params(network(other, context), network(visible, context))


def test_a_gene_that_was_not_measured_is_not_a_zero(make_network, make_batch, encoder) -> None:
    network = make_network(encoder)
    tokens, plan, _ = make_batch()
    visible = tokens.hide(plan)
    with torch.no_grad():
        as_zero = network.encode(replace(visible, visible=torch.ones_like(visible.visible)))
        assert ((network.encode(visible) - as_zero).abs().amax(1) > 1e-3).all()


# ---------------------------------------------------------------- rows do not know each other
@pytest.mark.parametrize("way", ["hide", "everything"])
def test_an_embedding_does_not_depend_on_batch_mates(make_network, make_batch, encoder, way) -> None:
    network = make_network(encoder)
    tokens, plan, _ = make_batch(11)
    batch = tokens.hide(plan) if way == "hide" else tokens
    order = torch.randperm(11, generator=torch.Generator().manual_seed(0))

    def rows(index: torch.Tensor) -> TokenBatch:
        visible = batch.visible if batch.visible.shape[0] == 1 else batch.visible[index]
        return TokenBatch(batch.ids, batch.values[index], visible)

    with torch.no_grad():
        together = network.encode(batch)
        alone = torch.cat([network.encode(rows(torch.tensor([i]))) for i in range(11)])
        chunks = torch.cat([network.encode(rows(index)) for index in torch.arange(11).split(4)])
        torch.testing.assert_close(alone, together, **TOLERANCE)
        torch.testing.assert_close(chunks, together, **TOLERANCE)
        torch.testing.assert_close(network.encode(rows(order)), together[order], **TOLERANCE)


def test_a_prediction_does_not_depend_on_batch_mates(make_network, make_batch, encoder) -> None:
    network = make_network(encoder, "zinb")
    tokens, plan, context = make_batch(9)
    visible = tokens.take(plan)
    part = TokenBatch(visible.ids[2:5], visible.values[2:5], visible.visible[2:5])
    with torch.no_grad():
        found, whole = network(part, context[2:5]), network(visible, context)
    torch.testing.assert_close(found.location, whole.location[2:5], **TOLERANCE)
    torch.testing.assert_close(found.dropout, whole.dropout[2:5], **TOLERANCE)


def test_dropout_is_off_in_evaluation(make_network, make_batch, encoder) -> None:
    network = make_network(encoder, dropout=0.5)
    tokens, plan, context = make_batch()
    with torch.no_grad():
        assert torch.equal(network(tokens.hide(plan), context).location, network(tokens.hide(plan), context).location)


# ---------------------------------------------------------------- extremes
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("counts", [0.0, 1e6])
def test_output_is_finite_for_empty_and_for_huge_cells(make_network, make_batch, encoder, likelihood, counts) -> None:
    network = make_network(encoder, likelihood)
    tokens, plan, context = make_batch()
    for batch in (tokens.hide(plan), tokens.take(plan), tokens):
        filled = replace(batch, values=counts * batch.visible.expand_as(batch.values).float())
        params = network(filled, context)
        assert network.encode(filled).isfinite().all()
        assert params.location.isfinite().all()
        nothing = torch.zeros(0, dtype=torch.long)
        loss = masked_nll(network.likelihood, params, nothing, nothing, torch.zeros(0), plan.hidden).sum()
        assert loss.isfinite()
        network.zero_grad()
        loss.backward()
        assert all(p.grad is None or p.grad.isfinite().all() for p in network.parameters())


def test_covariates_change_predictions_and_leave_the_embedding(make_network, make_batch, encoder) -> None:
    network = make_network(encoder)
    tokens, plan, context = make_batch()
    with torch.no_grad():
        before, after = network(tokens.hide(plan), context), network(tokens.hide(plan), context + 1)
    assert (before.location - after.location).abs().max() > 1e-3


# ---------------------------------------------------------------- depth
@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
def test_a_given_exposure_is_used(make_network, make_batch, encoder, likelihood) -> None:
    network = make_network(encoder, likelihood, use_observed_lib_size=True)
    tokens, plan, context = make_batch()
    visible = tokens.hide(plan)
    with torch.no_grad():
        latent = network.encode(visible)
        default = network.decode(latent, context, visible).location
        own = network.decode(latent, context, visible, network.content.exposure(visible)).location
        observed = network.decode(latent, context, visible, network.content.exposure(tokens)).location
        passed_on = network(visible, context, network.content.exposure(tokens)).location
    assert torch.equal(default, own)
    assert ((observed - default).abs().amax(1) > 1e-3).all()
    torch.testing.assert_close(passed_on, observed, **TOLERANCE)


def test_twice_the_counts_is_about_twice_the_predicted_depth(make_network, make_batch, encoder) -> None:
    network = make_network(encoder)
    tokens, _, context = make_batch()
    deep = replace(tokens, values=tokens.values * 200)
    with torch.no_grad():
        latent = network.encode(tokens)
        depth = network.decode(latent, context, deep).location.exp().sum(1)
        deeper = network.decode(latent, context, replace(deep, values=deep.values * 2)).location.exp().sum(1)
    torch.testing.assert_close(deeper / depth, torch.full_like(depth, 2.0), atol=0.05, rtol=0)


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
def test_the_prior_of_the_depth_is_that_of_the_measured_genes(make_network, make_batch, encoder, likelihood) -> None:
    network = make_network(encoder, likelihood)
    tokens, _, context = make_batch()
    panel = torch.arange(24)[None] % 3 == 0
    visible = replace(tokens, values=tokens.values * panel, visible=panel)
    with torch.no_grad():
        trained, predicted = network(visible, context), network(visible, context, measured=panel)
        share = trained.location.softmax(1)
        prior = network.decoder.log_prior_counts.exp() * network.content.share[panel[0]].sum()  # shares sum to 1
        depth = (visible.values.sum(1) + prior) / (share[:, panel[0]].sum(1) + prior / network.content.mean_depth)
        everything = network(tokens, context), network(tokens, context, measured=tokens.visible)
    torch.testing.assert_close(predicted.location.softmax(1), share, **TOLERANCE)
    torch.testing.assert_close(predicted.location.exp().sum(1), depth, rtol=1e-4, atol=1e-4)
    assert (trained.location.exp().sum(1) / depth - 1).abs().max() > 0.05
    assert torch.equal(everything[0].location, everything[1].location)


# ---------------------------------------------------------------- start of training
@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
def test_training_starts_near_the_mean_composition(make_network, make_batch, statistics, encoder, likelihood) -> None:
    network = make_network(encoder, likelihood, awake=False)
    tokens, _, context = make_batch(50)
    with torch.no_grad():
        latent = torch.zeros(50, 5)
        composition = torch.softmax(network.decode(latent, context * 0, tokens).location, 1)
    assert ((composition - statistics.share).abs().sum(1) / 2).max() < 0.15


def test_training_starts_near_the_mean_of_expression(make_network, make_batch, statistics, encoder) -> None:
    network = make_network(encoder, "normal", awake=False)
    tokens, _, context = make_batch(5)
    with torch.no_grad():
        params = network.decode(torch.zeros(5, 5), context * 0, tokens)
    assert (params.location - statistics.mean).abs().max() < 0.5
    torch.testing.assert_close(params.dispersion[0].exp(), statistics.sd, **TOLERANCE)


def loss_of(network, tokens, plan, context) -> torch.Tensor:
    rows, slots = tokens.values.nonzero(as_tuple=True)
    params = network(tokens.hide(plan), context)
    return masked_nll(network.likelihood, params, rows, slots, tokens.values[rows, slots], plan.hidden).mean()


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_training_reaches_every_parameter(make_network, make_batch, encoder, likelihood) -> None:
    network = make_network(encoder, likelihood, awake=False, dropout=0.0).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=1e-2)
    for step in range(3):
        optimiser.zero_grad()
        loss_of(network, *make_batch(32, step)).backward()
        if step < 2:
            optimiser.step()
    silent = [name for name, p in network.named_parameters() if p.grad is None or not (p.grad != 0).any()]
    assert [name for name in silent if not name.startswith("encoder.panel_reader.")] == []  # trained by itself


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_a_few_cells_can_be_learned_by_heart(make_network, make_batch, encoder, likelihood) -> None:
    network = make_network(encoder, likelihood, awake=False, dropout=0.0).train()
    case = make_batch(8)
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-2)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = loss_of(network, *case)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.85 * losses[0]
