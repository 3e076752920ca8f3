"""Eigenvalues under resampling of the cells, against the spectrum and against full resampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from r2mae_bio.theory import gene_spectrum, normalize_counts
from r2mae_bio.theory.spectrum import _bootstrap
from r2mae_bio.theory.spectrum._bootstrap import bootstrap_eigenvalues

N, D = 400, 12


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.poisson(3 + 4 * np.repeat(rng.gamma(2.0, 1.0, (N, 2)), D // 2, axis=1))


@pytest.fixture(scope="module")
def spectrum(counts: np.ndarray):
    return gene_spectrum(counts)


@pytest.fixture(scope="module")
def matrix(counts: np.ndarray):
    return normalize_counts(counts).matrix


class _Once:
    """Every cell once, in some order."""

    def integers(self, n: int, size: int) -> np.ndarray:
        assert size == n
        return np.arange(n)[::-1]


def test_with_every_cell_once_the_eigenvalues_are_those_of_the_spectrum(spectrum, matrix, monkeypatch) -> None:
    monkeypatch.setattr(_bootstrap, "derive_generator", lambda *_: _Once())
    for shrinkage, expected in ((0.0, spectrum.sample_values), (spectrum.shrinkage, spectrum.values)):
        found = bootstrap_eigenvalues(matrix, spectrum.vectors, shrinkage=shrinkage, n_samples=3)
        assert found.shape == (3, D)
        np.testing.assert_allclose(found, np.tile(expected, (3, 1)), rtol=1e-8)


def test_samples_scatter_around_the_spectrum_with_mean_one(spectrum, matrix) -> None:
    samples = bootstrap_eigenvalues(matrix, spectrum.vectors, shrinkage=spectrum.shrinkage, n_samples=400, seed=3)
    np.testing.assert_allclose(samples.mean(1), 1, rtol=1e-12)
    assert (samples > 0).all()
    deviation = samples.std(0, ddof=1)
    assert (deviation > 0).all()
    assert (np.abs(samples.mean(0) - spectrum.values) < 5 * deviation / np.sqrt(400) + 2 * deviation**2).all()


def test_the_leading_eigenvalue_spreads_as_under_full_resampling(spectrum, matrix) -> None:
    """The leading eigenvalues of correlations computed afresh from resampled cells."""
    dense = np.asarray(matrix.toarray() if sparse.issparse(matrix) else matrix[np.arange(N)])
    rng = np.random.default_rng(0)
    full = [np.linalg.eigvalsh(np.corrcoef(dense[rng.integers(N, size=N)].T))[-1] for _ in range(400)]
    quick = bootstrap_eigenvalues(matrix, spectrum.vectors, n_samples=400)[:, -1]
    assert quick.std() == pytest.approx(np.std(full), rel=0.25)
    assert quick.mean() == pytest.approx(np.mean(full), abs=np.std(full))  # the leading one of a sample is drawn upwards


def test_a_sample_is_a_function_of_seed_and_number(spectrum, matrix) -> None:
    a, b = (bootstrap_eigenvalues(matrix, spectrum.vectors, n_samples=k, seed=7) for k in (5, 3))
    np.testing.assert_allclose(a[:3], b, rtol=1e-12)
    assert len(np.unique(a[:, -1])) == 5
    other = bootstrap_eigenvalues(matrix, spectrum.vectors, n_samples=3, seed=8)
    assert not np.isclose(other[:, -1], b[:, -1]).any()


def test_more_cells_leave_less_doubt(spectrum, counts) -> None:
    many = normalize_counts(np.tile(counts, (9, 1))).matrix
    few = normalize_counts(counts).matrix
    spreads = [bootstrap_eigenvalues(m, spectrum.vectors, n_samples=200)[:, -1].std() for m in (few, many)]
    assert spreads[0] / spreads[1] == pytest.approx(3, rel=0.25)


def test_storage_does_not_matter(spectrum) -> None:
    values = np.random.default_rng(0).poisson(1.0, (50, D)).astype(float)
    a, b = (bootstrap_eigenvalues(m, spectrum.vectors, n_samples=4) for m in (values, sparse.csr_array(values)))
    np.testing.assert_allclose(a, b, rtol=1e-9)
