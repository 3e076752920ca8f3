"""Seeding within a block, and nothing beyond it."""

from __future__ import annotations

import pytest
import torch

from r2mae_bio.core._seeded import seeded


def test_draws_follow_the_seed_and_the_global_generator_is_left_alone() -> None:
    before = torch.get_rng_state()
    drawn = []
    for seed in (1, 1, 2):
        with seeded(seed):
            drawn.append(torch.rand(3))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    assert torch.equal(torch.get_rng_state(), before)


def test_an_error_leaves_the_generator_as_it_was() -> None:

    def fail() -> None:
        with seeded(0):
            torch.rand(3)
            raise ValueError("on purpose")

    before = torch.get_rng_state()
    with pytest.raises(ValueError, match="on purpose"):
        fail()
    assert torch.equal(torch.get_rng_state(), before)
