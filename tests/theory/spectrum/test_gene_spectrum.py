"""The spectrum of counts: its parts, noise and planted programmes, and what is refused."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from scipy import sparse

from r2mae_bio import theory
from r2mae_bio._errors import ConfigError, DataError, EmptyCellsError, NegativeCountsError, NonFiniteError
from r2mae_bio.theory.spectrum._gene_spectrum import spectrum_of

from .toy_counts import COUNTS, normal_rows, standardize

# ---------------------------------------------------------------- storage


@pytest.mark.parametrize("normalization", ["log1p", "pearson_residuals"])
def test_storage_does_not_matter(normalization):
    results = [
        theory.gene_spectrum(kind(COUNTS), n_top_genes=20, normalization=normalization)
        for kind in (
            np.asarray,
            sparse.csr_matrix,
            sparse.csc_array,
            sparse.coo_matrix,
            lambda x: sparse.csr_array(x.astype(np.uint16)),
        )
    ]
    for other in results[1:]:
        np.testing.assert_allclose(other.values, results[0].values, rtol=1e-10)
        np.testing.assert_array_equal(other.genes, results[0].genes)


def test_the_callers_counts_stay_as_they_are():
    counts = sparse.csr_matrix(COUNTS.astype(float))
    before = counts.data.copy()
    theory.gene_spectrum(counts)
    np.testing.assert_array_equal(counts.data, before)


# ---------------------------------------------------------------- the spectrum


@pytest.mark.parametrize("n", [150, 30], ids=["more cells", "fewer cells than genes"])
def test_parts_of_a_spectrum_fit_together(n):
    spectrum = theory.gene_spectrum(COUNTS[:n])
    matrix = theory.normalize_counts(COUNTS[:n]).matrix
    correlation, rho = theory.gene_correlation(matrix)
    d = spectrum.n_features
    assert spectrum.n_cells == n
    assert spectrum.shrinkage == pytest.approx(rho)
    assert (np.diff(spectrum.values) >= 0).all()
    assert spectrum.values.mean() == pytest.approx(1)
    assert spectrum.sample_values.mean() == pytest.approx(1)
    np.testing.assert_allclose((spectrum.vectors * spectrum.values) @ spectrum.vectors.T, correlation, atol=1e-10)
    assert np.count_nonzero(spectrum.sample_values > 1e-10) <= min(d, n - 1)
    assert spectrum.values.min() > 0
    assert 1 < spectrum.effective_rank < spectrum.entropy_rank < d
    direct = theory.autoencoder_risk(correlation, n=500, mask_ratio=0.4).total
    assert theory.autoencoder_risk(spectrum.eigen, n=500, mask_ratio=0.4).total == pytest.approx(direct, rel=1e-8)


def test_effective_rank_of_equal_genes_is_their_number():
    X = np.linalg.qr(np.c_[np.ones(64), normal_rows(64, 10)])[0][:, 1:]
    spectrum = of_matrix(X)
    assert spectrum.effective_rank == pytest.approx(10)
    assert spectrum.entropy_rank == pytest.approx(10)
    assert spectrum.shrinkage == pytest.approx(0, abs=1e-6) or spectrum.shrinkage == 1
    assert spectrum.n_spikes == 0
    assert np.isnan(spectrum.decay.exponent)


def test_row_scales_are_the_sizes_of_cells():
    X = normal_rows(3200, 40) * np.repeat([0.5, 1.0, 2.0, 3.0], 800)[:, None]
    scales = of_matrix(X).row_scales
    assert scales.shape == (16,)
    assert (np.diff(scales) >= 0).all()
    assert np.mean(scales**2) == pytest.approx(1)
    by_hand = np.sort(np.mean(standardize(X) ** 2, 1)).reshape(16, 200).mean(1)
    np.testing.assert_allclose(scales**2, by_hand / by_hand.mean(), rtol=1e-10)


def test_heavy_tail_sees_unequal_cells_but_not_programmes():
    programmes = normal_rows(4000, 2, 1) @ np.kron(np.eye(2), np.ones(30)) + normal_rows(4000, 60)
    assert of_matrix(programmes).heavy_tail < 0.05
    sizes = np.random.default_rng(2).choice([0.5, 1.5], (4000, 1))
    expected = np.mean(sizes**4) / np.mean(sizes**2) ** 2 - 1
    assert of_matrix(programmes * sizes).heavy_tail == pytest.approx(expected, rel=0.25)


def of_matrix(X):
    return spectrum_of(theory.NormalizedCounts(sparse.csr_array(X), np.arange(X.shape[1])))


# ---------------------------------------------------------------- noise and spikes


def test_noise_has_no_spikes_however_unequal_its_cells():
    plain = [of_matrix(normal_rows(300, 150, seed)) for seed in range(25)]
    assert sum(s.n_spikes > 0 for s in plain) <= 2  # 1% each: three or more in 25 have probability 0.002
    assert sum(s.sample_values[-1] > s.marchenko_pastur_edge for s in plain) >= 1  # the asymptotic edge is crossed by chance
    sizes = np.exp(0.4 * normal_rows(300, 1, 99))
    unequal = [of_matrix(normal_rows(300, 150, seed) * sizes) for seed in range(25)]
    assert sum(s.n_spikes > 0 for s in unequal) <= 2
    assert min(np.count_nonzero(s.sample_values > s.marchenko_pastur_edge) for s in unequal) >= 1
    # the edge is near, not merely beyond, the largest noise
    assert np.mean([s.sample_values[-1] / s.edge for s in plain + unequal]) > 0.85


@pytest.mark.parametrize(("n", "d"), [(400, 160), (150, 240), (3000, 160)])
def test_planted_programmes_are_counted(n, d):
    """Half of the genes carry programmes and the others are noise alone: their noise is unequal
    after standardising.
    """
    for seed in range(5):
        genes = np.arange(d) % 6
        X = normal_rows(n, d, seed) + 2 * normal_rows(n, 3, seed + 100) @ (genes == np.arange(3)[:, None])
        spectrum = of_matrix(X)
        assert spectrum.n_spikes == 3
        assert spectrum.noise.variance == pytest.approx(0.5 / 5 + 0.5, abs=0.03)


# ---------------------------------------------------------------- memory and bad input


def test_memory_is_bounded_by_blocks_and_the_result():
    counts = sparse.random_array((20_000, 400), density=0.05, rng=np.random.default_rng(0), format="csr")
    counts.data = np.ceil(3 * counts.data)
    counts = counts[np.flatnonzero(counts.sum(1))]
    dense = counts.shape[0] * counts.shape[1] * 8
    tracemalloc.start()
    theory.gene_spectrum(counts, normalization="pearson_residuals")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < dense


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        (lambda c: c.astype(float) * np.where(c == 7, np.nan, 1), NonFiniteError, "NaN"),
        (lambda c: c - 1, NegativeCountsError, "negative"),
        (lambda c: c * (np.arange(150) != 3)[:, None], EmptyCellsError, "1 of 150 cells"),
        (lambda c: c[:1], DataError, "at least 2 cells"),
        (lambda c: np.ones_like(c), DataError, "0 of 60 genes"),
        (lambda c: c * (np.arange(60) < 1), DataError, "vary"),
    ],
)
@pytest.mark.parametrize("normalization", ["log1p", "pearson_residuals"])
def test_unusable_counts(change, error, match, normalization):
    with pytest.raises(error, match=match):
        theory.gene_spectrum(change(COUNTS), normalization=normalization)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"n_top_genes": 1}, "n_top_genes is 1"),
        ({"n_top_genes": True}, "n_top_genes is True"),
        ({"n_top_genes": 2.5}, "n_top_genes is 2.5"),
        ({"normalization": "cpm"}, "'cpm'"),
        ({"shrinkage": "oas"}, "'oas'"),
    ],
)
def test_unusable_settings(settings, match):
    with pytest.raises(ConfigError, match=match):
        theory.gene_spectrum(COUNTS, **settings)


def test_tiny_data():
    spectrum = theory.gene_spectrum([[3, 1, 1], [1, 2, 2], [2, 4, 1]])
    assert np.isfinite(spectrum.values).all()
    assert spectrum.row_scales.shape == (16,)
    assert spectrum.n_spikes == 0
