"""Panels of genes: random, nested, and of markers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse, stats

from r2mae_bio.errors import ConfigError, DataError
from r2mae_bio.evaluate import (
    log_normalize,
    marker_panel,
    panel_mask,
)
from r2mae_bio.evaluate.tasks._gene_panels import welch_t


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


def test_markers_are_ranked_by_welch_t(counts, labels):
    values = log_normalize(counts, np.ones(counts.shape[1], bool))
    scores, dense = welch_t(values, labels), values.toarray()
    for row, label in enumerate(np.unique(labels)):
        inside = labels == label
        expected = stats.ttest_ind(dense[inside], dense[~inside], equal_var=False).statistic
        assert np.allclose(scores[row], expected, atol=1e-6, equal_nan=True) or np.allclose(
            scores[row][np.isfinite(expected)], expected[np.isfinite(expected)], atol=1e-6
        )
    assert marker_panel(counts, labels, 9).sum() == 9
