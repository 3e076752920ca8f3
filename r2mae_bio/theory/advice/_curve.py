"""Risk of the masked autoencoder against the mask ratio."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio.theory.risk._autoencoder import autoencoder_risk

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory.risk._decompose import Eigendecomposition
    from r2mae_bio.theory.risk._groups import Float, MaskRatio

RATIOS = np.round(np.arange(0.05, 0.951, 0.025), 3)
"""Ratios of a curve unless others are asked for."""


@dataclass(frozen=True, eq=False)
class RiskCurve:
    """Risk at R fixed mask ratios, averaged over genes, in units of a gene's variance."""

    ratios: Float
    """Mask ratios in training, ascending (R,)."""
    error: Float
    """Prediction error, ``bias + variance + irreducible + noise`` (R,)."""
    bias: Float
    """Squared distance of the mean predictor from the best linear one (R,)."""
    variance: Float
    """Variance over training sets (R,)."""
    floor: Float
    """Error of the best linear predictor on the test input, ``irreducible + noise`` (R,)."""
    near_peak: NDArray[np.bool_]
    """Where the interpolation peak spoils the ratio (R,)."""
    heavy_tailed: NDArray[np.bool_]
    """Where so few genes stay visible that the risk is underestimated (R,)."""

    @property
    def best(self) -> float:
        """Ratio of the smallest error, flagged ratios left out unless all are."""
        flagged = self.near_peak | self.heavy_tailed
        return float(self.ratios[np.argmin(np.where(flagged & ~flagged.all(), np.inf, self.error))])

    @property
    def least(self) -> float:
        """The error at the best ratio."""
        return float(self.error[self.ratios == self.best][0])

    def within(self, tolerance: float) -> tuple[float, float]:
        """Ends of the run of ratios around the best one whose error is within a tolerance of the
        least.

        Parameters
        ----------
        tolerance
            Relative, such as 0.05.

        Returns
        -------
        Lowest and highest ratio.
        """
        good = self.error <= (1 + tolerance) * self.least
        at = int(np.flatnonzero(self.ratios == self.best)[0])
        low = at - int(np.argmin(good[at::-1])) + 1 if not good[: at + 1].all() else 0
        high = at + int(np.argmin(good[at:])) - 1 if not good[at:].all() else len(good) - 1
        return float(self.ratios[low]), float(self.ratios[high])


def risk_curve(
    covariance: ArrayLike | Eigendecomposition,
    *,
    n: float,
    ratios: ArrayLike | None = None,
    test: MaskRatio | None = None,
    **settings: Any,
) -> RiskCurve:
    """Risk of the masked linear autoencoder at a grid of fixed ratios.

    Parameters
    ----------
    covariance
        Correlation matrix (d, d), or the result of :func:`decompose`.
    n
        Number of training cells.
    ratios
        Ratios above 0 and below 1, ascending (R,); 0.05 to 0.95 in steps of 0.025 if None.
    test
        How the other genes of a test cell are masked; not at all if None.
    settings
        Further arguments of :func:`autoencoder_risk`: ``rescale``, ``genes``, ``ridge``,
        ``row_scales``, ``finite_size``, ``algebra``.

    Returns
    -------
    The curve.

    Raises
    ------
    ConfigError, DataError
        As :func:`autoencoder_risk`.
    """
    grid = RATIOS if ratios is None else np.asarray(ratios, np.float64)
    if grid.ndim != 1 or not grid.size or (np.diff(grid) <= 0).any():
        message = f"ratios have shape {grid.shape}; needed are ascending mask ratios (R,)."
        raise ConfigError(message)
    risks = [autoencoder_risk(covariance, n=n, mask_ratio=float(p), test=test, **settings) for p in grid]
    return RiskCurve(
        ratios=grid,
        error=np.array([r.prediction_error for r in risks]),
        bias=np.array([r.bias for r in risks]),
        variance=np.array([r.variance for r in risks]),
        floor=np.array([r.irreducible + r.noise for r in risks]),
        near_peak=np.array([r.near_peak for r in risks]),
        heavy_tailed=np.array([r.heavy_tailed for r in risks]),
    )
