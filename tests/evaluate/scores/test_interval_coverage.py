"""Intervals of true models hold what they promise; those of wrong ones do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate import MaskedAutoencoder, interval_coverage

SHAPE = (400, 60)


@pytest.fixture
def truth():
    """Means from rare to abundant, a dispersion per gene, and negative binomial counts."""
    rng = np.random.default_rng(0)
    mean = np.exp(rng.uniform(-4, 4, SHAPE[1])) * rng.gamma(5, 0.2, SHAPE)
    theta = np.exp(rng.normal(0, 1, SHAPE[1]))
    counts = rng.negative_binomial(theta, theta / (theta + mean), SHAPE)
    return sparse.csr_array(counts.astype(np.float32)), mean, np.sqrt(mean + mean**2 / theta)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_a_true_model_covers_exactly(truth, level):
    frame = interval_coverage(*truth, level=level)
    assert frame["expression"].tolist() == ["all", "1/3", "2/3", "3/3"]
    assert frame["n_genes"].tolist() == [60, 20, 20, 20]
    assert frame["mean"].iloc[1:].is_monotonic_increasing
    error = np.sqrt(level * (1 - level) / (SHAPE[0] * frame["n_genes"]))
    assert (np.abs(frame["coverage"] - level) < 4 * error).all()
    np.testing.assert_allclose(frame["coverage"] + frame["below"] + frame["above"], 1)
    assert (np.abs(frame["below"] - frame["above"]) < 6 * error).all()


def test_whole_intervals_would_say_more_of_rare_genes(truth):
    counts, mean, sd = truth
    rare = np.argsort(mean.mean(0))[:20]
    theta = mean[:, rare] ** 2 / (sd[:, rare] ** 2 - mean[:, rare])
    law = stats.nbinom(theta, theta / (theta + mean[:, rare]))
    dense = counts.toarray()[:, rare]
    whole = ((law.ppf(0.05) <= dense) & (dense <= law.ppf(0.95))).mean()
    assert whole > 0.95
    assert abs(interval_coverage(dense, mean[:, rare], sd[:, rare])["coverage"][0] - 0.9) < 0.015


def test_wrong_models_are_found(truth):
    counts, mean, sd = truth
    poisson = interval_coverage(counts, mean, np.sqrt(mean))
    assert poisson["coverage"].iloc[-1] < 0.5
    steady = np.random.default_rng(2).poisson(mean)
    assert interval_coverage(steady, mean, sd)["coverage"].iloc[-1] > 0.97
    low = interval_coverage(counts, mean / 3, sd / 3)
    assert low["above"].iloc[-1] > 3 * max(low["below"].iloc[-1], 0.02)


def test_poisson_and_normal_values():
    rng = np.random.default_rng(1)
    mean = np.exp(rng.uniform(-3, 3, SHAPE))
    assert abs(interval_coverage(rng.poisson(mean), mean, np.sqrt(mean), n_groups=1)["coverage"][0] - 0.9) < 0.01
    values = rng.normal(mean, 0.3)
    frame = interval_coverage(values, mean, np.full(SHAPE, 0.3), likelihood="normal")
    inside = np.abs(values - mean) < 0.3 * stats.norm.ppf(0.95)
    assert frame["coverage"][0] == pytest.approx(inside.mean())


def test_a_model_in_tables_predicts_with_and_without_masks(counts, everything):
    sizes = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}
    method = MaskedAutoencoder("R2MAE", model_kwargs=sizes, train_kwargs={"max_epochs": 3}, n_masks=4)
    every_third = np.arange(counts.shape[0]) % 3 == 0
    fitted, query = method.fit(counts[~every_third], seed=0), counts[every_third]
    fitted.model.calibrate_dispersion()
    masked = fitted.rates(query, everything)
    np.testing.assert_array_equal(masked, fitted.moments(query, n_masks=4)[0])
    plain = replace(fitted, n_masks=0).rates(query, everything)
    expected, _ = fitted.moments(query, n_masks=0)
    np.testing.assert_array_equal(plain, expected)
    assert np.abs(plain - masked).max() > 0.1
    frame = interval_coverage(query, *fitted.moments(query, own_counts=False))
    assert abs(frame["coverage"][0] - 0.9) < 0.05
    panel = everything & (np.arange(60) < 20)
    assert replace(fitted, n_masks=0).rates(query, panel).shape == (50, 60)
    plain, corrected = (fitted.moments(query, measured=panel, reference=given)[0] for given in (None, counts[~every_third]))
    np.testing.assert_array_equal(corrected[:, panel], plain[:, panel])
    assert (corrected[:, ~panel] != plain[:, ~panel]).all()


def test_seeds_and_storage(truth):
    counts, mean, sd = truth
    first, again = interval_coverage(counts, mean, sd), interval_coverage(counts.toarray(), mean, sd)
    assert first.equals(again)
    assert not first.equals(interval_coverage(counts, mean, sd, seed=1))


def test_what_cannot_be_judged(truth):
    counts, mean, sd = truth
    with pytest.raises(ConfigError, match="level is 1"):
        interval_coverage(counts, mean, sd, level=1)
    with pytest.raises(ConfigError, match="n_groups is 61"):
        interval_coverage(counts, mean, sd, n_groups=61)
    with pytest.raises(ConfigError, match="likelihood is 'gamma'"):
        interval_coverage(counts, mean, sd, likelihood="gamma")
    with pytest.raises(DataError, match=r"observed has shape \(400, 60\), mean \(400, 59\)"):
        interval_coverage(counts, mean[:, 1:], sd)
    with pytest.raises(DataError, match="leave out the genes that the model does not know"):
        interval_coverage(counts, np.where(mean > 1, mean, np.nan), sd)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_whole_numbers_of_any_kind_are_placed_alike(truth, dtype):
    """A value below an unsigned 0 is the largest of its kind."""
    counts, mean, sd = truth
    few = sparse.csr_array(np.minimum(counts.toarray(), 200))
    expected = interval_coverage(few, mean, sd)
    pd.testing.assert_frame_equal(interval_coverage(few.astype(dtype), mean, sd), expected, check_dtype=False)
