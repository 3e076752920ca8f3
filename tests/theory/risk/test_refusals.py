"""What the theory refuses, and what it returns at the interpolation peak."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import theory
from r2mae_bio.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def correlation() -> np.ndarray:
    return theory.programme_covariance(40, 4)


@pytest.mark.parametrize("genes", [[40], [], [-41], [0.5], [[1, 2]]], ids=str)
def test_genes_that_are_not_there_are_refused(correlation: np.ndarray, genes: list) -> None:
    with pytest.raises(DataError, match="positions of at least one of the 40 genes"):
        theory.autoencoder_risk(correlation, n=100, mask_ratio=0.5, genes=genes)


def test_one_gene_has_nothing_to_be_predicted_from() -> None:
    with pytest.raises(DataError, match="at least two are needed"):
        theory.autoencoder_risk(np.ones((1, 1)), n=100, mask_ratio=0.5)


def test_a_mask_of_genes_is_their_positions(correlation: np.ndarray) -> None:
    chosen = np.arange(40) % 3 == 0
    by_mask, by_position = (
        theory.autoencoder_risk(correlation, n=100, mask_ratio=0.5, genes=g).per_gene for g in (chosen, np.flatnonzero(chosen))
    )
    np.testing.assert_array_equal(by_mask, by_position)


@pytest.mark.parametrize("scales", [[], [0, 0], [float("nan")]], ids=str)
def test_scales_that_are_none_are_refused(correlation: np.ndarray, scales: list) -> None:
    with pytest.raises(ConfigError, match="row_scales"):
        theory.regression_risk(correlation, np.ones(40), n=20, noise_variance=1, mask_ratio=0.5, row_scales=scales)


def test_a_ratio_that_is_no_number_is_refused(correlation: np.ndarray) -> None:
    with pytest.raises(ConfigError, match="out of range"):
        theory.regression_risk(correlation, np.ones(40), n=20, noise_variance=1, mask_ratio=float("nan"))


def test_an_indefinite_matrix_is_refused(correlation: np.ndarray) -> None:
    values, vectors = np.linalg.eigh(correlation)
    values[0] = -0.5
    broken = (vectors * values) @ vectors.T
    scale = np.sqrt(np.diag(broken))
    with pytest.raises(DataError, match="no data have a negative one"):
        theory.decompose(broken / np.outer(scale, scale))


@pytest.mark.parametrize("n", [78, 79, 80])
@pytest.mark.parametrize("calibrated", [False, True])
def test_no_error_is_negative_at_the_peak(correlation: np.ndarray, n: int, calibrated: bool) -> None:
    risk = theory.autoencoder_risk(correlation, n=n, mask_ratio=39 / n, calibrated=calibrated)
    assert risk.near_peak
    assert risk.per_gene.min() > -1e-12  # rounding, for a gene that no other tells of
    assert risk.variance > 0


def test_the_number_of_rows_is_averaged_over(correlation: np.ndarray) -> None:
    """Away from the peak, averaging again over drawn numbers of rows changes little, and the
    average lies above the middle.
    """
    n, p = 400, 0.5
    draws, times = np.unique(np.random.default_rng(0).binomial(n, p, 300), return_counts=True)
    averaged = theory.autoencoder_risk(correlation, n=n, mask_ratio=p)
    plain = [theory.autoencoder_risk(correlation, n=rows / p, mask_ratio=p).total for rows in draws]
    assert averaged.total == pytest.approx(np.average(plain, weights=times), rel=0.02)
