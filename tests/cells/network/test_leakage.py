"""Leakage: hidden content moves no prediction by one bit, visible content does, and a network that
cheats is caught.
"""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
from r2mae_bio.likelihoods import GENE_LIKELIHOODS
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from r2mae_bio.likelihoods import GeneParams
    from r2mae_bio.masking import MaskPlan

ENCODERS = ["transformer", "mlp"]
LIKELIHOODS = list(GENE_LIKELIHOODS)
WAYS = ["hide", "take"]


def predict_hide(network: GeneMaskedAutoencoder, tokens: TokenBatch, plan: MaskPlan, context: Tensor) -> GeneParams:
    return network(tokens.hide(plan), context)


def predict_take(network: GeneMaskedAutoencoder, tokens: TokenBatch, plan: MaskPlan, context: Tensor) -> GeneParams:
    return network(tokens.take(plan), context)


PREDICT = {"hide": predict_hide, "take": predict_take}


def moved(
    predict: Callable[..., GeneParams],
    network: GeneMaskedAutoencoder,
    tokens: TokenBatch,
    plan: MaskPlan,
    context: Tensor,
    where: Tensor,
) -> list[str]:
    """Names of the predicted parameters that differ by at least one bit when the content at
    ``where`` is replaced.
    """
    generator = torch.Generator().manual_seed(99)
    noise = torch.randint(1, 500, tokens.values.shape, generator=generator).to(tokens.values.dtype)
    names = set()
    with torch.no_grad():
        before = predict(network, tokens, plan, context)
        for other in (noise, tokens.values + 1, torch.full_like(noise, 1e9)):
            after = predict(network, replace(tokens, values=torch.where(where, other, tokens.values)), plan, context)
            for field in dataclasses.fields(before):
                old, new = getattr(before, field.name), getattr(after, field.name)
                if old is not None and not torch.equal(old, new):
                    names.add(field.name)
    return sorted(names)


def assert_no_leak(
    predict: Callable[..., GeneParams], network: GeneMaskedAutoencoder, tokens: TokenBatch, plan: MaskPlan, context: Tensor
) -> None:
    leaks = moved(predict, network, tokens, plan, context, plan.hidden)
    assert not leaks, f"hidden content reaches {leaks}"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("measured", [1.0, 0.7])
def test_hidden_content_reaches_no_prediction(make_network, make_batch, encoder, likelihood, way, measured) -> None:
    network = make_network(encoder, likelihood)
    assert_no_leak(PREDICT[way], network, *make_batch(measured=measured))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("encoder", ENCODERS)
@given(seed=st.integers(0, 2**32), rows=st.integers(2, 9), measured=st.sampled_from([0.3, 0.7, 1.0]))
def test_no_mask_leaks(make_network, make_batch, encoder, way, seed, rows, measured) -> None:
    assert_no_leak(PREDICT[way], make_network(encoder, "zinb"), *make_batch(rows, seed, measured=measured))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_visible_content_reaches_the_predictions(make_network, make_batch, encoder, likelihood, way) -> None:
    tokens, plan, context = make_batch()
    found = moved(PREDICT[way], make_network(encoder, likelihood), tokens, plan, context, plan.visible)
    assert found == (["dropout", "location"] if likelihood == "zinb" else ["location"])


@pytest.mark.parametrize("encoder", ENCODERS)
def test_every_visible_value_reaches_the_latent_vector(make_network, make_batch, encoder) -> None:
    network = make_network(encoder)
    tokens, plan, _ = make_batch()
    with torch.no_grad():
        before = network.encode(tokens.hide(plan))
        for gene in range(tokens.values.shape[1]):
            values = tokens.values.clone()
            values[:, gene] += 3
            changed = (network.encode(replace(tokens, values=values).hide(plan)) != before).any(1)
            assert torch.equal(changed, plan.visible[:, gene])


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("encoder", ENCODERS)
def test_no_gradient_flows_from_a_prediction_to_hidden_content(make_network, make_batch, encoder, likelihood) -> None:
    tokens, plan, context = make_batch()
    values = tokens.values.clone().requires_grad_()
    location = make_network(encoder, likelihood)(replace(tokens, values=values).hide(plan), context).location
    location.square().sum().backward()
    assert (values.grad[plan.hidden] == 0).all()
    assert (values.grad[plan.visible] != 0).any()


# ---------------------------------------------------------------- networks that cheat
class Cheat(GeneMaskedAutoencoder):
    """Its decoder is handed one hidden count, very faintly."""

    everything: TokenBatch

    def decode(self, latent, context, visible, exposure=None, **options):
        faint = 1e-3 * torch.log1p(self.everything.values[:, :1])
        return super().decode(latent + faint, context, visible, exposure, **options)


def predict_by_cheat(network, tokens, plan, context):
    network.everything = replace(tokens, values=tokens.values * plan.hidden)
    return network(tokens.hide(plan), context)


def predict_by_exposure(network, tokens, plan, context):
    return network(tokens.hide(plan), context, network.content.exposure(tokens))


def predict_without_hiding(network, tokens, plan, context):
    return network(tokens, context)


def predict_unerased(network, tokens, plan, context):
    return network(replace(tokens, visible=plan.visible), context)


def predict_by_context(network, tokens, plan, context):
    hidden_total = (tokens.values * plan.hidden).sum(1, keepdim=True)
    return network(tokens.hide(plan), torch.cat([context[:, :1], hidden_total], 1))


@pytest.mark.parametrize("likelihood", LIKELIHOODS)
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("predict", [predict_by_cheat, predict_by_context, predict_without_hiding])
def test_a_network_that_is_handed_hidden_content_is_caught(make_network, make_batch, predict, encoder, likelihood) -> None:
    network = make_network(encoder, likelihood, cls=Cheat if predict is predict_by_cheat else GeneMaskedAutoencoder)
    with pytest.raises(AssertionError, match="hidden content reaches .*location"):
        assert_no_leak(predict, network, *make_batch())


@pytest.mark.parametrize("likelihood", ["nb", "zinb", "poisson"])
@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("predict", [predict_by_exposure, predict_unerased])
def test_a_depth_from_hidden_counts_is_caught(make_network, make_batch, predict, encoder, likelihood) -> None:
    with pytest.raises(AssertionError, match="hidden content reaches .*location"):
        assert_no_leak(predict, make_network(encoder, likelihood), *make_batch())


@pytest.mark.parametrize("way", WAYS)
def test_a_patched_decoder_is_caught(make_network, make_batch, monkeypatch, way) -> None:
    network = make_network("transformer")
    tokens, plan, context = make_batch()
    honest = network.decoder.forward
    assert_no_leak(PREDICT[way], network, tokens, plan, context)
    seen: list[Tensor] = []
    for name in ("hide", "take"):
        original = getattr(TokenBatch, name)
        monkeypatch.setattr(TokenBatch, name, lambda self, p, f=original: (seen.append(self.values), f(self, p))[1])

    def forward(latent, *rest):
        params = honest(latent, *rest)
        return replace(params, location=params.location + 1e-4 * seen[-1])

    monkeypatch.setattr(network.decoder, "forward", forward)
    with pytest.raises(AssertionError, match="hidden content reaches .*location"):
        assert_no_leak(PREDICT[way], network, tokens, plan, context)
