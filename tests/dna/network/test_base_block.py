"""Attention among bases."""

from __future__ import annotations

import math

import pytest
import torch

from r2mae_bio.dna.network._base_block import RotaryAttention
from r2mae_bio.dna.network._rotary import rotary_angles, rotate


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def attention() -> RotaryAttention:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return RotaryAttention(16, 2).eval()


def attend(attention, x, positions, present=None):
    with torch.no_grad():
        return attention(x, rotary_angles(positions, 8), present)


def test_attention_is_softmax_over_turned_products(attention) -> None:
    """Against the formula, written out for one head after the other."""
    x, positions = noise(2, 7, 16), torch.arange(7)[None]
    with torch.no_grad():
        query, key, value = attention.qkv(x).split(16, dim=-1)
        heads = []
        for h in (slice(0, 8), slice(8, 16)):
            q, k = (rotate(t[..., h][:, None], rotary_angles(positions, 8))[:, 0] for t in (query, key))
            heads.append((q @ k.mT / math.sqrt(8)).softmax(-1) @ value[..., h])
        expected = attention.out(torch.cat(heads, -1))
    torch.testing.assert_close(attend(attention, x, positions), expected)


@pytest.mark.parametrize("shift", [1, 100, 2000])
def test_attention_does_not_know_where_it_is(attention, shift) -> None:
    x, positions = noise(2, 30, 16), torch.arange(30)[None]
    torch.testing.assert_close(attend(attention, x, positions + shift), attend(attention, x, positions), atol=2e-5, rtol=0)


def test_attention_knows_distances(attention) -> None:
    x, positions = noise(2, 30, 16), torch.arange(30)[None]
    assert float((attend(attention, x, 2 * positions) - attend(attention, x, positions)).abs().max()) > 1e-2


def test_slots_may_come_in_any_order(attention) -> None:
    x, positions = noise(1, 12, 16), torch.arange(12)[None]
    order = torch.randperm(12, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(
        attend(attention, x[:, order], positions[:, order]), attend(attention, x, positions)[:, order], atol=1e-6, rtol=0
    )


def test_absent_slots_are_not_read(attention) -> None:
    x, positions = noise(1, 9, 16), torch.arange(9)[None]
    present = torch.arange(9)[None] < 6
    found = attend(attention, x, positions, present)[:, :6]
    torch.testing.assert_close(found, attend(attention, x[:, :6], positions[:, :6]), atol=1e-6, rtol=0)
