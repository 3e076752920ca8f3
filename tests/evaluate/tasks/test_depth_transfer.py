"""Depth: thinning is binomial, and less of it is harder."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from r2mae_bio.errors import ConfigError, FractionalCountsError
from r2mae_bio.evaluate import (
    FactorAnalysis,
    depth_transfer,
    stratified_split,
    thin_counts,
)


def test_thinning_is_binomial():
    counts = sparse.csr_array(np.full((400, 50), 20.0))
    thinned = thin_counts(counts, 0.3, seed=1)
    values = thinned.toarray().ravel()
    assert (values <= 20).all()
    assert values.mean() == pytest.approx(6, abs=4 * np.sqrt(20 * 0.21 / values.size))
    assert values.var() == pytest.approx(20 * 0.21, rel=0.05)
    assert (thin_counts(counts, 0.3, seed=1) != thinned).nnz == 0
    assert (thin_counts(counts, 0.3, seed=2) != thinned).nnz > 0


def test_thinning_needs_whole_numbers():
    with pytest.raises(FractionalCountsError, match="whole numbers"):
        thin_counts(sparse.csr_array([[0.5, 2.0]]), 0.5, seed=0)
    with pytest.raises(ConfigError, match="share"):
        thin_counts(sparse.csr_array([[1.0]]), 1.5, seed=0)


def test_less_depth_is_harder(counts, labels):
    frame = depth_transfer([FactorAnalysis(5)], counts, labels, split=stratified_split(labels), depths=(1.0, 0.02), seeds=(0, 1))
    mean = frame.groupby("depth")[["macro_f1", "mean_counts"]].mean()
    assert mean.loc[0.02, "macro_f1"] < mean.loc[1.0, "macro_f1"]
    assert mean.loc[0.02, "mean_counts"] == pytest.approx(0.02 * mean.loc[1.0, "mean_counts"], rel=0.1)
