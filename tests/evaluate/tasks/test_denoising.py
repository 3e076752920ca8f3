"""Denoising: its likelihood, and who wins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from r2mae_bio.errors import ConfigError
from r2mae_bio.evaluate import (
    FactorAnalysis,
    MajorityClass,
    MaskedAutoencoder,
    MeanProfile,
    NoDenoising,
    denoising,
    stratified_split,
)
from r2mae_bio.evaluate.tasks._denoising import poisson_nll

SMALL = {"n_latent": 4, "n_factors": 4, "n_tokens": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "n_hidden": 8}


def test_poisson_nll_is_that_of_scipy():
    observed, expected = np.array([0.0, 3.0, 7.0]), np.array([0.1, 2.5, 9.0])
    assert np.allclose(poisson_nll(observed, expected), -stats.poisson.logpmf(observed, expected))


def test_denoisers_that_know_the_cells_beat_those_that_do_not(counts, labels):
    # three programmes in noise: the model must beat one profile for all, and the noisy counts
    # themselves
    methods = [
        NoDenoising(),
        MeanProfile(),
        FactorAnalysis(3),
        MaskedAutoencoder("small", model_kwargs=SMALL, train_kwargs={"max_epochs": 60}),
    ]
    frame = denoising(methods, counts, split=stratified_split(labels), seeds=(0,))
    nll = frame.set_index("method")["poisson_nll"]
    assert nll["factor analysis"] < nll["mean profile"]
    assert nll["small"] < nll["mean profile"]
    assert nll["small"] < nll["no denoising"]


def test_denoising_refuses_methods_without_rates(counts, labels):
    with pytest.raises(ConfigError, match="gives no expected counts"):
        denoising([MajorityClass()], counts, split=stratified_split(labels), seeds=(0,))
