"""Families of covariances: what to feed the theory and the simulations where no data are at hand.

All but the spiked covariance are correlation matrices or have mean variance 1, so that risks are in
units of one feature's variance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory.risk._groups import Float


def isotropic_covariance(d: int) -> Float:
    """Uncorrelated features.

    Parameters
    ----------
    d
        Number of features.

    Returns
    -------
    The identity (d, d).

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    return np.eye(_dimension(d))


def ar1_covariance(d: int, rho: float) -> Float:
    """Features in a row whose correlation falls with their distance, ``rho^|i - j|``.

    Parameters
    ----------
    d
        Number of features.
    rho
        Correlation of neighbours, between -1 and 1.

    Returns
    -------
    Correlation matrix (d, d).

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    _inside("rho", rho, -1, 1)
    i = np.arange(_dimension(d))
    return np.asarray(float(rho) ** np.abs(i[:, None] - i), np.float64)


def power_law_covariance(d: int, exponent: float) -> Float:
    """Uncorrelated features of unequal variance, ``i^-exponent`` for i = 1 .. d, scaled to mean 1.

    Parameters
    ----------
    d
        Number of features.
    exponent
        0 is isotropic; spectra of gene expression fall with about 1.

    Returns
    -------
    Diagonal covariance (d, d); its diagonal is not constant, so the theory takes its dense form.

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    _inside("exponent", exponent, -np.inf, np.inf)
    variances = np.arange(1.0, _dimension(d) + 1) ** -float(exponent)
    return np.diag(variances / variances.mean())


def equicorrelated_covariance(d: int, rho: float) -> Float:
    """Every pair of features equally correlated: one factor that all share.

    Parameters
    ----------
    d
        Number of features.
    rho
        Correlation, above -1 / (d - 1) and below 1.

    Returns
    -------
    Correlation matrix ``(1 - rho) I + rho`` (d, d).

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    d = _dimension(d)
    _inside("rho", rho, -1 / (d - 1) if d > 1 else -1, 1)
    return (1 - rho) * np.eye(d) + rho


def block_covariance(d: int, n_blocks: int, rho: float) -> Float:
    """Disjoint blocks of neighbouring features, equally correlated within a block and uncorrelated
    between blocks.

    Parameters
    ----------
    d
        Number of features.
    n_blocks
        Number of blocks, of sizes that differ by at most 1.
    rho
        Correlation within a block, at least 0 and below 1.

    Returns
    -------
    Correlation matrix (d, d).

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    d, n_blocks = _dimension(d), _count("n_blocks", n_blocks, d)
    _inside("rho", rho, -1e-300, 1)
    block = np.arange(d) * n_blocks // d
    return np.where(block[:, None] == block, float(rho), 0.0) + (1 - rho) * np.eye(d)


def spiked_covariance(d: int, strengths: ArrayLike, *, seed: int = 0) -> Float:
    """The identity and a few strong directions, ``I + sum_i strengths_i u_i u_i'`` (Johnstone 2001,
    Annals of Statistics 29).

    Parameters
    ----------
    d
        Number of features.
    strengths
        Excess variance along each direction, at least 0; at most d of them.
    seed
        The directions are a uniformly random orthonormal set.

    Returns
    -------
    Covariance (d, d). Its eigenvalues are ``1 + strengths`` and ones; its diagonal is not constant.

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    d, s = _dimension(d), np.atleast_1d(np.asarray(strengths, np.float64))
    if s.ndim != 1 or s.size > d or not np.isfinite(s).all() or (s < 0).any():
        message = f"strengths is {strengths!r}; needed are at most {d} finite numbers of at least 0."
        raise ConfigError(message)
    gaussian = derive_generator(seed, "theory.spiked").normal(size=(d, s.size))
    q, r = np.linalg.qr(gaussian)
    u = q * np.sign(np.diag(r))
    return np.asarray(np.eye(d) + (u * s) @ u.T)


def latent_factor_covariance(d: int, n_factors: int, *, noise: float = 1.0, seed: int = 0) -> Float:
    """Features that share independent factors with Gaussian loadings.

    Parameters
    ----------
    d
        Number of features.
    n_factors
        Number of factors; a feature has variance ``n_factors`` from them on average, before it is
        standardised.
    noise
        Variance of a feature on its own, above 0, before it is standardised.
    seed
        Of the loadings.

    Returns
    -------
    Correlation matrix (d, d).

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    d, n_factors = _dimension(d), _count("n_factors", n_factors, None)
    _inside("noise", noise, 0, np.inf)
    loadings = derive_generator(seed, "theory.latent_factor").normal(size=(d, n_factors))
    return _correlation(loadings, np.full(d, float(noise)))


def programme_covariance(
    d: int,
    n_programmes: int = 12,
    *,
    share: float = 0.25,
    strengths: tuple[float, float] = (1.5, 0.5),
    noise: tuple[float, float] = (0.3, 1.0),
    seed: int = 0,
) -> Float:
    """Genes in overlapping programmes: each programme moves a random share of the genes, up or
    down.

    Parameters
    ----------
    d
        Number of genes.
    n_programmes
        Number of programmes.
    share
        Probability that a gene belongs to a programme, above 0 and at most 1; a gene may belong to
        several or to none.
    strengths
        Standard deviation of the loadings in the first and the last programme; linear between them.
    noise
        Bounds of the uniform distribution of a gene's own variance, before it is standardised.
    seed
        Of members, loadings and variances.

    Returns
    -------
    Correlation matrix (d, d).

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    d, n_programmes = _dimension(d), _count("n_programmes", n_programmes, None)
    _inside("share", share, 0, np.nextafter(1, 2))
    low, high = noise
    _inside("noise", low, 0, np.nextafter(high, np.inf))
    generator = derive_generator(seed, "theory.programme")
    member = generator.random((d, n_programmes)) < share
    loadings = generator.normal(size=(d, n_programmes)) * member * np.linspace(*strengths, n_programmes)
    return _correlation(loadings, generator.uniform(low, high, d))


def _correlation(loadings: Float, noise: Float) -> Float:
    S = loadings @ loadings.T + np.diag(noise)
    deviation = np.sqrt(np.diag(S))
    S /= np.outer(deviation, deviation)
    np.fill_diagonal(S, 1.0)  # division leaves it off by rounding
    return S


def _dimension(d: int) -> int:
    return _count("d", d, None)


def _count(name: str, value: int, most: int | None) -> int:
    if int(value) != value or value < 1 or (most is not None and value > most):
        message = f"{name} is {value}; needed is a whole number of at least 1" + (f" and at most {most}." if most else ".")
        raise ConfigError(message)
    return int(value)


def _inside(name: str, value: float, low: float, high: float) -> None:
    if not low < value < high:
        message = f"{name} is {value}; needed is a number above {low:.4g} and below {high:.4g}."
        raise ConfigError(message)
