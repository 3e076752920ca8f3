"""Rotary positions: turning keeps lengths, and attention knows distances alone."""

from __future__ import annotations

import math

import pytest
import torch

from r2mae_bio.dna.network._base_block import RotaryAttention
from r2mae_bio.dna.network._rotary import rotary_angles, rotate

WIDTH = 8


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def turned(x, positions):
    return rotate(x, rotary_angles(torch.as_tensor(positions)[None], x.shape[-1]))


def test_angles_by_hand() -> None:
    """Features i and i + width / 2 are a plane that turns by position * 10000 ** (-2 i / width)."""
    x = torch.tensor([1.0, 2.0, 3.0, 4.0]).view(1, 1, 1, 4)
    angles = (3.0, 3.0 / 100)
    expected = [
        1 * math.cos(angles[0]) - 3 * math.sin(angles[0]),
        2 * math.cos(angles[1]) - 4 * math.sin(angles[1]),
        3 * math.cos(angles[0]) + 1 * math.sin(angles[0]),
        4 * math.cos(angles[1]) + 2 * math.sin(angles[1]),
    ]
    torch.testing.assert_close(turned(x, [3]).flatten(), torch.tensor(expected))


def test_lengths_stay_and_position_zero_changes_nothing() -> None:
    x = noise(2, 3, 6, WIDTH)
    torch.testing.assert_close(turned(x, range(6)).norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(turned(x, [0] * 6), x, atol=0, rtol=0)


def test_turns_add_up() -> None:
    x = noise(1, 2, 5, WIDTH)
    torch.testing.assert_close(turned(turned(x, range(5)), [7] * 5), turned(x, range(7, 12)))


def test_products_depend_on_distance_alone() -> None:
    """A Toeplitz matrix if all queries are one vector and all keys another; and not a constant
    one.
    """
    query, key = (noise(1, 1, 1, WIDTH, seed=s).expand(1, 1, 40, WIDTH) for s in (1, 2))
    products = (turned(query, range(40)) @ turned(key, range(40)).mT)[0, 0]
    for distance in (-25, -3, 0, 1, 14):
        along = products.diagonal(distance)
        assert float(along.max() - along.min()) < 1e-5
    assert float(products[0].std()) > 0.1


def test_rows_may_have_their_own_positions() -> None:
    x, positions = noise(3, 2, 4, WIDTH), torch.tensor([[0, 1, 2, 3], [5, 3, 9, 0], [2, 2, 2, 2]])
    together = rotate(x, rotary_angles(positions, WIDTH))
    for row in range(3):
        torch.testing.assert_close(together[row : row + 1], turned(x[row : row + 1], positions[row]))


def test_the_type_of_the_features_is_kept() -> None:
    assert turned(noise(1, 1, 3, WIDTH).bfloat16(), range(3)).dtype == torch.bfloat16


# ---------------------------------------------------------------- attention


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
