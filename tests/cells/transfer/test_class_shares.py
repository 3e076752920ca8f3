"""Shares of the classes in a query, and among cells without counts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from r2mae_bio.cells.transfer._class_shares import estimated_shares, match_shares, shares_without_counts
from r2mae_bio.cells.transfer._depth import no_count

CENTRES = np.array([[0.0, 0], [1.5, 0], [0, 1.5]])
PRIOR = np.array([0.5, 0.3, 0.2])


def cells(shares, n, seed):
    """Classes, and probabilities that are right where classes have the shares of the reference."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(3, n, p=shares)
    x = CENTRES[kind] + rng.normal(size=(n, 2))
    distance = ((x[:, None] - CENTRES) ** 2).sum(2)
    return kind, softmax(np.log(PRIOR) - distance / 2, axis=1)


def log_loss(probabilities, kind):
    return -np.log(probabilities[np.arange(len(kind)), kind]).mean()


# ---------------------------------------------------------------- of a query


@pytest.mark.parametrize("seed", range(20))
def test_shares_of_the_reference_stay(seed):
    assert estimated_shares(cells(PRIOR, 500, seed)[1], PRIOR) is None


def test_other_shares_are_found_half_of_the_way_and_less_where_cells_tell_little():
    shares = np.array([0.1, 0.2, 0.7])
    sure = np.eye(3)[np.repeat([0, 1, 2], [100, 200, 700])]
    np.testing.assert_allclose(estimated_shares(sure, PRIOR), (shares + PRIOR) / 2)
    found = estimated_shares(cells(shares, 20_000, 0)[1], PRIOR)
    assert found.sum() == pytest.approx(1)
    moved = (found - PRIOR) / (shares - PRIOR)
    assert np.all((moved > 0.1) & (moved < 0.6))


def test_few_cells_and_none_tell_nothing():
    kind, probabilities = cells([0, 0, 1], 3, 1)
    assert estimated_shares(probabilities, PRIOR) is None
    assert estimated_shares(probabilities[:0], PRIOR) is None


def test_cells_that_are_alike_do_not_all_go_to_one_class():
    # the likelihood of cells that say next to nothing has its maximum at an edge
    probabilities = np.tile(PRIOR * [1.0, 1.0, 1.05] / (PRIOR @ [1.0, 1.0, 1.05]), (5000, 1))
    found = estimated_shares(probabilities, PRIOR)
    assert found is None or np.abs(found - PRIOR).max() < 0.05


# ---------------------------------------------------------------- batch by batch


def test_each_batch_has_shares_of_its_own(monkeypatch):
    monkeypatch.setattr("r2mae_bio.cells.transfer._label_transfer._AT_ONCE", 64)
    kinds, tables = zip(cells(PRIOR, 800, 2), cells([0.05, 0.05, 0.9], 800, 3), strict=True)
    kind, before = np.concatenate(kinds), np.concatenate(tables).astype(np.float32)
    batches = np.repeat(np.array(["same", "other"], object), 800)
    after = before.copy()
    nothing = np.zeros(1600, bool)
    changed = match_shares(after, PRIOR, PRIOR, np.zeros(3), batches, nothing, np.random.default_rng(0))
    assert changed == ["other"]
    np.testing.assert_array_equal(after[:800], before[:800])
    np.testing.assert_allclose(after.sum(1), 1, rtol=1e-5)
    assert log_loss(after[800:], kind[800:]) < log_loss(before[800:], kind[800:]) - 0.1


def test_large_batches_are_estimated_from_some_of_their_cells(monkeypatch):
    monkeypatch.setattr("r2mae_bio.cells.transfer._class_shares._MOST_CELLS", 400)
    before = cells([0.05, 0.05, 0.9], 4000, 3)[1].astype(np.float32)
    some, every = before.copy(), before.copy()
    arguments = PRIOR, PRIOR, np.zeros(3), np.zeros(4000), np.zeros(4000, bool)
    assert match_shares(some, *arguments, np.random.default_rng(0)) == ["0.0"]
    monkeypatch.undo()
    match_shares(every, *arguments, np.random.default_rng(0))
    assert 0 < np.abs(some - every).max() < 0.05


# ---------------------------------------------------------------- cells without counts


def test_chances_of_no_count_are_those_of_thinned_cells():
    rng = np.random.default_rng(0)
    reference = rng.lognormal(6, 1, 4000)
    query = rng.poisson(reference * 0.005).astype(float)
    found = no_count(reference, query)
    assert found.mean() == pytest.approx((query == 0).mean(), abs=0.02)
    deep = reference > np.median(reference)
    assert found[deep].mean() == pytest.approx((query[deep] == 0).mean(), abs=0.02)


def test_shallow_classes_are_more_frequent_without_counts():
    rates = np.array([0.4, 0.1, 0.0])
    np.testing.assert_allclose(shares_without_counts(PRIOR, rates, PRIOR @ rates), PRIOR * rates / (PRIOR @ rates))
    # ten times as many as depth explains: nine tenths have the shares of all cells
    found = shares_without_counts(PRIOR, rates / 10, PRIOR @ rates)
    np.testing.assert_allclose(found, 0.1 * PRIOR * rates / (PRIOR @ rates) + 0.9 * PRIOR)
    np.testing.assert_array_equal(shares_without_counts(PRIOR, np.zeros(3), 0.2), PRIOR)


def test_cells_without_counts_follow_the_shares_of_their_batch():
    table = cells([0.05, 0.05, 0.9], 1000, 5)[1].astype(np.float32)
    empty = np.arange(1000) % 10 == 0
    rates = np.array([0.1, 0.1, 0.1])
    match_shares(table, PRIOR, PRIOR, rates, np.zeros(1000), empty, np.random.default_rng(0))
    assert np.ptp(table[empty], axis=0).max() == 0
    assert table[empty][0].argmax() == 2
    np.testing.assert_allclose(table[empty].sum(1), 1, rtol=1e-6)
