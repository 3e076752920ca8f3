"""Random streams: pure functions of (seed, stream, position), independent of one another."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._rng import derive_generator, derive_seed

seeds = st.integers(0, 2**40)
streams = st.text(max_size=8)
positions = st.lists(st.integers(0, 2**31), max_size=3)


@given(seeds, streams, positions)
def test_a_seed_is_a_pure_function_of_its_arguments(seed: int, stream: str, position: list[int]) -> None:
    first = derive_seed(seed, stream, *position)
    np.random.default_rng(0).random(3)
    assert derive_seed(seed, stream, *position) == first
    assert isinstance(first, int)
    assert 0 <= first < 2**63


@given(seeds, streams, positions)
def test_the_generator_starts_at_the_seed(seed: int, stream: str, position: list[int]) -> None:
    expected = np.random.default_rng(derive_seed(seed, stream, *position)).random(4)
    np.testing.assert_array_equal(derive_generator(seed, stream, *position).random(4), expected)


def test_the_stream_does_not_change_between_versions() -> None:
    assert derive_seed(0, "mask") == 3066202801878387224
    assert derive_seed(1, "shuffle", 2, 3) == 5749916937810898163


def test_neighbouring_places_never_share_a_seed() -> None:
    places = [()] + [(i,) for i in range(30)] + list(itertools.product(range(30), repeat=2))
    keys = [(seed, stream, *place) for seed in range(3) for stream in ("mask", "shuffle", "") for place in places]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_order_of_the_position_matters() -> None:
    assert derive_seed(0, "mask", 1, 2) != derive_seed(0, "mask", 2, 1)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param((0, "shuffle", 0), id="stream"),
        pytest.param((1, "mask", 0), id="seed"),
        pytest.param((0, "mask", 1), id="position"),
        pytest.param((0, "mask"), id="no-position"),
    ],
)
def test_streams_are_uncorrelated(other: tuple[int, str, int]) -> None:
    n = 20_000
    first, second = derive_generator(0, "mask", 0).normal(size=n), derive_generator(*other).normal(size=n)
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(n)


def test_first_draws_of_successive_steps_are_uniform() -> None:
    draws = np.array([derive_generator(7, "ratio", step).random() for step in range(2000)])
    counts, _ = np.histogram(draws, bins=20, range=(0, 1))
    assert ((counts - 100) ** 2 / 100).sum() < 45  # 0.999 quantile of chi-square with 19 degrees of freedom is 43.8
    assert abs(np.corrcoef(draws[:-1], draws[1:])[0, 1]) < 4 / np.sqrt(2000)


def test_negative_seeds_and_positions_are_refused() -> None:
    with pytest.raises(ValueError, match="non-negative"):
        derive_seed(-1, "mask")
    with pytest.raises(ValueError, match="non-negative"):
        derive_seed(0, "mask", -1)
