"""The composition that the decoder predicts, against the composed operations."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio.cells.network._decoder import _Composition


def composed(location: torch.Tensor, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    log_share = torch.log_softmax(location, 1)
    return log_share, (log_share.exp() * seen).sum(1)


@pytest.mark.parametrize("rows_of_seen", [4, 1])
def test_composition_and_its_gradient_are_those_of_the_composed_operations(rows_of_seen: int) -> None:
    generator = torch.Generator().manual_seed(0)
    location = torch.randn(4, 6, generator=generator, dtype=torch.float64, requires_grad=True)
    seen = (torch.rand(rows_of_seen, 6, generator=generator) < 0.5).double()
    weights = (
        torch.randn(4, 6, generator=generator, dtype=torch.float64),
        torch.randn(4, generator=generator, dtype=torch.float64),
    )
    gradients = []
    for compute in (_Composition.apply, composed):
        found = compute(location, seen)
        gradients.append(torch.autograd.grad(sum((x * w).sum() for x, w in zip(found, weights, strict=True)), location)[0])
        torch.testing.assert_close(found, composed(location, seen))
    torch.testing.assert_close(*gradients)
    assert torch.autograd.gradcheck(lambda x: _Composition.apply(x, seen), (location,))
