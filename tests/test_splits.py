import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate import panel_mask, stratified_split

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


@given(n_genes=st.integers(1, 200), fraction=st.floats(1e-6, 1.0), seed=st.integers(0, 2**32))
def test_panel_has_the_asked_size_and_at_least_one_gene(n_genes, fraction, seed):
    mask = panel_mask(n_genes, fraction, seed=seed)
    assert mask.shape == (n_genes,)
    assert mask.dtype == bool
    assert mask.sum() == max(round(fraction * n_genes), 1)


@given(small=st.floats(0.01, 1.0), large=st.floats(0.01, 1.0), seed=st.integers(0, 1000))
def test_panels_of_one_seed_are_nested(small, large, seed):
    small, large = sorted((small, large))
    assert not np.any(panel_mask(80, small, seed=seed) & ~panel_mask(80, large, seed=seed))


def test_panel_draws_every_gene_equally_often():
    hits = sum(panel_mask(40, 0.25, seed=seed).astype(int) for seed in range(2000))
    assert np.all(np.abs(hits - 500) < 5 * np.sqrt(2000 * 0.25 * 0.75))


def test_panel_of_detected_genes_only():
    counts = sparse.csr_array(np.array([[1.0, 0, 2, 0, 0, 1]]))
    np.testing.assert_array_equal(panel_mask(6, 1.0, seed=0, counts=counts), [True, False, True, False, False, True])
    assert panel_mask(6, 0.33, seed=1, counts=counts).sum() == 2


def test_panel_refusals():
    with pytest.raises(ConfigError, match="fraction 0"):
        panel_mask(5, 0.0, seed=0)
    with pytest.raises(ConfigError, match="fraction 1.5"):
        panel_mask(5, 1.5, seed=0)
    with pytest.raises(DataError, match="must agree"):
        panel_mask(5, 0.5, seed=0, counts=sparse.csr_array((2, 4)))
    with pytest.raises(DataError, match="No gene is detected"):
        panel_mask(4, 0.5, seed=0, counts=sparse.csr_array((2, 4)))
