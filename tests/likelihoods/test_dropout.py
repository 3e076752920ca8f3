"""Dropout is torch's in law, seed and gradient, and in less time."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from r2mae_bio.likelihoods._dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.003])
def test_the_law(p: float) -> None:
    torch.manual_seed(0)
    x = torch.full((101, 1003), 2.0, requires_grad=True)
    found = Dropout(p)(x)
    kept = found != 0
    n = x.numel()
    assert float((~kept).sum()) == pytest.approx(n * p, abs=5 * (n * p * (1 - p)) ** 0.5)
    assert found[kept].unique().tolist() == pytest.approx([2 / (1 - p)], rel=1e-4)
    neighbours = (kept[:, 1:] == kept[:, :-1]).float().mean()  # which share a draw
    assert float(neighbours) == pytest.approx(p**2 + (1 - p) ** 2, abs=0.01)
    found.sum().backward()
    assert torch.equal(x.grad, found.detach() / 2)


def test_a_seed_gives_the_same_and_the_next_call_another() -> None:
    x, layer = torch.ones(50, 7), Dropout(0.3)
    torch.manual_seed(1)
    first, second = layer(x), layer(x)
    torch.manual_seed(1)
    assert torch.equal(layer(x), first)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_ends_and_evaluation_are_torch_s(p: float) -> None:
    x = torch.randn(5, 3)
    assert torch.equal(Dropout(p)(x), nn.Dropout(p)(x))
    assert torch.equal(Dropout(0.5).eval()(x), x)
    assert Dropout(0.5)(x[:0]).shape == (0, 3)
