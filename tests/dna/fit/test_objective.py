"""What a DNA run minimises: weights, kinds of bases reported apart, the blind control, groups of
parameters.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio._rng import derive_generator
from r2mae_bio.config import DNAConfig, TrainConfig
from r2mae_bio.core._metrics import RatioMeter
from r2mae_bio.dna.fit._batch import WindowBatch
from r2mae_bio.dna.fit._objective import DNAObjective
from r2mae_bio.dna.network._mae import DNAMaskedAutoencoder, base_tokens
from r2mae_bio.likelihoods import base_nll
from r2mae_bio.masking import Uniform, draw_plan

SHARES = torch.tensor([0.4, 0.3, 0.2, 0.1])
SIZES = {"d_model": 16, "n_layers": 2, "n_heads": 2}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def network() -> DNAMaskedAutoencoder:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return DNAMaskedAutoencoder(DNAConfig(**SIZES)).eval()


@pytest.fixture
def objective() -> DNAObjective:
    return DNAObjective(SHARES.log())


def draw(rows=6, length=30, seed=0):
    """Codes with unknown ones among them, which bases are repeats (unknown ones too), and a
    plan.
    """
    generator = derive_generator(seed, "bases")
    codes = torch.from_numpy(generator.integers(0, 5, (rows, length)).astype(np.uint8))
    repeat = torch.from_numpy(generator.random((rows, length)) < 0.4)
    return codes, repeat, draw_plan(codes < 4, Uniform().sample(rows, generator), generator)


def weights(repeat, weight):
    return torch.where(repeat, weight, 1.0)


@torch.no_grad()
def test_without_repeats_every_hidden_base_counts_once(network, objective) -> None:
    codes, _, plan = draw()
    score = objective.score(network, WindowBatch(codes), plan)
    nats = base_nll(network(base_tokens(codes).hide(plan)), codes, plan.hidden)
    torch.testing.assert_close(score.nats, nats.sum(1))
    torch.testing.assert_close(score.weight, plan.hidden.sum(1).float())
    assert score.parts == {}


@torch.no_grad()
@pytest.mark.parametrize("weight", [0.1, 1.0, 3.0])
def test_soft_masked_bases_are_weighted(network, objective, weight) -> None:
    codes, repeat, plan = draw()
    score = objective.score(network, WindowBatch(codes, weights(repeat, weight), repeat), plan)
    nats = base_nll(network(base_tokens(codes).hide(plan)), codes, plan.hidden)
    torch.testing.assert_close(score.nats, (nats * weights(repeat, weight)).sum(1))
    hidden = [(plan.hidden & kind).sum(1) for kind in (repeat, ~repeat)]
    torch.testing.assert_close(score.weight, weight * hidden[0] + hidden[1])


@torch.no_grad()
@pytest.mark.parametrize("weight", [None, 0.1])
def test_kinds_of_bases_are_reported_apart_and_without_weights(network, objective, weight) -> None:
    codes, repeat, plan = draw()
    plain = objective.score(network, WindowBatch(codes), plan)
    batch = WindowBatch(codes, None if weight is None else weights(repeat, weight), repeat)
    parts = objective.score(network, batch, plan).parts
    assert set(parts) == {"repeat", "unique"}
    torch.testing.assert_close(parts["repeat"][0] + parts["unique"][0], plain.nats.sum())
    torch.testing.assert_close((parts["repeat"][1] + parts["unique"][1]).float(), plain.weight.sum())
    assert int(parts["repeat"][1]) == int((plan.hidden & repeat).sum()) > 0
    meter = RatioMeter()
    meter.update(plain, plan.ratio)
    apart = RatioMeter()
    apart.update(objective.score(network, batch, plan), plan.ratio)
    report, share = apart.report("x"), float(parts["repeat"][1] / plan.hidden.sum())
    mixed = share * report["x_loss_repeat"] + (1 - share) * report["x_loss_unique"]
    assert mixed == pytest.approx(meter.report("x")["x_loss"], rel=1e-6)


def test_unknown_bases_are_never_to_be_predicted(network, objective) -> None:
    codes, _, _ = draw()
    assert torch.equal(objective.valid(WindowBatch(codes)), codes != 4)
    for seed in range(20):
        codes, repeat, plan = draw(seed=seed)
        assert not (plan.hidden & (codes == 4)).any()
        with torch.no_grad():
            found = objective.score(network, WindowBatch(codes, weights(repeat, 0.5), repeat), plan)
            other = repeat ^ (codes == 4)  # what kind an unknown base is of makes no difference
            again = objective.score(network, WindowBatch(codes, weights(other, 0.5), other), plan)
        assert torch.equal(found.nats, again.nats)
        assert torch.equal(found.weight, again.weight)
        for name in ("repeat", "unique"):
            torch.testing.assert_close(found.parts[name], again.parts[name])


def test_the_blind_baseline_is_minus_the_log_of_the_shares(objective) -> None:
    codes, repeat, plan = draw()
    score = objective.blind(WindowBatch(codes, weights(repeat, 0.5), repeat), plan)
    cost = -SHARES.log()[codes.clamp(max=3).long()] * plan.hidden
    torch.testing.assert_close(score.nats, (cost * weights(repeat, 0.5)).sum(1))
    torch.testing.assert_close(objective.blind(WindowBatch(codes), plan).nats, cost.sum(1))


def test_the_blind_baseline_of_data_with_these_shares_is_their_entropy(objective) -> None:
    codes = torch.from_numpy(np.random.default_rng(0).choice(4, (64, 500), p=SHARES.numpy() / SHARES.numpy().sum()))
    generator = derive_generator(0, "mask")
    plan = draw_plan(torch.ones_like(codes, dtype=torch.bool), np.full(64, 0.5), generator)
    score = objective.blind(WindowBatch(codes), plan)
    entropy = float(-(SHARES * SHARES.log()).sum())
    assert float(score.nats.sum() / score.weight.sum()) == pytest.approx(entropy, abs=0.02)


@pytest.mark.parametrize("hiding", ["replace", "drop"])
def test_groups_hold_every_parameter_once(objective, hiding) -> None:
    network = DNAMaskedAutoencoder(DNAConfig(hiding=hiding, **SIZES))
    decayed, plain = objective.parameter_groups(network, TrainConfig(max_epochs=1, weight_decay=0.3))
    ids = [id(p) for group in (decayed, plain) for p in group["params"]]
    assert sorted(ids) == sorted(id(p) for p in network.parameters())
    assert len(set(ids)) == len(ids)
    assert (decayed["weight_decay"], plain["weight_decay"]) == (0.3, 0.0)
    kept = {id(p) for p in plain["params"]}
    for name, parameter in network.named_parameters():
        assert (id(parameter) in kept) == (name.endswith("bias") or "norm" in name), name


def test_units_are_bases(objective) -> None:
    batch = WindowBatch(draw()[0])
    assert (objective.unit, objective.n_units(batch), objective.n_rows(batch)) == ("bases", 180, 6)


def test_gradients_do_not_flow_through_what_is_reported(objective) -> None:
    codes, repeat, plan = draw()
    network = DNAMaskedAutoencoder(DNAConfig(**SIZES))
    score = objective.score(network, WindowBatch(codes, None, repeat), plan)
    assert score.nats.requires_grad
    assert not any(tensor.requires_grad for pair in score.parts.values() for tensor in pair)


# ---------------------------------------------------------------- the meter


def test_a_meter_goes_on_from_its_tensors(objective) -> None:
    """Also the kinds of bases that are reported apart, which a run stopped within an epoch must not
    forget.
    """
    whole, stopped, resumed = RatioMeter(), RatioMeter(), RatioMeter()
    for seed in range(4):
        codes, repeat, plan = draw(seed=seed)
        score = objective.blind(WindowBatch(codes, None, repeat), plan)
        whole.update(score, plan.ratio)
        (stopped if seed < 2 else resumed).update(score, plan.ratio)
        if seed == 1:
            saved = {"other": torch.zeros(1), **{name: tensor.clone() for name, tensor in stopped.tensors().items()}}
            resumed.restore(saved)
    assert resumed.report("x") == whole.report("x")
    assert resumed.rows() == whole.rows()
    assert "x_loss_repeat" in whole.report("x")
