"""The DNA network: what is hidden stays hidden, what is unknown is read like it, rows do not know
their mates.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator
from r2mae_bio.config import DNAConfig
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder, base_tokens
from r2mae_bio.dna.network._rotary import rotary_angles
from r2mae_bio.masking import MaskPlan, Uniform, draw_plan
from r2mae_bio.tokens import TokenBatch

SIZES = {"d_model": 16, "n_layers": 3, "n_heads": 2, "attention_every": 2, "kernel": 3, "stem_kernel": 5}


WAYS = ["replace", "drop"]


each_way = pytest.mark.parametrize("hiding", WAYS)


CLOSE = {"atol": 1e-5, "rtol": 0}


pytestmark = pytest.mark.usefixtures("one_thread")


def make(hiding="replace", *, cls=DNAMaskedAutoencoder, scale=2.0, **changes):
    """Weights scaled up, so that predictions are far from flat and every branch counts."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = cls(DNAConfig(hiding=hiding, **{**SIZES, **changes}))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(scale)
    return network.eval()


def draw(rows=5, length=24, seed=0, *, unknown=0.0):
    """Codes and a plan; ``unknown`` is the share of N."""
    generator = derive_generator(seed, "bases")
    codes = torch.from_numpy(generator.integers(0, 4, (rows, length)))
    codes[torch.from_numpy(generator.random((rows, length)) < unknown)] = 4
    codes[:, :2] = codes[:, :2].clamp(max=3)
    return codes, draw_plan(codes < 4, Uniform().sample(rows, generator), generator)


def predict(network, codes, plan):
    with torch.no_grad():
        return network(base_tokens(codes).hide(plan))


# ---------------------------------------------------------------- leakage


def changed(network, codes, plan, where):
    """Rows of which a logit moves by at least one bit when the bases at ``where`` are replaced by
    others.
    """
    before = predict(network, codes, plan)
    rows = torch.zeros(len(codes), dtype=torch.bool)
    for step in (1, 2, 3):
        after = predict(network, torch.where(where, (codes + step) % 4, codes), plan)
        rows |= (after != before).flatten(1).any(1)
    return rows


def assert_no_leak(network, codes, plan):
    assert not changed(network, codes, plan, plan.hidden).any(), "hidden bases reach the prediction"


@each_way
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 6), length=st.integers(2, 40), unknown=st.sampled_from([0.0, 0.3]))
def test_hidden_bases_reach_no_prediction(hiding, seed, rows, length, unknown) -> None:
    assert_no_leak(NETWORKS[hiding], *draw(rows, length, seed, unknown=unknown))


@each_way
def test_each_visible_base_reaches_the_prediction(hiding) -> None:
    codes, plan = draw()
    for place in range(codes.shape[1]):
        where = torch.zeros_like(plan.hidden)
        where[:, place] = True
        assert torch.equal(changed(NETWORKS[hiding], codes, plan, where), plan.visible[:, place])


class Unhiding(DNAMaskedAutoencoder):
    """Reads the bases of slots that it must not see."""

    def _read(self, visible, n_blocks):
        return super()._read(replace(visible, visible=torch.ones_like(visible.visible)), n_blocks)


@each_way
def test_a_network_that_is_handed_hidden_bases_is_caught(hiding) -> None:
    network = make(hiding, cls=Unhiding)
    codes, plan = draw()
    tokens = replace(base_tokens(codes), visible=plan.visible)  # hidden, but not erased
    with torch.no_grad():
        other = network(replace(tokens, values=torch.where(plan.hidden, 3 - codes, codes)))
        assert not torch.equal(network(tokens), other)
        honest = NETWORKS[hiding]
        assert torch.equal(honest(tokens), honest(replace(tokens, values=torch.where(plan.hidden, 3 - codes, codes))))


@each_way
def test_unknown_and_hidden_are_read_alike(hiding) -> None:
    codes, plan = draw()
    unknown = codes.masked_fill(plan.hidden, 4)
    nothing = MaskPlan(torch.zeros_like(plan.hidden), unknown < 4)
    with torch.no_grad():
        torch.testing.assert_close(
            predict(NETWORKS[hiding], codes, plan), predict(NETWORKS[hiding], unknown, nothing), atol=0, rtol=0
        )
        assert torch.equal(NETWORKS[hiding](base_tokens(unknown)), predict(NETWORKS[hiding], codes, plan))


@each_way
def test_a_row_in_which_nothing_is_known(hiding) -> None:
    codes, _ = draw(3)
    codes[1] = 4
    with torch.no_grad():
        logits = NETWORKS[hiding](base_tokens(codes))
        assert torch.isfinite(logits).all()
        torch.testing.assert_close(NETWORKS[hiding](base_tokens(codes[1:2])), logits[1:2], **CLOSE)
        only = NETWORKS[hiding](base_tokens(torch.full((2, 9), 4)))
    assert torch.isfinite(only).all()


# ---------------------------------------------------------------- rows, positions, layers


@each_way
def test_a_row_does_not_know_its_mates(hiding) -> None:
    codes, plan = draw(7, 30, unknown=0.2)
    together = predict(NETWORKS[hiding], codes, plan)
    for row in range(7):
        one = slice(row, row + 1)
        alone = predict(NETWORKS[hiding], codes[one], MaskPlan(plan.hidden[one], plan.valid[one]))
        torch.testing.assert_close(alone, together[one], **CLOSE)
    assert float(together.std()) > 0.3


@each_way
@pytest.mark.parametrize("shift", [1, 500])
def test_only_distances_count(hiding, shift) -> None:
    codes, plan = draw()
    tokens = base_tokens(codes).hide(plan)
    with torch.no_grad():
        moved = NETWORKS[hiding](replace(tokens, ids=tokens.ids + shift))
        torch.testing.assert_close(moved, NETWORKS[hiding](tokens), atol=1e-4, rtol=0)
        apart = NETWORKS[hiding](replace(tokens, ids=3 * tokens.ids))
    assert float((apart - moved).abs().max()) > 1e-2


def test_dropped_slots_may_come_in_any_order() -> None:
    """Without convolutions there is nothing but ids to tell where a base lies."""
    codes, plan = draw()
    tokens = base_tokens(codes).hide(plan)
    order = torch.randperm(codes.shape[1], generator=torch.Generator().manual_seed(1))
    other = TokenBatch(tokens.ids[:, order], tokens.values[:, order], tokens.visible[:, order])
    with torch.no_grad():
        torch.testing.assert_close(NETWORKS["drop"](other), NETWORKS["drop"](tokens)[:, order], **CLOSE)


def test_without_attention_the_reach_is_that_of_the_convolutions() -> None:
    """Five taps of the stem reach 2 bp; three taps at distances 1, 2, 1 reach 1 + 2 + 1 bp more."""
    network = make(attention_every=3, dilations=(1, 2), n_layers=1)  # its only block does not attend
    assert network.blocks[0].attention is None
    codes, _ = draw(2, 40)
    other = codes.clone()
    other[:, 20] = (codes[:, 20] + 1) % 4
    with torch.no_grad():
        moved = (network(base_tokens(other)) != network(base_tokens(codes))).any(-1).any(0).nonzero().flatten()
    assert (int(moved.min()), int(moved.max())) == (17, 23)


def test_which_blocks_attend() -> None:
    for every, expected in ((1, [0, 1, 2, 3, 4, 5]), (2, [1, 3, 5]), (3, [1, 4])):
        blocks = DNAMaskedAutoencoder(DNAConfig(**{**SIZES, "n_layers": 6, "attention_every": every})).blocks
        assert [i for i, block in enumerate(blocks) if block.attention is not None] == expected
    assert all(block.attention is not None and block.convolution is None for block in NETWORKS["drop"].blocks)


def test_layers() -> None:
    codes, _ = draw()
    network = NETWORKS["replace"]
    with torch.no_grad():
        found = [network.states(codes, layer) for layer in range(4)]
        for layer in range(-4, 0):
            assert torch.equal(network.states(codes, layer), found[layer + 4])
        assert torch.equal(network.head(found[-1]).float(), network(base_tokens(codes)))
        x = network.stem(torch.nn.functional.one_hot(codes, 5).float().mT).mT
        torch.testing.assert_close(found[0], x, **CLOSE)
        x = network.blocks[0](x, rotary_angles(torch.arange(24)[None], 8))
        torch.testing.assert_close(found[1], x, **CLOSE)
    assert all(state.shape == (5, 24, 16) for state in found)
    assert len({float(state.sum()) for state in found}) == 4
    for layer in (4, -5):
        with pytest.raises(ConfigError, match="needed is 0 to 3 or -1 to -4"):
            network.states(codes, layer)


def test_a_network_that_drops_has_no_inner_layers() -> None:
    codes, _ = draw()
    with torch.no_grad():
        assert torch.equal(NETWORKS["drop"].states(codes, 3), NETWORKS["drop"].states(codes))
    with pytest.raises(ConfigError, match="with 'drop' the last alone"):
        NETWORKS["drop"].states(codes, 1)


@each_way
def test_every_parameter_gets_a_gradient(hiding) -> None:
    codes, plan = draw()
    network = make(hiding)
    network(base_tokens(codes).hide(plan))[plan.hidden].square().sum().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(("name", "low", "high"), [("tiny", 0.7e6, 1.5e6), ("small", 15e6, 25e6), ("base", 90e6, 130e6)])
def test_presets_have_the_sizes_they_are_said_to_have(name, low, high) -> None:
    with torch.device("meta"):
        network = DNAMaskedAutoencoder(DNAConfig.preset(name))
    assert low < sum(p.numel() for p in network.parameters()) < high


def test_codes_of_any_integer_type() -> None:
    codes, plan = draw()
    expected = predict(NETWORKS["replace"], codes, plan)
    for dtype in (torch.uint8, torch.int32):
        assert torch.equal(predict(NETWORKS["replace"], codes.to(dtype), plan), expected)


NETWORKS = {hiding: make(hiding) for hiding in WAYS}
