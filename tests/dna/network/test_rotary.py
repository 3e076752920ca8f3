"""Rotary positions: turning keeps lengths, and attention knows distances alone."""

from __future__ import annotations

import math

import torch

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
