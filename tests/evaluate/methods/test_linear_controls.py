import numpy as np
import pytest
from scipy import sparse
from sklearn import decomposition

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate import (
    Embedder,
    FactorAnalysis,
    FittedEmbedder,
    Harmony,
    Noise,
    PCAZeroFill,
    ProbabilisticPCA,
    log_normalize,
    panel_mask,
)

STRONG = {"transform": "root", "stretched": True}
DATA_DRIVEN = [
    PCAZeroFill(5),
    ProbabilisticPCA(5),
    FactorAnalysis(5),
    PCAZeroFill(5, transform="root"),
    ProbabilisticPCA(5, **STRONG),
    FactorAnalysis(5, **STRONG, whitened=True),
]
LATENT = [ProbabilisticPCA(4), FactorAnalysis(4)]
CONTROLS = [*DATA_DRIVEN, Harmony(5), Noise(5)]


def name(embedder):
    return type(embedder).__name__ + (", roots" if getattr(embedder, "transform", "log") == "root" else "")


@pytest.mark.parametrize("embedder", CONTROLS, ids=name)
def test_contract(embedder, counts):
    fitted = embedder.fit(counts, seed=0)
    embedding = fitted.embed(counts, panel_mask(counts.shape[1], 0.3, seed=0))
    assert isinstance(embedder, Embedder)
    assert isinstance(fitted, FittedEmbedder)
    assert embedding.shape == (counts.shape[0], 5)
    assert embedding.dtype == np.float32
    assert np.isfinite(embedding).all()


@pytest.mark.parametrize("embedder", CONTROLS, ids=name)
def test_what_is_not_measured_is_ignored(embedder, counts):
    measured = panel_mask(counts.shape[1], 0.3, seed=1)
    spoiled = counts.toarray()
    spoiled[:, ~measured] = np.random.default_rng(0).choice([np.nan, -7.0, 1e6], size=(len(spoiled), (~measured).sum()))
    expected = embedder.fit(counts, seed=0).embed(counts, measured)
    np.testing.assert_array_equal(embedder.fit(counts, seed=0).embed(sparse.csr_array(spoiled), measured), expected)


@pytest.mark.parametrize("embedder", DATA_DRIVEN, ids=name)
def test_what_is_measured_matters(embedder, counts):
    fitted, measured = embedder.fit(counts, seed=0), panel_mask(counts.shape[1], 0.3, seed=1)
    changed = counts.toarray()
    changed[:, np.flatnonzero(measured)[0]] += 20
    assert np.abs(fitted.embed(sparse.csr_array(changed), measured) - fitted.embed(counts, measured)).max() > 1e-3


@pytest.mark.parametrize("embedder", DATA_DRIVEN, ids=name)
def test_a_cell_does_not_depend_on_its_batch(embedder, counts):
    fitted, measured = embedder.fit(counts, seed=0), panel_mask(counts.shape[1], 0.5, seed=0)
    order = np.random.default_rng(0).permutation(counts.shape[0])[:20]
    np.testing.assert_allclose(fitted.embed(counts[order], measured), fitted.embed(counts, measured)[order], atol=1e-5)


@pytest.mark.parametrize("embedder", [PCAZeroFill(5), ProbabilisticPCA(5)], ids=name)
def test_gene_order_does_not_matter(embedder, counts):
    order = np.random.default_rng(0).permutation(counts.shape[1])
    measured = panel_mask(counts.shape[1], 0.4, seed=0)
    straight = embedder.fit(counts, seed=0).embed(counts, measured)
    permuted = embedder.fit(counts[:, order], seed=0).embed(counts[:, order], measured[order])
    np.testing.assert_allclose(np.abs(permuted), np.abs(straight), atol=1e-4)  # an eigenvector has no sign


@pytest.mark.parametrize("embedder", CONTROLS, ids=name)
def test_cells_without_a_measured_count_are_embedded(embedder, counts):
    empty = sparse.csr_array((3, counts.shape[1]), dtype=np.float32)
    embedding = embedder.fit(counts, seed=0).embed(empty, panel_mask(counts.shape[1], 0.1, seed=0))
    assert np.isfinite(embedding).all()


def test_pca_is_sklearns(counts, everything):
    values = log_normalize(counts, everything).toarray()
    expected = decomposition.PCA(5, svd_solver="full").fit_transform(values)
    np.testing.assert_allclose(np.abs(PCAZeroFill(5).fit(counts, seed=0).embed(counts, everything)), np.abs(expected), atol=1e-4)


def test_pca_fills_with_zero(counts, everything):
    """A panel equals the full matrix with the other columns set to zero by hand."""
    measured, fitted = panel_mask(counts.shape[1], 0.3, seed=0), PCAZeroFill(5).fit(counts, seed=0)
    np.testing.assert_allclose(
        fitted.embed(counts, measured), fitted.embed(sparse.csr_array(counts * measured), everything), atol=1e-5
    )


def test_ppca_is_sklearns_model_and_subspace(counts, everything):
    values = log_normalize(counts, everything).toarray()
    oracle = decomposition.PCA(4, svd_solver="full").fit(values)
    fitted = ProbabilisticPCA(4).fit(counts, seed=0)
    covariance = fitted.loadings_gk @ fitted.loadings_gk.T + np.diag(fitted.noise_g)
    n = len(values)
    np.testing.assert_allclose(covariance, oracle.get_covariance() * (n - 1) / n, atol=1e-8)  # maximum likelihood divides by n
    basis = fitted.loadings_gk / np.linalg.norm(fitted.loadings_gk, axis=0)
    np.testing.assert_allclose(basis @ basis.T, oracle.components_.T @ oracle.components_, atol=1e-8)
    variance = oracle.explained_variance_ * (n - 1) / n
    shrunk = oracle.transform(values) * (variance - fitted.noise_g[0]) / variance
    np.testing.assert_allclose(np.abs(fitted.embed(counts, everything)), np.abs(shrunk), atol=1e-4)


def test_factor_analysis_is_sklearns_model(counts, everything):
    values = log_normalize(counts, everything).toarray()
    fitted = FactorAnalysis(4).fit(counts, seed=0)
    oracle = decomposition.FactorAnalysis(4, svd_method="lapack").fit(values)
    covariance = fitted.loadings_gk @ fitted.loadings_gk.T + np.diag(fitted.noise_g)
    np.testing.assert_allclose(covariance, oracle.get_covariance(), atol=0.05 * np.abs(covariance).max())
    inner = fitted.loadings_gk.T @ fitted.loadings_gk
    np.testing.assert_allclose(inner, np.diag(np.diag(inner)), atol=1e-8)
    assert (np.diff(np.diag(inner)) <= 0).all()


@pytest.mark.parametrize("fraction", [1.0, 0.4, 0.01])
@pytest.mark.parametrize("embedder", LATENT, ids=name)
def test_posterior_mean_is_gaussian_conditioning(embedder, fraction, counts):
    """Brute force: condition the joint normal of (z, x_o) on x_o."""
    fitted, o = embedder.fit(counts, seed=0), panel_mask(counts.shape[1], fraction, seed=2)
    values = log_normalize(counts, o, fitted.share_g).toarray()
    covariance_oo = (fitted.loadings_gk @ fitted.loadings_gk.T + np.diag(fitted.noise_g))[np.ix_(o, o)]
    expected = (values - fitted.mean_g[o]) @ np.linalg.solve(covariance_oo, fitted.loadings_gk[o])
    np.testing.assert_allclose(fitted.posterior_mean(counts, o), expected, atol=1e-7)


@pytest.mark.parametrize("embedder", LATENT, ids=name)
def test_distances_are_those_of_the_expected_profiles(embedder, counts):
    fitted, measured = embedder.fit(counts, seed=0), panel_mask(counts.shape[1], 0.4, seed=0)
    profiles = fitted.posterior_mean(counts, measured) @ fitted.loadings_gk.T
    embedding = fitted.embed(counts, measured)
    np.testing.assert_allclose(
        np.linalg.norm(embedding[:1] - embedding, axis=1), np.linalg.norm(profiles[:1] - profiles, axis=1), atol=1e-4
    )


@pytest.mark.parametrize("embedder", LATENT, ids=name)
def test_a_gene_absent_from_training_says_nothing(embedder, counts):
    absent = counts.toarray()
    absent[:, 0] = 0
    fitted = embedder.fit(sparse.csr_array(absent), seed=0)
    only = np.arange(counts.shape[1]) == 0
    np.testing.assert_allclose(fitted.posterior_mean(counts, only), 0, atol=1e-4)


def test_noise_is_seeded_fresh_on_every_call_and_blind(counts, everything):
    fitted, again, other = (Noise(2000).fit(counts, seed=seed) for seed in (0, 0, 1))
    first, second = fitted.embed(counts, everything), fitted.embed(counts, everything)
    np.testing.assert_array_equal(first, again.embed(3 * counts, everything))
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other.embed(counts, everything))
    assert abs(first.mean()) < 0.01
    assert abs(first.std() - 1) < 0.01


@pytest.mark.parametrize("embedder", [PCAZeroFill(60), ProbabilisticPCA(0), FactorAnalysis(60)], ids=name)
def test_refuses_more_components_than_the_data_carry(embedder, counts):
    with pytest.raises(ConfigError, match="150 cells x 60 genes allow 1 to 59"):
        embedder.fit(counts, seed=0)


@pytest.mark.parametrize("embedder", DATA_DRIVEN, ids=name)
def test_refuses_cells_that_are_all_alike(embedder):
    with pytest.raises(DataError, match="the cells are alike"):
        embedder.fit(sparse.csr_array(np.ones((20, 10))), seed=0)


@pytest.mark.parametrize("embedder", LATENT, ids=name)
def test_refuses_training_without_counts(embedder):
    with pytest.raises(DataError, match="no count at all"):
        embedder.fit(sparse.csr_array((20, 10)), seed=0)


@pytest.mark.parametrize("embedder", DATA_DRIVEN, ids=name)
def test_refuses_other_genes(embedder, counts):
    with pytest.raises(DataError, match="boolean mask"):
        embedder.fit(counts, seed=0).embed(counts[:, :10], np.ones(10, dtype=bool))


@pytest.mark.parametrize("make", [ProbabilisticPCA, FactorAnalysis])
def test_stretched_panels_have_the_spread_of_whole_cells(make, everything):
    """Cells drawn from the model itself: the gain is the ratio of two standard deviations."""
    rng = np.random.default_rng(0)
    counts = sparse.csr_array(rng.poisson(np.exp(rng.normal(0, 0.7, (60, 4)) @ rng.normal(0, 1, (4, len(everything))))))
    fitted = make(3, transform="root", stretched=True).fit(counts, seed=0)
    z = rng.standard_normal((20_000, 3))
    noise = rng.standard_normal((20_000, len(everything))) * np.sqrt(fitted.noise_g)
    x = z @ fitted.loadings_gk.T + noise
    some = panel_mask(len(everything), 0.3, seed=0)

    def spread(measured):
        weighted = fitted.loadings_gk[measured] / fitted.noise_g[measured, None]
        precision = np.eye(3) + fitted.loadings_gk[measured].T @ weighted
        return np.linalg.solve(precision, (x[:, measured] @ weighted).T).std(axis=1)

    np.testing.assert_allclose(fitted.gain(some), spread(everything) / spread(some), rtol=0.03)
    np.testing.assert_allclose(fitted.gain(everything), 1)


def test_roots_are_undone_where_expression_is_asked_for(counts, everything):
    """With as many components as the data carry, what comes back is what went in."""
    n = min(counts.shape) - 1
    fitted = PCAZeroFill(n, transform="root").fit(counts, seed=0)
    expected = log_normalize(counts, everything).toarray()
    assert np.corrcoef(fitted.reconstruct(counts, everything).ravel(), expected.ravel())[0, 1] > 0.99


def test_refuses_a_transform_that_it_does_not_know(counts):
    with pytest.raises(ConfigError, match=r"transform is 'acosh'; needed is one of \['log', 'root'\]"):
        PCAZeroFill(3, transform="acosh").fit(counts, seed=0)
