"""The finite-size correction: it vanishes for many features, helps for few, and keeps risks
sane.
"""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.theory import autoencoder_risk, regression_risk


def _ratio(d: int, n_per_d: float, mask_ratio: object) -> float:
    """Corrected over uncorrected risk, for coefficients spread evenly over the eigenvectors of a
    power law.
    """
    values = theory.ar1_covariance(d, 0.6)
    eigen = theory.decompose(np.linalg.eigvalsh(values))
    risks = [
        regression_risk(
            eigen, np.full(d, d**-0.5), n=n_per_d * d, noise_variance=0.3, mask_ratio=mask_ratio, finite_size=corrected
        ).total
        for corrected in (True, False)
    ]
    return risks[0] / risks[1]


@pytest.mark.parametrize("n_per_d", [0.5, 3.0])
@pytest.mark.parametrize("mask_ratio", [0.2, 0.6, (0.1, 0.8)], ids=str)
def test_it_vanishes_as_features_grow_in_number(mask_ratio: object, n_per_d: float) -> None:
    small, large = (abs(_ratio(d, n_per_d, mask_ratio) - 1) for d in (40, 640))
    assert small > 1e-3
    assert large < small / 8  # it falls as 1 / d, so by 16
    assert large < 0.01


def test_the_autoencoder_tends_to_the_equivalent_too() -> None:
    off = []
    for d in (50, 400):
        eigen = theory.decompose(theory.ar1_covariance(d, 0.6))
        a, b = (
            autoencoder_risk(
                eigen, n=3 * d, mask_ratio=0.6, genes=range(0, d, d // 10), algebra="eigenbasis", finite_size=f
            ).total
            for f in (True, False)
        )
        off.append(abs(a / b - 1))
    assert off[1] < off[0] / 4
    assert off[1] < 0.02


@pytest.mark.parametrize("n", [45, 60, 120])
def test_unmasked_isotropic_rows_have_a_known_risk(n: int) -> None:
    """Least squares on n Gaussian rows: ``d / (n - d - 1)``, which the equivalent takes for
    ``d / (n - d)``.
    """
    d = 30
    exact = d / (n - d - 1)
    corrected, equivalent = (
        regression_risk(np.eye(d), np.zeros(d), n=n, noise_variance=1.0, mask_ratio=0.0, finite_size=f).total
        for f in (True, False)
    )
    assert equivalent == pytest.approx(d / (n - d), rel=1e-5)
    assert abs(corrected - exact) < 0.3 * abs(equivalent - exact)


@pytest.mark.parametrize(
    ("d", "n_programmes", "n", "mask_ratio"), [(60, 3, 50, 0.5), (60, 3, 50, 0.7), (80, 4, 60, 0.5), (60, 3, 50, (0.2, 0.8))]
)
def test_it_comes_nearer_to_simulation_where_factors_are_strong(d: int, n_programmes: int, n: int, mask_ratio: object) -> None:
    S = theory.programme_covariance(d, n_programmes, seed=1)
    runs = theory.simulate_autoencoder_risk(S, n=n, mask_ratio=mask_ratio, n_draws=30, n_jobs=1, progress=False)
    corrected, equivalent = (autoencoder_risk(S, n=n, mask_ratio=mask_ratio, finite_size=f).total for f in (True, False))
    assert abs(equivalent - runs.mean) > 4 * runs.standard_error  # else there is nothing to correct
    assert abs(corrected - runs.mean) < 0.6 * abs(equivalent - runs.mean)
    assert corrected == pytest.approx(runs.mean, rel=0.12)


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("test", [None, 0.7], ids=["full", "panel"])
@pytest.mark.parametrize("n", [45, 78, 130, 390])
def test_nothing_is_negative_at_the_peak(n: int, test: float | None, calibrated: bool, correlation: np.ndarray) -> None:
    peak = (len(correlation) - 1) / n
    for shift in (-0.02, -1e-3, 0.0, 1e-3, 0.02):
        risk = autoencoder_risk(correlation, n=n, mask_ratio=peak + shift, test=test, calibrated=calibrated)
        assert np.isfinite(risk.per_gene).all()
        assert risk.per_gene.min() > -1e-12  # genes on their own: rounding
        assert min(risk.total, risk.variance, risk.noise) >= 0
        assert risk.near_peak


@pytest.mark.parametrize("test", [None, 0.9, (0.1, 0.9)], ids=str)
@pytest.mark.parametrize("n", [25, 60, 400])
def test_calibrated_predictions_are_no_worse_than_the_mean(n: int, test: object, correlation: np.ndarray) -> None:
    """A factor of 0 is among those to choose from."""
    for p in (0.05, 0.1, 0.3, 0.5, 0.65, 0.9, (0.0, 1.0), (0.4, 0.8)):
        for finite_size in (False, True):
            risk = autoencoder_risk(correlation, n=n, mask_ratio=p, test=test, calibrated=True, finite_size=finite_size)
            assert (risk.per_gene + risk.per_gene_noise).max() <= 1 + 1e-6
            assert (risk.per_gene_noise > 0).all()


def test_calibration_helps_and_changes_nothing_of_the_floor(correlation: np.ndarray) -> None:
    for p in (0.2, 0.6, (0.1, 0.9)):
        plain, calibrated = (
            autoencoder_risk(correlation, n=400, mask_ratio=p, test=0.7, finite_size=False, calibrated=c) for c in (False, True)
        )
        assert calibrated.total < plain.total
        assert calibrated.irreducible == pytest.approx(plain.irreducible)
        assert calibrated.total >= calibrated.irreducible
