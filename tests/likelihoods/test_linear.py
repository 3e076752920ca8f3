"""Linear layers by oneDNN, against those of torch."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from r2mae_bio.likelihoods import _linear
from r2mae_bio.likelihoods._linear import Linear, product


def layer(*, bias: bool = True) -> Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Linear(40, 12, bias=bias)


@pytest.mark.parametrize("shape", [(7, 40), (3, 5, 40), (0, 40), (40,)])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_and_its_gradient_are_those_of_torch(shape: tuple[int, ...], *, bias: bool) -> None:
    ours, x = layer(bias=bias), torch.randn(shape, generator=torch.Generator().manual_seed(1))
    found = []
    for compute in (ours, lambda x: F.linear(x, ours.weight, ours.bias)):
        inputs = x.clone().requires_grad_()
        y = compute(inputs)
        weights = torch.linspace(-1, 1, y.numel()).view(y.shape)
        found.append((y, *torch.autograd.grad((y * weights).sum(), [inputs, *ours.parameters()])))
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-5)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), found[1][0], atol=1e-5, rtol=1e-5)


def test_what_is_frozen_gets_no_gradient() -> None:
    ours, x = layer(), torch.ones(2, 40, requires_grad=True)
    ours.weight.requires_grad_(False)
    ours(x).sum().backward()
    assert ours.weight.grad is None
    torch.testing.assert_close(ours.bias.grad, torch.full((12,), 2.0))
    torch.testing.assert_close(x.grad, ours.weight.sum(0).expand(2, -1))


def test_products_of_transposed_matrices(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    x, y = torch.randn(30, 9, generator=generator), torch.randn(30, 11, generator=generator)
    expected = x.double().T @ y.double()
    torch.testing.assert_close(product(x.T, y.T).double(), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(product(x.double().T, y.double().T), expected)
    monkeypatch.setattr(_linear, "_onednn", lambda: None)  # other processors, and torch without oneDNN
    torch.testing.assert_close(product(x.T, y.T).double(), expected, atol=1e-5, rtol=1e-5)


def test_mixed_precision_is_left_to_torch() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert layer()(torch.ones(2, 40)).dtype == torch.bfloat16


def test_state_is_that_of_a_plain_layer() -> None:
    plain = nn.Linear(40, 12)
    plain.load_state_dict(layer().state_dict())
    torch.testing.assert_close(plain.weight, layer().weight)


@pytest.mark.parametrize("activation", ["none", "swish"])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("library", ["oneDNN", "torch"])
def test_what_is_done_to_a_product_besides(
    monkeypatch: pytest.MonkeyPatch, activation: _linear.Activation, library: str, *, add: bool
) -> None:
    if library == "torch":
        monkeypatch.setattr(_linear, "_onednn", lambda: None)
    generator = torch.Generator().manual_seed(3)
    x, added = torch.randn(2, 5, 40, generator=generator), torch.randn(2, 5, 12, generator=generator)
    ours = layer()
    expected = F.linear(x, ours.weight, ours.bias)
    expected = F.silu(expected) if activation == "swish" else expected
    with torch.inference_mode():
        found = product(x, ours.weight, ours.bias, activation=activation, added=added if add else None)
    torch.testing.assert_close(found, (expected + added if add else expected).detach(), atol=1e-5, rtol=1e-5)
