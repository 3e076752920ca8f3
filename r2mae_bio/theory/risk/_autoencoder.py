"""Risk of the masked linear autoencoder: every gene predicted from the others, where it is
hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.theory.risk._assemble import Target, assemble
from r2mae_bio.theory.risk._decompose import Eigendecomposition, decompose
from r2mae_bio.theory.risk._finite_size import finite_size_factors, keep_sane
from r2mae_bio.theory.risk._fixed_point import solve_fixed_point, spectral_traces
from r2mae_bio.theory.risk._groups import hidden_share, mask_groups
from r2mae_bio.theory.risk._leave_one_out import LeaveOneOut
from r2mae_bio.theory.risk._risk import LARGEST_INFLATION, Risk, check_setting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory.risk._assemble import Factors, Forms, Parts
    from r2mae_bio.theory.risk._fixed_point import FixedPoint
    from r2mae_bio.theory.risk._groups import Float, Groups, MaskRatio

Algebra: TypeAlias = Literal["auto", "exact", "eigenbasis"]
_EXACT_UP_TO = 400
_CHUNK = 512
_PEAK_WIDTH = 4.0
"""Standard deviations of the number of rows within which the peak spoils a ratio."""
_TINY = 1e-12
_NODES = ((-np.sqrt(3), 1 / 6), (0.0, 4 / 6), (np.sqrt(3), 1 / 6))
"""Gauss-Hermite rule for the number of rows: standard deviations and weights."""


@dataclass(frozen=True, kw_only=True)
class AutoencoderRisk(Risk):
    """Mean over genes of the risk of predicting each one, in units of a gene's variance."""

    per_gene: Float
    """``total`` of every gene (J,)."""
    per_gene_noise: Float
    """``noise`` of every gene: what all other genes do not determine (J,)."""
    algebra: str
    """``"exact"`` or ``"eigenbasis"``."""
    peak_distance: float
    """Distance of the expected number of training rows from the number of other genes, in standard
    deviations of the former.
    """

    @property
    def near_peak(self) -> bool:
        """Whether the interpolation peak spoils this ratio, for the expected number of rows or for
        numbers that chance gives.
        """
        return self.inflation > LARGEST_INFLATION or self.peak_distance < _PEAK_WIDTH


def autoencoder_risk(
    covariance: ArrayLike | Eigendecomposition,
    *,
    n: float,
    mask_ratio: MaskRatio,
    rescale: bool = True,
    test: MaskRatio | None = None,
    genes: ArrayLike | None = None,
    ridge: float = 0.0,
    row_scales: ArrayLike | None = None,
    finite_size: bool = True,
    calibrated: bool = False,
    algebra: Algebra = "auto",
) -> AutoencoderRisk:
    """Risk of the masked linear autoencoder.

    Gene j is predicted only where it is hidden, from the other genes as masked in the same cell.
    That leaves ``n E[p]`` cells, in which the ratio is weighted by itself: a higher ratio gives
    more targets per cell and a poorer input. The ratio so drives double descent by itself, with a
    peak where ``n E[p]`` meets the number of genes; a fixed ratio can sit on it, a wide random one
    hardly does.

    Parameters
    ----------
    covariance
        Correlation matrix of the genes (d, d), any covariance with constant diagonal, or the result
        of :func:`decompose`.
    n
        Number of training cells.
    mask_ratio, rescale, ridge, row_scales
        As in :func:`regression_risk`; the ratio must not be 0.
    test
        How the other genes of a test cell are masked: not at all (None), or at a ratio or law (a
        panel of random genes, a shallow cell).
    genes
        Positions of the genes to predict (J,); all if None.
    finite_size
        Correct for the fluctuation of a cell's leverage (see :func:`regression_risk`), and average
        over the binomial number of cells in which a gene is hidden.
    calibrated
        Multiply each gene's prediction by the one factor that suits the test ratio best. A linear
        map cannot know how much of its input is hidden and errs wildly at ratios it was not trained
        at; a network is told, and this is the least it learns from it.
    algebra
        ``"exact"`` leaves each gene out of every trace and form at O(d) per gene; ``"eigenbasis"``
        leaves it out of the forms only and shares one fixed point, within about 1% of exact away
        from the peak; ``"auto"`` is exact up to 400 genes.

    Returns
    -------
    Means over genes, and the total of every gene.

    Raises
    ------
    DataError
        The covariance is none, or its diagonal is not constant.
    ConfigError
        A setting is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from r2mae_bio.theory import autoencoder_risk
    >>> S = 0.5 * np.eye(60) + 0.5
    >>> risk = autoencoder_risk(S, n=300, mask_ratio=(0.1, 0.9))
    >>> risk.total < risk.noise, risk.near_peak
    (True, False)
    """
    eigen = covariance if isinstance(covariance, Eigendecomposition) else decompose(covariance)
    if eigen.vectors is None:
        message = "The autoencoder needs eigenvectors: every gene's own row of them. Pass the covariance itself."
        raise DataError(message)
    share = hidden_share(mask_ratio)
    problem = _Problem(
        values=eigen.values,
        groups=mask_groups(mask_ratio, rescale=rescale, only_hidden=True, row_scales=row_scales),
        seen=mask_groups(0.0 if test is None else test, rescale=rescale),
        masked_test=test is not None,
        ridge=check_setting("ridge", ridge, 0) / eigen.scale,
        finite_size=finite_size,
        calibrated=calibrated,
    )
    vectors = eigen.vectors[_check_genes(genes, eigen.n_features)]
    if algebra not in ("auto", "exact", "eigenbasis"):
        message = f"algebra is {algebra!r}; needed is 'auto', 'exact' or 'eigenbasis'."
        raise ConfigError(message)
    exact = algebra == "exact" or (algebra == "auto" and len(vectors) <= _EXACT_UP_TO)
    numbers, distance = _row_numbers(check_setting("n", n, 1), share, eigen.n_features, finite_size=finite_size)
    chunks = (LeaveOneOut(eigen.values, vectors[i : i + _CHUNK] ** 2) for i in range(0, len(vectors), _CHUNK))
    results = [problem.average(genes_left_out, numbers, exact=exact) for genes_left_out in chunks]
    return _report(results, "exact" if exact else "eigenbasis", distance)


def _check_genes(genes: ArrayLike | None, d: int) -> NDArray[np.int64]:
    positions = np.arange(d) if genes is None else np.asarray(genes)
    if positions.dtype == bool and positions.shape == (d,):
        positions = np.flatnonzero(positions)
    if (
        positions.ndim != 1
        or not positions.size
        or positions.dtype.kind not in "iu"
        or positions.min() < -d
        or positions.max() >= d
    ):
        message = f"genes is {genes!r}; needed are positions of at least one of the {d} genes."
        raise DataError(message)
    if d < 2:
        message = f"The covariance has {d} gene; at least two are needed, one to predict and one to predict it from."
        raise DataError(message)
    return positions.astype(np.int64)


def _row_numbers(n: float, share: float, d: int, *, finite_size: bool) -> tuple[list[tuple[float, float]], float]:
    """Numbers of rows with their weights, and how far the expected one is from the peak.

    A gene is hidden in a binomial number of cells; the risk is convex in it, steeply so near the
    peak. Numbers across the peak are left out: the average has no mean there.
    """
    sd = np.sqrt(n * share * (1 - share))
    distance = float(abs(n * share - (d - 1)) / max(sd, _TINY))
    if not finite_size or distance < _PEAK_WIDTH or n * share < _PEAK_WIDTH * sd:
        return [(n * share, 1.0)], distance
    return [(n * share + x * sd, w) for x, w in _NODES], distance


@dataclass(frozen=True, eq=False)
class _Result:
    bias: Float
    variance: Float
    inflation: Float
    unexplained: Float
    noise: Float
    spread: Float
    point: FixedPoint


@dataclass(frozen=True, eq=False)
class _Problem:
    values: Float
    """Eigenvalues (d,)."""
    groups: Groups
    """Training rows in which a gene is hidden."""
    seen: Groups
    """Test rows."""
    masked_test: bool
    ridge: float
    finite_size: bool
    calibrated: bool

    def average(self, one_out: LeaveOneOut, numbers: list[tuple[float, float]], *, exact: bool) -> _Result:
        """Risk of predicting the genes left out (J,), averaged over numbers of rows; inflation and
        spread are those of the middle one.
        """
        noise = one_out.noise()
        solved = [(w, *self._solve(one_out, Target(1 - noise, noise), number, exact=exact)) for number, w in numbers]
        _, middle, spread, point = solved[len(solved) // 2]
        bias, variance = (np.sum([w * getattr(parts, x) for w, parts, *_ in solved], axis=0) for x in ("bias", "variance"))
        return _Result(bias, variance, middle.inflation, self._unexplained(one_out, noise), noise, spread, point)

    def _solve(self, one_out: LeaveOneOut, target: Target, number: float, *, exact: bool) -> tuple[Parts, Float, FixedPoint]:
        rows, traces = np.array([number]), spectral_traces(self.values)
        start = np.full((1, 2), float(self.values.size))
        point = solve_fixed_point(self.groups, rows, traces, ridge=self.ridge, start=start)
        if exact:
            rows, traces = np.full(len(target.noise), number), one_out.traces
            point = solve_fixed_point(self.groups, rows, traces, ridge=self.ridge, start=point.first)
        forms = one_out.forms(point.A, point.B)
        parts = self._assemble(rows, point, forms, target)
        if not self.finite_size:
            return parts, np.zeros(1), point
        factors, spread = finite_size_factors(self.groups, rows, point, forms, parts, self.values)
        point = solve_fixed_point(self.groups, rows, traces, ridge=self.ridge, start=point.first, factor=factors.resolvent)
        corrected = self._assemble(rows, point, one_out.forms(point.A, point.B), target, factors)
        return keep_sane(corrected, parts), spread, point

    def _assemble(self, rows: Float, point: FixedPoint, forms: Forms, target: Target, factors: Factors | None = None) -> Parts:
        return assemble(self.groups, rows, point, forms, target, self.seen, factors=factors, calibrated=self.calibrated)

    def _unexplained(self, one_out: LeaveOneOut, noise: Float) -> Float:
        if not self.masked_test:
            return noise
        left = [one_out.unexplained(a, c) for a, c in zip(self.seen.a, self.seen.c, strict=True)]
        return np.asarray(self.seen.weight @ np.stack(left))


def _report(results: list[_Result], algebra: str, distance: float) -> AutoencoderRisk:
    def joined(values: list[Float]) -> Float:
        return np.concatenate(values)

    bias = joined([r.bias for r in results])
    variance = joined([r.variance for r in results])
    noise = joined([r.noise for r in results])
    irreducible = np.maximum(joined([r.unexplained for r in results]) - noise, 0)
    return AutoencoderRisk(
        total=float((bias + variance).mean()),
        bias=float((bias - irreducible).mean()),
        variance=float(variance.mean()),
        irreducible=float(irreducible.mean()),
        noise=float(noise.mean()),
        inflation=float(np.median(joined([r.inflation for r in results]))),
        leverage_spread=float(np.mean([r.spread.mean() for r in results])),
        iterations=max(r.point.iterations for r in results),
        residual=max(r.point.residual for r in results),
        per_gene=bias + variance,
        per_gene_noise=noise,
        algebra=algebra,
        peak_distance=distance,
    )
