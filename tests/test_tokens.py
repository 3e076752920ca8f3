"""Token batches: what is taken, what is erased."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import MaskPlan, draw_plan
from r2mae_bio.tokens import TokenBatch


@st.composite
def masked(draw: st.DrawFn) -> tuple[TokenBatch, MaskPlan]:
    """Tokens of which everything valid is visible, and a plan for them."""
    rows, slots, seed = draw(st.integers(1, 6)), draw(st.integers(2, 25)), draw(st.integers(0, 2**32))
    shared_ids, shared_valid = draw(st.booleans()), draw(st.booleans())
    generator = torch.Generator().manual_seed(seed)
    valid = torch.rand(1 if shared_valid else rows, slots, generator=generator) < draw(st.sampled_from([0.2, 0.7, 1.0]))
    valid[:, :2] = True
    ids = torch.stack([torch.randperm(40, generator=generator)[:slots] for _ in range(1 if shared_ids else rows)])
    values = torch.randint(0, 5, (rows, slots), generator=generator).float() * valid
    ratio = torch.rand(rows, generator=generator, dtype=torch.float64)
    return TokenBatch(ids, values, valid), draw_plan(valid, ratio, derive_generator(seed, "mask"))


@given(masked())
def test_hide_erases_hidden_content_and_nothing_else(case: tuple[TokenBatch, MaskPlan]) -> None:
    batch, plan = case
    hidden = batch.hide(plan)
    assert torch.equal(hidden.ids, batch.ids)
    assert hidden.values.shape == batch.values.shape
    assert hidden.values.dtype == batch.values.dtype
    assert torch.equal(hidden.visible.expand_as(plan.visible), plan.visible)
    assert (hidden.values[plan.hidden] == 0).all()
    assert torch.equal(hidden.values[plan.visible], batch.values[plan.visible])


@given(masked())
def test_take_gathers_exactly_the_visible_content_in_order(case: tuple[TokenBatch, MaskPlan]) -> None:
    batch, plan = case
    taken = batch.take(plan)
    rows = batch.values.shape[0]
    assert taken.ids.shape == taken.values.shape == taken.visible.shape == (rows, int(plan.visible.sum(1).max()))
    assert torch.equal(taken.visible.sum(1), plan.visible.sum(1))
    ids = batch.ids.expand(rows, -1)
    for row in range(rows):
        seen = taken.visible[row]
        assert torch.equal(taken.ids[row, seen], ids[row, plan.visible[row]])
        assert torch.equal(taken.values[row, seen], batch.values[row, plan.visible[row]])
        assert (taken.values[row, ~seen] == 0).all()


@given(masked())
def test_taken_tokens_put_back_are_the_hidden_batch(case: tuple[TokenBatch, MaskPlan]) -> None:
    batch, plan = case
    taken, hidden = batch.take(plan), batch.hide(plan)
    rows = batch.values.shape[0]
    ids = batch.ids.expand(rows, -1)
    by_gene, expected = torch.zeros(rows, 40), torch.zeros(rows, 40)
    by_gene.scatter_add_(1, taken.ids, taken.values)
    expected.scatter_(1, ids, hidden.values)
    assert torch.equal(by_gene, expected)
    visible = torch.zeros(rows, 40).scatter_add(1, taken.ids, taken.visible.float())
    assert torch.equal(visible, torch.zeros(rows, 40).scatter(1, ids, hidden.visible.float().expand(rows, -1)))


@given(masked())
def test_the_batch_itself_is_left_alone(case: tuple[TokenBatch, MaskPlan]) -> None:
    batch, plan = case
    before = [tensor.clone() for tensor in (batch.ids, batch.values, batch.visible)]
    batch.hide(plan)
    batch.take(plan)
    for tensor, old in zip((batch.ids, batch.values, batch.visible), before, strict=True):
        assert torch.equal(tensor, old)


def test_hiding_twice_hides_both() -> None:
    valid = torch.ones(1, 4, dtype=torch.bool)
    first, second = torch.tensor([[1, 0, 0, 0]]).bool(), torch.tensor([[0, 1, 0, 0]]).bool()
    batch = TokenBatch(torch.arange(4)[None], torch.arange(1.0, 5.0)[None], valid)
    twice = batch.hide(MaskPlan(first, valid)).hide(MaskPlan(second, valid))
    assert twice.values.tolist() == [[0, 0, 3, 4]]
    assert twice.visible.tolist() == [[False, False, True, True]]


def test_taking_shows_nothing_that_the_batch_does_not_show() -> None:
    everything, hidden = torch.ones(1, 4, dtype=torch.bool), torch.tensor([[1, 0, 0, 0]]).bool()
    shown = torch.tensor([[1, 1, 1, 0]]).bool()
    batch = TokenBatch(torch.arange(4)[None], torch.tensor([[1.0, 2.0, 3.0, 0.0]]), shown)
    plan = MaskPlan(hidden, everything)
    assert int(batch.take(plan).visible.sum()) == int(batch.hide(plan).visible.sum()) == 2


@given(masked())
def test_context_stays_where_content_is_hidden_and_goes_with_its_slot(case: tuple[TokenBatch, MaskPlan]) -> None:
    batch, plan = case
    rows, slots = batch.values.shape
    context = torch.arange(rows * slots * 2).view(rows, slots, 2)
    batch = TokenBatch(batch.ids, batch.values, batch.visible, context=context)
    assert batch.hide(plan).context is context
    taken = batch.take(plan)
    assert taken.context is not None
    for row in range(rows):
        assert torch.equal(taken.context[row, taken.visible[row]], context[row, plan.visible[row]])
