"""Mask plans: a partition of the valid slots, an exact count, and no slot favoured."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from r2mae_bio._errors import DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import Uniform, draw_plan

if TYPE_CHECKING:
    from collections.abc import Callable


class Constant(np.random.Generator):
    """Its bytes are all equal, so that all keys tie."""

    byte = 0

    def bytes(self, length: int) -> bytes:
        return bytes([self.byte]) * length


class Ones(Constant):
    byte = 255


class FewKeys(np.random.Generator):
    """Draws one of three keys, so that some ties lie at the boundary and some do not."""

    def bytes(self, length: int) -> bytes:
        return self.choice(np.array([0, 7, 65535], np.uint16), length // 2).tobytes()


def from_numpy(seed: int) -> np.random.Generator:
    return derive_generator(seed, "mask")


def from_torch(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def from_constant(seed: int) -> np.random.Generator:
    return Constant(np.random.PCG64(seed))


def from_ones(seed: int) -> np.random.Generator:
    return Ones(np.random.PCG64(seed))


def from_few_keys(seed: int) -> np.random.Generator:
    return FewKeys(np.random.PCG64(seed))


REAL = [pytest.param(from_numpy, id="numpy"), pytest.param(from_torch, id="torch")]
TIED = [pytest.param(make, id=make.__name__) for make in (from_constant, from_ones, from_few_keys)]


@st.composite
def masks(draw: st.DrawFn) -> tuple[torch.Tensor, np.ndarray]:
    """Valid slots, (B, L) or (1, L), and a ratio for every row."""
    rows, slots, shared = draw(st.integers(1, 6)), draw(st.integers(2, 40)), draw(st.booleans())
    probability, seed = draw(st.sampled_from([0.05, 0.3, 0.7, 1.0])), draw(st.integers(0, 2**32))
    generator = np.random.default_rng(seed)
    valid = generator.random((1 if shared else rows, slots)) < probability
    for row in valid:
        row[generator.choice(slots, 2, replace=False)] = True
    ratio = draw(st.lists(st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])), min_size=rows, max_size=rows))
    return torch.from_numpy(valid), np.array(ratio)


@pytest.mark.parametrize("make", [*REAL, *TIED])
@given(mask=masks(), seed=st.integers(0, 2**32))
def test_partition_exact_count_and_determinism(make: Callable[[int], Any], mask: tuple, seed: int) -> None:
    valid, ratio = mask
    plan = draw_plan(valid, ratio, make(seed))
    everywhere = valid.expand(ratio.size, -1)
    assert plan.hidden.shape == plan.visible.shape == everywhere.shape
    assert plan.hidden.dtype == plan.visible.dtype == torch.bool
    assert not (plan.hidden & plan.visible).any()
    assert torch.equal(plan.hidden | plan.visible, everywhere)

    n = everywhere.sum(1).numpy()
    expected = np.clip(np.round(ratio * n), 1, n - 1)
    np.testing.assert_array_equal(plan.hidden.sum(1).numpy(), expected)
    np.testing.assert_allclose(plan.ratio.numpy(), expected / n, rtol=1e-6)
    assert plan.ratio.shape == (ratio.size,)
    assert torch.equal(draw_plan(valid, ratio, make(seed)).hidden, plan.hidden)


@given(masks(), st.integers(0, 2**32))
def test_kept_slots_are_the_visible_ones_in_order(mask: tuple, seed: int) -> None:
    plan = draw_plan(*mask, from_numpy(seed))
    keep, keep_valid = plan.kept()
    assert keep.shape == keep_valid.shape
    assert keep.shape[1] == int(plan.visible.sum(1).max())
    assert keep.dtype == torch.int64
    for row in range(keep.shape[0]):
        assert keep[row, keep_valid[row]].tolist() == plan.visible[row].nonzero()[:, 0].tolist()
        assert (keep[row, ~keep_valid[row]] == 0).all()
        assert (keep_valid[row].int().diff() <= 0).all()


@pytest.mark.parametrize("make", REAL)
def test_the_generator_moves_on(make: Callable[[int], Any]) -> None:
    valid, ratio, generator = torch.ones(1, 50, dtype=torch.bool), np.full(4, 0.5), make(0)
    first, second = draw_plan(valid, ratio, generator).hidden, draw_plan(valid, ratio, generator).hidden
    assert not torch.equal(first, second)
    assert len({tuple(row.tolist()) for row in first}) == 4
    assert not torch.equal(draw_plan(valid, ratio, make(1)).hidden, first)


@pytest.mark.parametrize("make", REAL)
def test_arguments_are_left_alone(make: Callable[[int], Any]) -> None:
    valid, ratio = torch.rand(5, 9, generator=torch.Generator().manual_seed(0)) < 0.8, np.linspace(0, 1, 5)
    before = valid.clone(), ratio.copy()
    draw_plan(valid, ratio, make(0))
    assert torch.equal(valid, before[0])
    np.testing.assert_array_equal(ratio, before[1])


@pytest.mark.parametrize("make", REAL)
@pytest.mark.parametrize("n_valid", [0, 1])
@pytest.mark.parametrize("shared", [True, False])
def test_rows_with_fewer_than_two_slots_are_refused(make: Callable[[int], Any], n_valid: int, shared: bool) -> None:
    valid = torch.ones(1 if shared else 3, 6, dtype=torch.bool)
    valid[0, n_valid:] = False
    with pytest.raises(DataError, match="1 rows have fewer than two measured slots"):
        draw_plan(valid, np.full(3, 0.5), make(0))


@pytest.mark.parametrize("make", REAL)
def test_batch_scope_hides_the_same_share_of_every_row(make: Callable[[int], Any]) -> None:
    valid = torch.ones(1, 100, dtype=torch.bool)
    batch = draw_plan(valid, Uniform(scope="batch").sample(16, derive_generator(0, "ratio")), make(0))
    row = draw_plan(valid, Uniform(scope="row").sample(16, derive_generator(0, "ratio")), make(0))
    assert batch.ratio.unique().numel() == 1
    assert row.ratio.unique().numel() > 10
    assert len({tuple(hidden.tolist()) for hidden in batch.hidden}) == 16


@pytest.mark.parametrize("make", REAL)
@given(mask=masks(), seed=st.integers(0, 2**32))
def test_a_rectangle_hides_what_comes_first_in_one_order(make: Callable[[int], Any], mask: tuple, seed: int) -> None:
    """Counts are exact, and of what two rows have in common, the one hides all that the other hides
    or the other way round.
    """
    valid, ratio = mask
    plan = draw_plan(valid, ratio, make(seed), rectangle=True)
    everywhere = valid.expand(ratio.size, -1)
    n = everywhere.sum(1).numpy()
    assert not (plan.hidden & ~everywhere).any()
    np.testing.assert_array_equal(plan.hidden.sum(1).numpy(), np.clip(np.round(ratio * n), 1, n - 1))
    for first in range(ratio.size):
        for second in range(first):
            both = everywhere[first] & everywhere[second]
            a, b = plan.hidden[first] & both, plan.hidden[second] & both
            assert torch.equal(a & b, a) or torch.equal(a & b, b)
    assert torch.equal(draw_plan(valid, ratio, make(seed), rectangle=True).hidden, plan.hidden)


@pytest.mark.parametrize("make", REAL)
def test_a_rectangle_hides_every_slot_equally_often(make: Callable[[int], Any]) -> None:
    generator, valid = make(1), torch.ones(1, 6, dtype=torch.bool)
    plans = [draw_plan(valid, np.full(3, 1 / 3), generator, rectangle=True).hidden for _ in range(3000)]
    assert all(bool((hidden == hidden[0]).all()) for hidden in plans)
    times = torch.stack(plans)[:, 0].sum(0).numpy()
    assert stats.chisquare(times).pvalue > 0.001


def test_ratios_may_be_a_tensor() -> None:
    valid = torch.ones(2, 8, dtype=torch.bool)
    plans = [draw_plan(valid, ratio, from_numpy(0)) for ratio in (torch.tensor([0.25, 0.75]), np.array([0.25, 0.75]))]
    assert torch.equal(plans[0].hidden, plans[1].hidden)


# ---------------------------------------------------------------- no slot is favoured
VALID = {
    "shared": torch.ones(1, 6, dtype=torch.bool),
    "shared-gaps": torch.tensor([[1, 1, 0, 1, 0, 0, 0, 1, 1, 1, 0, 0]], dtype=torch.bool),
}
DRAWS = 30_000


def subset_pvalue(hidden: np.ndarray, slots: np.ndarray, m: int) -> float:
    """Chi-square test that all subsets of ``m`` of the ``slots`` are hidden equally often."""
    code = {frozenset(subset): i for i, subset in enumerate(itertools.combinations(slots.tolist(), m))}
    patterns, counts = np.unique(hidden, axis=0, return_counts=True)
    observed = np.zeros(len(code))
    for pattern, count in zip(patterns, counts, strict=True):
        observed[code[frozenset(np.flatnonzero(pattern).tolist())]] = count
    return float(stats.chisquare(observed).pvalue)


def marginal_pvalue(hidden: np.ndarray, m: int) -> float:
    """Chi-square test that every column is hidden equally often, m per row."""
    rows, n = hidden.shape
    p = m / n
    z2 = (hidden.sum(0) - rows * p) ** 2 / (rows * p * (1 - p)) * (n - 1) / n
    return float(stats.chi2(n - 1).sf(z2.sum()))


@pytest.mark.parametrize("make", REAL)
@pytest.mark.parametrize("valid", VALID.values(), ids=VALID)
@pytest.mark.parametrize("m", [1, 2, 4, 5])
def test_every_subset_is_equally_likely(make: Callable[[int], Any], valid: torch.Tensor, m: int) -> None:
    hidden = draw_plan(valid, np.full(DRAWS, m / 6), make(3)).hidden.numpy()
    assert subset_pvalue(hidden, np.flatnonzero(valid[0]), m) > 1e-3


@pytest.mark.parametrize("make", REAL)
def test_every_subset_is_equally_likely_when_rows_differ_in_slots_and_ratio(make: Callable[[int], Any]) -> None:
    kinds = [(VALID["shared-gaps"][0], 2), (VALID["shared-gaps"][0].flip(0), 3), (torch.ones(12, dtype=torch.bool), 1)]
    valid = torch.stack([slots for slots, _ in kinds]).repeat(DRAWS // 3, 1)
    ratio = np.tile([m / int(slots.sum()) for slots, m in kinds], DRAWS // 3)
    hidden = draw_plan(valid, ratio, make(4)).hidden.numpy()
    for i, (slots, m) in enumerate(kinds):
        assert subset_pvalue(hidden[i::3], np.flatnonzero(slots), m) > 1e-3


@pytest.mark.parametrize("make", REAL)
def test_no_slot_of_a_long_row_is_favoured(make: Callable[[int], Any]) -> None:
    valid = torch.ones(1, 2000, dtype=torch.bool)
    hidden = draw_plan(valid, np.full(1000, 0.3), make(5)).hidden.numpy()
    assert marginal_pvalue(hidden, 600) > 1e-3


@pytest.mark.parametrize("make", TIED)
@pytest.mark.parametrize("m", [1, 3, 5])
def test_ties_favour_no_slot(make: Callable[[int], Any], m: int) -> None:
    hidden = draw_plan(VALID["shared"], np.full(DRAWS, m / 6), make(6)).hidden.numpy()
    assert marginal_pvalue(hidden, m) > 1e-3


@pytest.mark.parametrize("make", TIED)
@pytest.mark.parametrize("rows_of_valid", [1, DRAWS])
@pytest.mark.parametrize("m", [1, 3, 5])
def test_ties_favour_no_slot_when_some_are_not_valid(make: Callable[[int], Any], rows_of_valid: int, m: int) -> None:
    valid = VALID["shared-gaps"].expand(rows_of_valid, -1).contiguous()
    hidden = draw_plan(valid, np.full(DRAWS, m / 6), make(7)).hidden.numpy()
    assert marginal_pvalue(hidden[:, valid[0].numpy()], m) > 1e-3


def test_a_favoured_slot_fails_these_tests() -> None:
    hidden = draw_plan(VALID["shared"], np.full(DRAWS, 1 / 3), from_numpy(8)).hidden.numpy()
    first = np.zeros_like(hidden)
    first[:, :2] = True
    biased = np.where(np.arange(DRAWS)[:, None] % 20 == 0, first, hidden)
    assert subset_pvalue(biased, np.arange(6), 2) < 1e-6
    assert marginal_pvalue(biased, 2) < 1e-6
