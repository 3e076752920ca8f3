"""Splits and folds of cells."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from r2mae_bio._splits import deal_folds
from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.evaluate import (
    group_splits,
    stratified_split,
    stratified_splits,
)

pytestmark = pytest.mark.usefixtures("one_thread")


def test_folds():
    codes = np.repeat([0, 1, 2], [50, 10, 2])
    folds = deal_folds(codes, None, seed=0)
    assert [np.bincount(folds[codes == code], minlength=5).tolist() for code in (0, 1)] == [[10] * 5, [2] * 5]
    assert len(set(folds[codes == 2])) == 2
    assert (deal_folds(codes, None, seed=0) == folds).all()
    assert (deal_folds(codes, None, seed=1) != folds).any()
    groups = np.repeat(list("abcdefg"), [30, 12, 8, 5, 4, 2, 1])
    whole = deal_folds(codes, groups, seed=0)
    assert all(len(set(whole[groups == group])) == 1 for group in "abcdefg")
    assert sorted(np.bincount(whole).tolist()) == [5 + 1, 4 + 2, 8, 12, 30]


SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=6).filter(lambda sizes: max(sizes) > 1)


@pytest.fixture(scope="module")
def labels():
    return np.repeat(["B", "NK", "T"], 50)


@given(sizes=SIZES, fraction=st.floats(0.01, 0.99), seed=st.integers(0, 2**32))
def test_split_is_a_stratified_partition(sizes, fraction, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    split = stratified_split(labels, query_fraction=fraction, seed=seed)
    np.testing.assert_array_equal(np.sort(np.concatenate([split.reference, split.query])), np.arange(len(labels)))
    n_query = np.bincount(labels[split.query], minlength=len(sizes))
    for n, found in zip(sizes, n_query, strict=True):
        expected = 0 if n == 1 else min(max(round(fraction * n), 1), n - 1)
        assert found == expected


def test_split_is_a_function_of_the_seed(labels):
    first, again, other = (stratified_split(labels, seed=seed).query for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_split_draws_every_cell_equally_often():
    hits = np.zeros(10)
    for seed in range(2000):
        hits[stratified_split(["a"] * 10, seed=seed).query] += 1
    assert np.all(np.abs(hits - 600) < 5 * np.sqrt(2000 * 0.3 * 0.7))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, float("nan")])
def test_split_refuses_a_fraction_without_meaning(fraction):
    with pytest.raises(ConfigError, match="between 0 and 1"):
        stratified_split(["a", "a"], query_fraction=fraction)


@pytest.mark.parametrize(
    ("labels", "match"),
    [
        pytest.param(["a", "b"], "two members", id="all-singletons"),
        pytest.param(["a", None, "a"], "1 of 3 labels are missing", id="none"),
        pytest.param([1.0, np.nan, 1.0], "1 of 3 labels are missing", id="nan"),
        pytest.param(["a", pd.NA, "a"], "1 of 3 labels are missing", id="na"),
        pytest.param([], "one label per cell", id="empty"),
    ],
)
def test_split_refuses_labels_it_cannot_split(labels, match):
    with pytest.raises(DataError, match=match):
        stratified_split(labels)


@pytest.fixture(scope="module")
def groups(labels):
    return np.where(np.arange(len(labels)) % 3 == 0, "second", "first")


def test_a_group_is_held_out_whole(groups):
    splits = group_splits(groups)
    assert list(splits) == ["first", "second"]
    assert set(groups[splits["first"].query]) == {"first"}
    assert set(groups[splits["first"].reference]) == {"second"}


def test_one_group_cannot_be_held_out():
    with pytest.raises(DataError, match="at least two groups"):
        group_splits(["a", "a"])


def test_folds_score_every_cell_once(labels):
    folds = stratified_splits(labels, n_splits=3)
    assert np.array_equal(np.sort(np.concatenate([fold.query for fold in folds])), np.arange(len(labels)))
    for fold in folds:
        assert not np.intersect1d(fold.query, fold.reference).size
        assert set(labels[fold.query]) == set(labels)
