"""The likelihood of hidden bases, against the definition in double precision."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from r2mae_bio.likelihoods import base_nll


def draw(rows=3, length=10, seed=0):
    rng = np.random.default_rng(seed)
    logits = torch.from_numpy(rng.normal(0, 3, (rows, length, 4)).astype(np.float32))
    codes = torch.from_numpy(rng.integers(0, 4, (rows, length)).astype(np.uint8))
    hidden = torch.from_numpy(rng.random((rows, length)) < 0.5)
    return logits, codes, hidden


def test_it_is_minus_the_log_probability_of_the_hidden_base() -> None:
    logits, codes, hidden = draw()
    log_probs = log_softmax(logits.double().numpy(), axis=-1)
    expected = -np.take_along_axis(log_probs, codes.numpy()[..., None].astype(int), -1)[..., 0] * hidden.numpy()
    np.testing.assert_allclose(base_nll(logits, codes, hidden).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_by_hand() -> None:
    """Odds of 1 to 1 to 1 to 5: the fourth base costs log(8 / 5), the others log 8."""
    logits = torch.log(torch.tensor([1.0, 1, 1, 5])).expand(1, 3, 4)
    nats = base_nll(logits, torch.tensor([[3, 0, 3]]), torch.tensor([[True, True, False]]))
    torch.testing.assert_close(nats, torch.tensor([[8 / 5, 8, 1]]).log())


def test_what_is_visible_costs_nothing_whatever_it_is() -> None:
    logits, codes, hidden = draw()
    expected = base_nll(logits, codes, hidden)
    assert (expected[~hidden] == 0).all()
    unknown = codes.masked_fill(~hidden, 4)
    wild = logits.masked_fill(~hidden[..., None], float("nan"))
    assert torch.equal(base_nll(wild, unknown, hidden), expected)
    assert not base_nll(logits, codes, torch.zeros_like(hidden)).any()


def test_one_prediction_for_all_positions() -> None:
    _, codes, hidden = draw()
    logits = torch.tensor([0.3, -1.0, 0.2, 2.0])
    spread = base_nll(logits.expand(3, 10, 4), codes, hidden)
    torch.testing.assert_close(base_nll(logits, codes, hidden), spread, atol=0, rtol=0)


@pytest.mark.parametrize("constant", [-50.0, 3.0])
def test_a_constant_added_to_the_logits_changes_nothing(constant) -> None:
    logits, codes, hidden = draw()
    torch.testing.assert_close(base_nll(logits + constant, codes, hidden), base_nll(logits, codes, hidden), atol=1e-4, rtol=0)


def test_half_precision_logits_are_scored_in_full_precision() -> None:
    logits, codes, hidden = draw()
    half = logits.bfloat16()
    found = base_nll(half, codes, hidden)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, base_nll(half.float(), codes, hidden), atol=0, rtol=0)


def test_the_gradient_is_probability_minus_truth() -> None:
    logits, codes, hidden = draw()
    logits.requires_grad_()
    base_nll(logits, codes, hidden).sum().backward()
    truth = torch.nn.functional.one_hot(codes.long(), 4)
    expected = (logits.detach().softmax(-1) - truth) * hidden[..., None]
    torch.testing.assert_close(logits.grad, expected, atol=1e-6, rtol=0)


def test_an_unknown_base_cannot_be_a_target() -> None:
    logits, codes, hidden = draw()
    with pytest.raises(IndexError):
        base_nll(logits, torch.full_like(codes, 4), hidden)
