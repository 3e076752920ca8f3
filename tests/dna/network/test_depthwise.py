"""Convolutions, by taps."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio.dna.network._depthwise import DepthwiseConvolution

CLOSE = {"atol": 1e-5, "rtol": 0}


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.parametrize("dilation", [1, 2, 3, 12])
def test_a_convolution_is_the_sum_over_its_taps(dilation: int) -> None:
    layer = DepthwiseConvolution(3, 5, dilation)
    x = torch.randn(2, 11, 3, generator=torch.Generator().manual_seed(0))
    weight = layer.filters.weight[:, 0, 0].detach()  # (D, taps)
    expected = torch.zeros_like(x) + layer.filters.bias.detach()
    for place in range(11):
        for tap in range(5):
            source = place + dilation * (tap - 2)
            if 0 <= source < 11:
                expected[:, place] += weight[:, tap] * x[:, source]
    with torch.no_grad():
        torch.testing.assert_close(layer(x), expected, **CLOSE)
        torch.testing.assert_close(layer._dilated(x), expected, **CLOSE)  # the way of a GPU


@pytest.mark.parametrize("dilation", [1, 2, 12])
def test_both_ways_of_a_convolution_have_the_same_gradients(dilation: int) -> None:
    layer = DepthwiseConvolution(3, 5, dilation)
    x = torch.randn(2, 11, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weights = torch.randn(2, 11, 3, generator=torch.Generator().manual_seed(1))
    inputs = (x, layer.filters.weight, layer.filters.bias)
    for a, b in zip(*(torch.autograd.grad((way(x) * weights).sum(), inputs) for way in (layer, layer._dilated)), strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
