"""Noise edge and decay of a spectrum."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.theory.spectrum._shrinkage import sample_correlation
from r2mae_bio.theory.spectrum._spikes import marchenko_pastur_edge, power_law

from .toy_counts import normal_rows


def test_edge_of_marchenko_and_pastur():
    assert marchenko_pastur_edge(100, 100) == pytest.approx(4)
    values = np.linalg.eigvalsh(sample_correlation(normal_rows(4000, 1000)).correlation)
    assert values[-1] == pytest.approx(marchenko_pastur_edge(4000, 1000), rel=0.02)


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.7])
def test_a_power_law_is_recovered(exponent):
    ranks = np.arange(1, 201)
    exact = power_law(3.0 * ranks**-exponent, 2, 150)
    assert exact.exponent == pytest.approx(exponent)
    assert exact.amplitude == pytest.approx(3)
    assert exact.r_squared == pytest.approx(1)
    assert exact.standard_error == pytest.approx(0, abs=1e-6)
    np.testing.assert_allclose(exact(ranks), 3.0 * ranks**-exponent)


def test_standard_error_is_the_scatter_of_exponents():
    ranks = np.arange(1, 61)
    rng = np.random.default_rng(0)
    # far apart, so that sorting never exchanges two of them
    fits = [power_law(ranks**-9.0 * np.exp(0.05 * rng.uniform(-1, 1, 60)), 1, 60) for _ in range(400)]
    spread = np.std([f.exponent for f in fits])
    assert np.mean([f.standard_error for f in fits]) == pytest.approx(spread, rel=0.15)
