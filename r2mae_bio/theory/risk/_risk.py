"""Test risk of minimum-norm regression on masked inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.theory.risk._assemble import Target, assemble
from r2mae_bio.theory.risk._decompose import Eigendecomposition, check_covariance, decompose, has_constant_diagonal
from r2mae_bio.theory.risk._finite_size import finite_size_factors, keep_sane
from r2mae_bio.theory.risk._fixed_point import CONVERGED, solve_fixed_point
from r2mae_bio.theory.risk._groups import mask_groups
from r2mae_bio.theory.risk._problems import DenseProblem, SpectralProblem

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory.risk._groups import Float, MaskRatio

Method: TypeAlias = Literal["auto", "spectral", "dense"]
LARGEST_INFLATION = 7.0
"""Above this inflation of the variance a ratio counts as spoilt by the interpolation peak: n within
a seventh of the rank.
"""
LARGEST_SPREAD = 0.15
"""Above this excess variance of the leverage a ratio counts as heavy-tailed; see docs/decisions.md
for the simulations.
"""


@dataclass(frozen=True, eq=False)
class Panel:
    """A fixed set of features that is measured at test time; the others are absent."""

    measured: ArrayLike
    """Measured features: positions, or a boolean mask (d,)."""

    def mask(self, n_features: int) -> Float:
        """1.0 for measured features, else 0.0 (d,)."""
        mask = np.zeros(n_features)
        try:
            mask[np.asarray(self.measured)] = 1.0
        except IndexError as error:
            message = f"The panel does not fit {n_features} features: {error}."
            raise DataError(message) from error
        if not mask.any():
            message = "The panel measures no feature; name at least one."
            raise DataError(message)
        return mask


@dataclass(frozen=True, kw_only=True)
class Risk:
    """Mean squared error of the predicted signal, ``E (x~'b_hat - x'b)^2``, on test rows; the noise
    of the target comes on top.
    """

    total: float
    """``bias + variance + irreducible``."""
    bias: float
    """Squared distance of the mean estimator from the best linear predictor on the test input."""
    variance: float
    """Variance of the prediction over training sets: rows, masks and noise."""
    irreducible: float
    """Error of the best linear predictor; 0 for unmasked test input."""
    noise: float
    """Variance of the target that the inputs do not determine."""
    inflation: float
    """Factor by which the variance is inflated; it diverges at the interpolation peak."""
    leverage_spread: float
    """Relative excess variance of a row's leverage, 0 where it is not computed; above 0.15 averages
    over training sets are heavy-tailed.
    """
    iterations: int
    """Newton steps of the fixed point."""
    residual: float
    """Relative change left in the fixed point."""

    @property
    def near_peak(self) -> bool:
        """Whether the interpolation peak spoils this ratio: averages are heavy-tailed there, and no
        formula is reliable.
        """
        return self.inflation > LARGEST_INFLATION

    @property
    def heavy_tailed(self) -> bool:
        """Whether so little of a row stays visible that its leverage is mostly chance; the risk is
        then underestimated.
        """
        return self.leverage_spread > LARGEST_SPREAD

    @property
    def converged(self) -> bool:
        """Whether the fixed point was found."""
        return self.residual < CONVERGED

    @property
    def prediction_error(self) -> float:
        """Mean squared error of the prediction of the noisy target, ``total + noise``."""
        return self.total + self.noise


def regression_risk(
    covariance: ArrayLike | Eigendecomposition,
    coefficients: ArrayLike,
    *,
    n: float,
    noise_variance: float,
    mask_ratio: MaskRatio,
    rescale: bool = True,
    test: MaskRatio | Panel | None = None,
    ridge: float = 0.0,
    row_scales: ArrayLike | None = None,
    finite_size: bool = False,
    method: Method = "auto",
) -> Risk:
    """Risk of minimum-norm least squares of ``y = x'b + e`` on masked inputs, at a fixed or a
    random mask ratio.

    n rows x with covariance S are masked entry by entry, each row at its own draw of the ratio; the
    estimator is the ridge -> 0+ limit of least squares of y on the masked rows. In this model a
    random ratio does not beat the best fixed ratio by more than noise when the test input is
    unmasked: what it spares is the search for that ratio, and the interpolation peak.

    Parameters
    ----------
    covariance
        Covariance of the features (d, d); or the result of :func:`decompose`, to be reused over
        many ratios; or eigenvalues (d,) of a covariance with constant diagonal, with
        ``coefficients`` in the eigenbasis.
    coefficients
        b (d,).
    n
        Number of training rows.
    noise_variance
        Variance of e.
    mask_ratio
        Share of hidden entries: a number, a pair ``(low, high)`` for a uniform ratio (R2MAE), or a
        law of :mod:`r2mae_bio.masking`.
    rescale
        Divide visible entries by 1 - ratio, in training as in the test. Masking then acts like a
        ridge, and interior optima appear. Without it a predictor trained on masked inputs is
        mis-scaled on unmasked ones, and the best fixed ratio is often 0.
    test
        How test rows are masked: not at all (None), at a ratio or law, or to a :class:`Panel`.
    ridge
        Ridge penalty in units of the covariance; 0 is the minimum-norm limit.
    row_scales
        Scales of whole rows (M,), equally likely, for heavy-tailed data: a row and its target are
        multiplied by a scale.
    finite_size
        Correct for the fluctuation of a row's leverage; needs features of equal variance. Off, the
        result is the deterministic equivalent itself, which is exact as d and n grow with low-rank
        structure held fixed in share.
    method
        ``"spectral"`` needs equal variances and takes O(d) per ratio after the eigendecomposition;
        ``"dense"`` inverts a matrix (d, d) at each of about ten steps; ``"auto"`` chooses.

    Returns
    -------
    The risk, in units of the target squared.

    Raises
    ------
    DataError
        The covariance is none, shapes differ, or the spectral form cannot be used.
    ConfigError
        A setting is out of range.

    Notes
    -----
    Background: Dong, Wang, Kluger 2025 (arXiv 2509.21650) for fixed ratios; Hastie et al. 2022 for
    ridgeless regression. The mixture over ratios and the finite-size correction are this package's
    own, and tested by simulation.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import regression_risk
    >>> settings = {"n": 50, "noise_variance": 0.1, "mask_ratio": (0.1, 0.9)}
    >>> risk = regression_risk(np.eye(100), np.full(100, 0.1), **settings)
    >>> round(risk.total, 3), risk.near_peak
    (0.925, False)
    """
    problem, unit = _problem(covariance, coefficients, method)
    groups = mask_groups(mask_ratio, rescale=rescale, row_scales=row_scales)
    rows = np.array([check_setting("n", n, 1)])
    ridge = check_setting("ridge", ridge, 0) / unit
    target = Target(np.array([problem.signal]), np.array([check_setting("noise_variance", noise_variance, 0)]))
    seen = mask_groups(0.0 if test is None or isinstance(test, Panel) else test, rescale=rescale)
    start = np.full((1, 2), float(problem.n_features))
    point = solve_fixed_point(groups, rows, problem.traces, ridge=ridge, start=start)
    forms = problem.forms(point.A, point.B)
    parts = assemble(groups, rows, point, forms, target, seen)
    spread = 0.0
    if finite_size:
        values = _eigenvalues(problem)
        factors, excess = finite_size_factors(groups, rows, point, forms, parts, values)
        point = solve_fixed_point(groups, rows, problem.traces, ridge=ridge, start=point.first, factor=factors.resolvent)
        corrected = assemble(groups, rows, point, problem.forms(point.A, point.B), target, seen, factors=factors)
        parts, spread = keep_sane(corrected, parts), float(excess[0])
    bias, variance, explained = float(parts.bias[0]), float(parts.variance[0]), problem.explained(seen)
    if isinstance(test, Panel):
        mask = test.mask(problem.n_features)
        bias, variance, explained = problem.on_panel(mask, problem.n_features / mask.sum() if rescale else 1.0, point, parts)
    irreducible = 0.0 if test is None else max(problem.signal - explained, 0.0)
    return Risk(
        total=bias + variance,
        bias=bias - irreducible,
        variance=variance,
        irreducible=irreducible,
        noise=float(target.noise[0]),
        inflation=float(parts.inflation[0]),
        leverage_spread=spread,
        iterations=point.iterations,
        residual=point.residual,
    )


def check_setting(name: str, value: float, least: float) -> float:
    """The value, if it is a finite number of at least ``least``.

    Raises
    ------
    ConfigError
        It is not.
    """
    if not np.isfinite(value) or value < least:
        message = f"{name} is {value}; needed is a finite number of at least {least}."
        raise ConfigError(message)
    return float(value)


def _problem(
    covariance: ArrayLike | Eigendecomposition, coefficients: ArrayLike, method: Method
) -> tuple[SpectralProblem | DenseProblem, float]:
    """The problem for features of mean variance 1, and the unit of variance."""
    b = np.asarray(coefficients, np.float64)
    if method not in ("auto", "spectral", "dense"):
        message = f"method is {method!r}; needed is 'auto', 'spectral' or 'dense'."
        raise ConfigError(message)
    S = covariance if isinstance(covariance, Eigendecomposition) else check_covariance(covariance)
    d = S.n_features if isinstance(S, Eigendecomposition) else len(S)
    if b.shape != (d,) or not np.isfinite(b).all():
        message = f"coefficients have shape {b.shape}; needed are {d} finite numbers, one for each feature of the covariance."
        raise DataError(message)
    if isinstance(S, np.ndarray):
        if S.ndim == 2 and (method == "dense" or (method == "auto" and not has_constant_diagonal(S))):
            unit = float(np.diag(S).mean())
            return DenseProblem(S / unit, np.sqrt(unit) * b), unit
        S = decompose(S)
    if method == "dense":
        message = "method='dense' needs the covariance itself, not its eigendecomposition."
        raise ConfigError(message)
    return SpectralProblem(S, S.rotate(np.sqrt(S.scale) * b)), S.scale


def _eigenvalues(problem: SpectralProblem | DenseProblem) -> Float:
    if isinstance(problem, DenseProblem):
        message = "finite_size=True works in the spectral form alone: standardise the features and leave method='dense' out."
        raise ConfigError(message)
    return problem.eigen.values
