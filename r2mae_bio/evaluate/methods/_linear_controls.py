"""The linear controls: principal components and models of latent factors.

All see raw counts and no labels. Axis letters: c cells, g genes, o measured genes, k latent
dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from sklearn import decomposition

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_seed
from r2mae_bio.evaluate.methods._embedder import all_measured
from r2mae_bio.evaluate.methods._log_normalize import check_measured, find_transform, gene_share

if TYPE_CHECKING:
    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["FactorAnalysis", "LinearGaussian", "PCAZeroFill", "ProbabilisticPCA"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PCAZeroFill:
    """Principal components, genes that were not measured taken as zero: what most users do, and the
    naive control.

    Counts are scaled to 1e4 per cell by the total over the measured genes, log1p, centred on the
    training mean of every gene, and projected on the leading eigenvectors of the training
    covariance. Needs memory for n_genes squared values.
    """

    n_components: int = 50
    """Components kept (k), fewer than cells and genes."""
    name: str = "PCA, zero fill"
    """Name in tables."""
    transform: str = "log"
    """What is read of depth-scaled counts: ``"log"``, log1p, or ``"root"``, square roots."""

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedPCA:
        """Eigenvectors of the covariance of log-normalised counts (n_cells, n_genes); ``seed`` is
        not needed.

        Raises
        ------
        ConfigError
            ``n_components`` does not fit the data.
        DataError
            The counts do not vary.
        """
        values = find_transform(self.transform)(counts, all_measured(counts))
        mean_g, covariance_gg = _moments(values)
        _, vectors_gk = _leading_eigenpairs(covariance_gg, self.n_components, counts.shape)
        return FittedPCA(mean_g, vectors_gk, self.transform)


@dataclass(frozen=True)
class FittedPCA:
    """A trained :class:`PCAZeroFill`."""

    mean_g: Floats = field(repr=False)
    """Training mean (n_genes,)."""
    components_gk: Floats = field(repr=False)
    """Eigenvectors (n_genes, k), orthonormal columns, largest variance first."""
    transform: str = "log"
    """What is read of counts."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Scores (n_cells, k) of the zero-filled cells; see :meth:`FittedEmbedder.embed`."""
        measured = check_measured(measured, len(self.mean_g))
        return np.asarray(self._scores(counts, measured), dtype=np.float32)

    def reconstruct(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> Floats:
        """Log-normalised expression (n_cells, n_genes) of the zero-filled cells, as the components
        have it.
        """
        expected = self._scores(counts, check_measured(measured, len(self.mean_g))) @ self.components_gk.T + self.mean_g
        return _as_logarithms(expected, self.transform)

    def _scores(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> Floats:
        return np.asarray(
            find_transform(self.transform)(counts, measured) @ self.components_gk[measured] - self.mean_g @ self.components_gk
        )


@dataclass(frozen=True)
class ProbabilisticPCA:
    """Probabilistic PCA: x = W z + mean + noise of one variance for all genes.

    Closed-form maximum likelihood on log-normalised counts, Tipping & Bishop (1999), J. R. Stat.
    Soc. B 61, 611-622, eqs 7 and 8. Cells are embedded by E[z | measured genes], see
    :meth:`LinearGaussian.embed`. Needs memory for n_genes squared values.
    """

    n_components: int = 20
    """Latent dimensions (k), fewer than cells and genes."""
    name: str = "probabilistic PCA"
    """Name in tables."""
    transform: str = "log"
    """What is read of depth-scaled counts: ``"log"``, log1p, or ``"root"``, square roots."""
    stretched: bool = False
    """Keep the spread that embeddings have with every gene measured, see
    :class:`LinearGaussian`.
    """
    whitened: bool = False
    """Embed by E[z] itself, every dimension of the same prior variance."""

    def fit(self, counts: SparseCounts, *, seed: int) -> LinearGaussian:
        """Maximum-likelihood W and noise from counts (n_cells, n_genes); ``seed`` is not needed.

        Raises
        ------
        ConfigError
            ``n_components`` does not fit the data.
        DataError
            The counts do not vary.
        """
        share_g = gene_share(counts)
        mean_g, covariance_gg = _moments(find_transform(self.transform)(counts, all_measured(counts)))
        variance_k, vectors_gk = _leading_eigenpairs(covariance_gg, self.n_components, counts.shape)
        total = float(np.trace(covariance_gg))
        noise = _not_negligible(np.array((total - variance_k.sum()) / (len(share_g) - self.n_components)), total / len(share_g))
        loadings_gk = vectors_gk * np.sqrt(np.maximum(variance_k - noise, 0))
        settings = (self.transform, self.stretched, self.whitened)
        return LinearGaussian(mean_g, loadings_gk, np.full(len(share_g), noise), share_g, *settings)


@dataclass(frozen=True)
class FactorAnalysis:
    """Factor analysis: x = W z + mean + noise of one variance per gene.

    Fitted by scikit-learn's ``FactorAnalysis`` (Barber 2012, Bayesian Reasoning and Machine
    Learning, algorithm 21.1) on log-normalised counts, with the training cells as a dense matrix
    (n_cells, n_genes), 8 bytes per value. Cells are embedded by E[z | measured genes], see
    :meth:`LinearGaussian.embed`.
    """

    n_components: int = 30
    """Factors (k), fewer than cells and genes."""
    name: str = "factor analysis"
    """Name in tables."""
    transform: str = "log"
    """What is read of depth-scaled counts: ``"log"``, log1p, or ``"root"``, square roots."""
    stretched: bool = False
    """Keep the spread that embeddings have with every gene measured, see
    :class:`LinearGaussian`.
    """
    whitened: bool = False
    """Embed by E[z] itself, every dimension of the same prior variance."""

    def fit(self, counts: SparseCounts, *, seed: int) -> LinearGaussian:
        """Maximum-likelihood W and noise from counts (n_cells, n_genes); ``seed`` starts the
        randomised SVD.

        Raises
        ------
        ConfigError
            ``n_components`` does not fit the data.
        DataError
            The counts do not vary.
        """
        _check_components(self.n_components, counts.shape)
        share_g = gene_share(counts)
        values = find_transform(self.transform)(counts, all_measured(counts)).toarray()
        variance = _positive_variance(values.var(axis=0).mean())
        state = derive_seed(seed, "factor-analysis") % 2**32  # scikit-learn takes no longer seeds
        model = decomposition.FactorAnalysis(self.n_components, random_state=state).fit(values)
        noise_g = _not_negligible(model.noise_variance_, variance)
        vectors_gk, lengths_k, _ = linalg.svd(model.components_.T, full_matrices=False)
        settings = (self.transform, self.stretched, self.whitened)
        return LinearGaussian(model.mean_, vectors_gk * lengths_k, noise_g, share_g, *settings)


@dataclass(frozen=True)
class LinearGaussian:
    r"""A trained linear latent-variable model, :math:`x = W z + \mu + \epsilon`, with z standard
    normal.

    Queries are scaled with the total over the measured genes divided by those genes' share
    of the training counts, so that a panel is on the scale of the training data; see
    :func:`log_normalize`. A posterior mean shrinks as genes are taken away; ``stretched`` undoes
    that, dimension by dimension, with :meth:`gain`.
    """

    mean_g: Floats = field(repr=False)
    """Training mean of log-normalised expression (n_genes,)."""
    loadings_gk: Floats = field(repr=False)
    """W (n_genes, k), orthogonal columns, largest first: the rotation of z that the likelihood
    leaves free.
    """
    noise_g: Floats = field(repr=False)
    """Variance of the noise per gene (n_genes,), positive."""
    share_g: Floats = field(repr=False)
    """Share of the training counts per gene (n_genes,), summing to 1."""
    transform: str = "log"
    """What is read of counts."""
    stretched: bool = False
    """Whether embeddings of panels keep the spread of whole cells."""
    whitened: bool = False
    """Whether dimensions are embedded with the variance of z."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """:meth:`posterior_mean`, each dimension times the length of its loadings (n_cells, k); see
        :meth:`FittedEmbedder.embed`.

        In these coordinates the distance between two cells is the distance between their expected
        profiles W E[z]. In z itself every factor has the same variance, and weak factors drown the
        strong ones in a neighbour search.
        """
        lengths_k = np.ones(self.loadings_gk.shape[1]) if self.whitened else np.linalg.norm(self.loadings_gk, axis=0)
        if self.stretched:
            lengths_k = lengths_k * self.gain(check_measured(measured, len(self.mean_g)))
        return np.asarray(self.posterior_mean(counts, measured) * lengths_k, dtype=np.float32)

    def gain(self, measured: NDArray[np.bool_]) -> Floats:
        r"""Ratio of the standard deviation of E[z] over cells with every gene measured to that with
        these, (k,).

        Over cells the variance of :math:`E[z | x_o]` is the prior's less the posterior's,
        :math:`1 - [(I + W_o^\top \Psi_o^{-1} W_o)^{-1}]_{ff}`: it falls as genes are taken away.
        """
        spreads = [1 - np.diag(linalg.inv(self._precision(mask))) for mask in (np.ones_like(measured), measured)]
        whole, seen = (np.maximum(spread, 1e-12) for spread in spreads)
        return np.asarray(np.sqrt(whole / seen))

    def reconstruct(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> Floats:
        r"""Expected log-normalised expression (n_cells, n_genes), :math:`W E[z] + \mu`, of every
        gene, measured or not.
        """
        return _as_logarithms(self.posterior_mean(counts, measured) @ self.loadings_gk.T + self.mean_g, self.transform)

    def posterior_mean(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> Floats:
        r"""E[z | measured genes] (n_cells, k); arguments and errors as :func:`log_normalize`.

        With :math:`\Psi` the noise variances and o the measured genes, :math:`E[z | x_o] = (I +
        W_o^\top \Psi_o^{-1} W_o)^{-1} W_o^\top \Psi_o^{-1} (x_o - \mu_o)`, which is exact
        conditioning on the measured genes, by the Woodbury identity in k dimensions instead of
        n_measured.
        """
        measured = check_measured(measured, len(self.mean_g))
        values_co = find_transform(self.transform)(counts, measured, self.share_g)
        weighted_ok = self.loadings_gk[measured] / self.noise_g[measured, None]
        projected_ck = values_co @ weighted_ok - self.mean_g[measured] @ weighted_ok  # the cells stay sparse
        return np.asarray(linalg.solve(self._precision(measured), projected_ck.T, assume_a="pos").T)

    def _precision(self, measured: NDArray[np.bool_]) -> Floats:
        """Posterior precision of z (k, k)."""
        loadings_ok = self.loadings_gk[measured]
        return np.eye(loadings_ok.shape[1]) + loadings_ok.T @ (loadings_ok / self.noise_g[measured, None])


def _as_logarithms(values: Floats, transform: str) -> Floats:
    """Expected values of a transform as log1p of depth-scaled counts."""
    return values if transform == "log" else np.log1p(np.maximum(values, 0) ** 2)


def _moments(values_cg: sparse.csr_array) -> tuple[Floats, Floats]:
    """Mean (n_genes,) and covariance (n_genes, n_genes) with 1/n, without a dense copy of the
    cells.
    """
    mean_g = np.asarray(values_cg.mean(axis=0)).ravel()
    return mean_g, (values_cg.T @ values_cg).toarray() / values_cg.shape[0] - np.outer(mean_g, mean_g)


def _leading_eigenpairs(covariance_gg: Floats, n_components: int, shape: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Largest eigenvalues (k,), descending, and their eigenvectors (n_genes, k)."""
    _check_components(n_components, shape)
    n_genes = len(covariance_gg)
    _positive_variance(np.trace(covariance_gg) / n_genes)
    values, vectors = linalg.eigh(covariance_gg, subset_by_index=[n_genes - n_components, n_genes - 1])
    return values[::-1], vectors[:, ::-1]


def _check_components(n_components: int, shape: tuple[int, ...]) -> None:
    if not 1 <= n_components < min(shape):
        message = (
            f"n_components is {n_components}, {shape[0]} cells x {shape[1]} genes allow 1 to {min(shape) - 1}; choose from that."
        )
        raise ConfigError(message)


def _positive_variance(variance: float) -> float:
    if not variance > 1e-12:
        message = f"The mean variance of log-normalised genes is {variance:.3g}: the cells are alike; pass other cells or genes."
        raise DataError(message)
    return float(variance)


def _not_negligible(noise: Floats, mean_variance: float) -> Floats:
    """Noise variances kept above a millionth of the mean variance, so that a constant gene cannot
    dominate a query.
    """
    return np.maximum(noise, 1e-6 * mean_variance)
