"""Risk with endless training rows: what masking itself costs, in closed form."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._errors import ConfigError
from r2mae_bio.theory.risk._closed_forms import spectral
from r2mae_bio.theory.risk._groups import mask_groups
from r2mae_bio.theory.risk._risk import check_setting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory.risk._decompose import Eigendecomposition
    from r2mae_bio.theory.risk._groups import MaskRatio


def population_risk(
    covariance: ArrayLike | Eigendecomposition, coefficients: ArrayLike, *, mask_ratio: MaskRatio, rescale: bool = True
) -> float:
    """Risk with endless training rows: what masking itself costs on unmasked input.

    Parameters
    ----------
    covariance
        Covariance with constant diagonal (d, d), its decomposition, or eigenvalues (d,) with
        ``coefficients`` in the eigenbasis.
    coefficients
        b (d,).
    mask_ratio
        A number, a pair, or a law.
    rescale
        Divide visible entries by 1 - ratio. Masking then is a ridge penalty of ``E[p/q]`` variances
        of a feature.

    Returns
    -------
    The bias; there is no variance.

    Raises
    ------
    DataError
        The covariance is none, or shapes differ.
    ConfigError
        A setting is out of range.
    """
    s, signal, _, _ = spectral(covariance, coefficients, 1, 0)
    g = mask_groups(mask_ratio, rescale=rescale)
    a, c, h = (float(g.weight @ x) for x in (g.a, g.c, g.h))
    return float((h * s / (a * s + c * s.mean()) - 1) ** 2 @ (s * signal))


def latent_factor_population_risk(
    *, d: int, n_factors: int, noise: float, signal: float, mask_ratio: MaskRatio, rescale: bool = True
) -> float:
    """Risk with endless training rows for a target that equal factors carry: why masking costs
    little where genes are redundant.

    Features of variance 1 have a share ``noise`` of it to themselves and the rest from
    ``n_factors`` orthogonal factors of equal strength.

    Parameters
    ----------
    d
        Number of features.
    n_factors
        Number of factors.
    noise
        Share of a feature's variance that is its own, in (0, 1].
    signal
        Variance of the target that the features determine, ``b'Sb``.
    mask_ratio
        A number, a pair, or a law.
    rescale
        Divide visible entries by 1 - ratio.

    Returns
    -------
    The bias. With ``rescale`` it is ``signal * (c / (s + c))^2``, ``c = E[p/q]``, with the factors'
    eigenvalue ``s = (1 - noise) d / n_factors + noise``: masking is harmless while c is far below
    s.

    Raises
    ------
    ConfigError
        A setting is out of range.
    """
    check_setting("d", d, 1)
    check_setting("n_factors", n_factors, 1)
    if not 0 < noise <= 1 or n_factors > d:
        message = f"noise is {noise} and n_factors is {n_factors}; needed are a share in (0, 1] and at most {d} factors."
        raise ConfigError(message)
    g = mask_groups(mask_ratio, rescale=rescale)
    a, c, h = (float(g.weight @ x) for x in (g.a, g.c, g.h))
    s = (1 - noise) * d / n_factors + noise
    return check_setting("signal", signal, 0) * (h * s / (a * s + c) - 1) ** 2
