"""The spectrum of counts: oracles from scanpy and scikit-learn, bootstrap weights, noise and
planted programmes.
"""

from __future__ import annotations

import tracemalloc

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from scipy import sparse
from sklearn.covariance import ledoit_wolf

from r2mae_bio import theory
from r2mae_bio._errors import ConfigError, DataError, EmptyCellsError, NegativeCountsError, NonFiniteError
from r2mae_bio.theory.spectrum._blocks import BLOCK
from r2mae_bio.theory.spectrum._shrinkage import sample_correlation
from r2mae_bio.theory.spectrum._spectrum import spectrum_of
from r2mae_bio.theory.spectrum._spikes import marchenko_pastur_edge, power_law


def draw_counts(n=150, genes=60, programmes=3, seed=0):
    """Counts of gene programmes on top of independent genes; two columns are empty and one gene is
    seen in two cells only.
    """
    rng = np.random.default_rng(seed)
    activity = rng.gamma(2.0, 0.5, (n, programmes))
    member = np.arange(genes) % (programmes + 1)
    rate = np.where(member < programmes, activity[:, np.minimum(member, programmes - 1)], 1.0) * rng.gamma(2.0, 1.0, genes)
    counts = rng.poisson(rate * rng.lognormal(0, 0.3, (n, 1)))
    counts[:, [4, 17]] = 0
    counts[:, 9] = np.arange(n) < 2
    counts[:, 0] += 1
    return counts


COUNTS = draw_counts()
EXPRESSED = np.setdiff1d(np.arange(60), [4, 9, 17])


def standardize(X):
    return (X - X.mean(0)) / X.std(0)


def normal_rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


# ---------------------------------------------------------------- normalisation and choice of genes


def scanpy_log1p(n_top_genes):
    adata = ad.AnnData(COUNTS.astype(float))
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    adata = adata[:, EXPRESSED].copy()
    sc.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, flavor="seurat")
    return adata.X, EXPRESSED[adata.var["highly_variable"].to_numpy()]


@pytest.mark.parametrize("n_top_genes", [8, 31])  # no ties there; at 10, of genes alone in their bin, scanpy takes all
def test_log1p_is_scanpys(n_top_genes):
    values, genes = scanpy_log1p(n_top_genes)
    ours = theory.normalize_counts(sparse.csr_matrix(COUNTS), n_top_genes=n_top_genes)
    np.testing.assert_array_equal(ours.genes, genes)
    np.testing.assert_allclose(ours.matrix.toarray(), values[:, np.isin(EXPRESSED, genes)], rtol=1e-12)


@pytest.mark.parametrize("n_top_genes", [10, 31])
def test_pearson_residuals_are_scanpys(n_top_genes):
    counts = COUNTS[:, EXPRESSED]
    adata = ad.AnnData(counts.astype(float))
    sc.experimental.pp.highly_variable_genes(adata, n_top_genes=n_top_genes, flavor="pearson_residuals", check_values=False)
    genes = np.flatnonzero(adata.var["highly_variable"])
    sc.experimental.pp.normalize_pearson_residuals(adata)
    ours = theory.normalize_counts(sparse.csc_matrix(counts), n_top_genes=n_top_genes, normalization="pearson_residuals")
    np.testing.assert_array_equal(ours.genes, genes)
    np.testing.assert_allclose(ours.matrix[np.arange(len(counts))], adata.X[:, genes], atol=1e-10)


@pytest.mark.parametrize("normalization", ["log1p", "pearson_residuals"])
def test_residuals_are_clipped_and_rare_or_constant_genes_left_out(normalization):
    counts = COUNTS.copy()
    counts[5, 12] = 100_000
    normalized = theory.normalize_counts(counts, n_top_genes=1000, normalization=normalization)
    np.testing.assert_array_equal(normalized.genes, EXPRESSED)
    assert normalized.matrix.shape == (150, 57)
    if normalization == "pearson_residuals":
        assert normalized.matrix[np.arange(150)].max() == pytest.approx(np.sqrt(150))


def test_a_gene_of_constant_share_does_not_vary():
    counts = np.full((20, 3), 5)
    counts[:, 1] += np.arange(20) % 3
    counts[:, 2] -= np.arange(20) % 3
    np.testing.assert_array_equal(theory.normalize_counts(counts).genes, [1, 2])


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


def test_explicit_zeros_are_no_expression():
    stored = sparse.csr_matrix(COUNTS + 1)
    stored.data -= 1
    assert stored.nnz == COUNTS.size
    np.testing.assert_array_equal(theory.normalize_counts(stored).genes, EXPRESSED)


def test_the_callers_counts_stay_as_they_are():
    counts = sparse.csr_matrix(COUNTS.astype(float))
    before = counts.data.copy()
    theory.gene_spectrum(counts)
    np.testing.assert_array_equal(counts.data, before)


# ---------------------------------------------------------------- correlation and shrinkage


@pytest.mark.parametrize("shape", [(80, 20), (20, 80), (3000, 401)], ids=["more cells", "more genes", "several blocks"])
def test_shrinkage_is_scikit_learns(shape):
    X = normal_rows(*shape) * np.linspace(1, 3, shape[1]) + normal_rows(shape[0], 1, 1) + 5.0
    assert (shape[0] * shape[1] > BLOCK) == (shape[0] == 3000)
    expected, rho = ledoit_wolf(standardize(X))
    correlation, intensity = theory.gene_correlation(X)
    assert intensity == pytest.approx(rho, abs=1e-8)
    np.testing.assert_allclose(correlation, expected, atol=1e-8)


def test_correlation_is_numpys_and_sparse_equals_dense():
    X = theory.normalize_counts(COUNTS).matrix
    correlation, intensity = theory.gene_correlation(X, shrinkage=None)
    assert intensity == 0
    np.testing.assert_allclose(correlation, np.corrcoef(X.toarray().T), atol=1e-12)
    np.testing.assert_array_equal(np.diag(correlation), 1)
    for other in (X.toarray(), sparse.csc_matrix(X)):
        np.testing.assert_allclose(theory.gene_correlation(other, shrinkage=None)[0], correlation, atol=1e-12)


def test_a_large_mean_does_not_cancel():
    X = normal_rows(100, 5)
    expected = theory.gene_correlation(X)[0]
    np.testing.assert_allclose(theory.gene_correlation(X + 1e7)[0], expected, atol=1e-8)


@pytest.mark.parametrize("normalization", ["log1p", "pearson_residuals"])
@pytest.mark.parametrize("shrinkage", ["ledoit-wolf", None])
def test_weights_are_repetitions(normalization, shrinkage):
    matrix = theory.normalize_counts(COUNTS, normalization=normalization).matrix
    drawn = np.random.default_rng(3).integers(150, size=150)
    weights = np.bincount(drawn, minlength=150)
    correlation, intensity = theory.gene_correlation(matrix, weights=weights, shrinkage=shrinkage)
    repeated = matrix[drawn] if normalization == "pearson_residuals" else matrix[drawn].toarray()
    expected, rho = theory.gene_correlation(repeated, shrinkage=shrinkage)
    assert intensity == pytest.approx(rho, abs=1e-10)
    np.testing.assert_allclose(correlation, expected, atol=1e-10)


def test_a_gene_that_a_resample_misses_is_uncorrelated():
    X = normal_rows(40, 4)
    X[:, 2] = np.arange(40) < 5
    correlation, intensity = theory.gene_correlation(X, weights=np.arange(40) >= 5)
    np.testing.assert_array_equal(correlation[2], [0, 0, 1, 0])
    others, rho = theory.gene_correlation(X[5:][:, [0, 1, 3]])
    assert intensity == pytest.approx(rho)
    np.testing.assert_allclose(correlation[np.ix_([0, 1, 3], [0, 1, 3])], others, atol=1e-12)


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


@pytest.mark.parametrize("weights", [np.ones(149), -np.ones(150), np.full(150, np.nan), np.arange(150) == 3])
def test_unusable_weights(weights):
    with pytest.raises(DataError, match=r"weights have shape|of 150 cells count"):
        theory.gene_correlation(COUNTS, weights=weights)


@pytest.mark.parametrize("matrix", [np.ones((5, 3)), np.full((5, 3), np.inf), np.ones(5), np.ones((5, 0))])
def test_unusable_matrices(matrix):
    with pytest.raises(DataError):
        theory.gene_correlation(matrix)


def test_tiny_data():
    spectrum = theory.gene_spectrum([[3, 1, 1], [1, 2, 2], [2, 4, 1]])
    assert np.isfinite(spectrum.values).all()
    assert spectrum.row_scales.shape == (16,)
    assert spectrum.n_spikes == 0
