"""Risk of the masked linear autoencoder: every gene predicted from the others, where it is hidden."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.theory._assemble import Target, assemble
from r2mae_bio.theory._decompose import Eigendecomposition, decompose
from r2mae_bio.theory._finite_size import finite_size_factors, keep_sane
from r2mae_bio.theory._fixed_point import solve_fixed_point, spectral_traces
from r2mae_bio.theory._groups import mask_groups, ratio_nodes
from r2mae_bio.theory._leave_one_out import LeaveOneOut
from r2mae_bio.theory._risk import LARGEST_INFLATION, Risk, check_setting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.theory._fixed_point import FixedPoint
    from r2mae_bio.theory._groups import Float, MaskRatio

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
    """Distance of the expected number of training rows from the number of other genes, in standard deviations of the former."""

    @property
    def near_peak(self) -> bool:
        """Whether the interpolation peak spoils this ratio, for the expected number of rows or for numbers that chance gives."""
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

    Gene j is predicted only where it is hidden, from the other genes as masked in the same cell. That leaves ``n E[p]`` cells, in
    which the ratio is weighted by itself: a higher ratio gives more targets per cell and a poorer input. The ratio so drives double descent by
    itself, with a peak where ``n E[p]`` meets the number of genes; a fixed ratio can sit on it, a wide random one hardly does.

    Parameters
    ----------
    covariance
        Correlation matrix of the genes (d, d), any covariance with constant diagonal, or the result of :func:`decompose`.
    n
        Number of training cells.
    mask_ratio, rescale, ridge, row_scales
        As in :func:`regression_risk`; the ratio must not be 0.
    test
        How the other genes of a test cell are masked: not at all (None), or at a ratio or law (a panel of random genes, a shallow cell).
    genes
        Positions of the genes to predict (J,); all if None.
    finite_size
        Correct for the fluctuation of a cell's leverage (see :func:`regression_risk`), and average over the binomial number of cells in
        which a gene is hidden.
    calibrated
        Multiply each gene's prediction by the one factor that suits the test ratio best. A linear map cannot know how much of its
        input is hidden and errs wildly at ratios it was not trained at; a network is told, and this is the least it learns from it.
    algebra
        ``"exact"`` leaves each gene out of every trace and form at O(d) per gene; ``"eigenbasis"`` leaves it out of the forms only and
        shares one fixed point, within about 1% of exact away from the peak; ``"auto"`` is exact up to 400 genes.

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
    >>> S = 0.5 * np.eye(60) + 0.5
    >>> risk = autoencoder_risk(S, n=300, mask_ratio=(0.1, 0.9))
    >>> risk.total < risk.noise, risk.near_peak
    (True, False)
    """
    eigen = covariance if isinstance(covariance, Eigendecomposition) else decompose(covariance)
    if eigen.vectors is None:
        message = "The autoencoder needs eigenvectors: every gene's own row of them. Pass the covariance itself."
        raise DataError(message)
    ratios, weights = ratio_nodes(mask_ratio)
    if weights @ ratios <= 0:
        message = f"mask_ratio is {mask_ratio!r}: nothing is ever hidden, so there is nothing to predict. Give a ratio above 0."
        raise ConfigError(message)
    problem = _Problem(
        eigen, mask_ratio, rescale, test, check_setting("ridge", ridge, 0) / eigen.scale, row_scales, finite_size, calibrated
    )
    vectors = eigen.vectors[_check_genes(genes, eigen.n_features)]
    if algebra not in ("auto", "exact", "eigenbasis"):
        message = f"algebra is {algebra!r}; needed is 'auto', 'exact' or 'eigenbasis'."
        raise ConfigError(message)
    exact = algebra == "exact" or (algebra == "auto" and len(vectors) <= _EXACT_UP_TO)
    rows, distance = _row_numbers(check_setting("n", n, 1), float(weights @ ratios), eigen.n_features, finite_size=finite_size)
    chunks = [vectors[i : i + _CHUNK] ** 2 for i in range(0, len(vectors), _CHUNK)]
    results = [_mixture([(w, problem.solve(squares, number, exact=exact)) for number, w in rows]) for squares in chunks]
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

    A gene is hidden in a binomial number of cells; the risk is convex in it, steeply so near the peak. Numbers across the peak are
    left out: the average has no mean there.
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


def _mixture(results: list[tuple[float, _Result]]) -> _Result:
    """The mean over numbers of rows; inflation and spread are those of the middle one."""
    middle = results[len(results) // 2][1]
    return replace(middle, bias=_sum([w * r.bias for w, r in results]), variance=_sum([w * r.variance for w, r in results]))


def _sum(arrays: list[Float]) -> Float:
    return np.asarray(np.sum(arrays, axis=0))


@dataclass(frozen=True, eq=False)
class _Problem:
    eigen: Eigendecomposition
    mask_ratio: MaskRatio
    rescale: bool
    test: MaskRatio | None
    ridge: float
    row_scales: ArrayLike | None
    finite_size: bool
    calibrated: bool

    def solve(self, squares: Float, number: float, *, exact: bool) -> _Result:
        """Risk, from that number of rows, of predicting the genes whose squared rows of the eigenvectors are given (J, d)."""
        values = self.eigen.values
        groups = mask_groups(self.mask_ratio, rescale=self.rescale, only_hidden=True, row_scales=self.row_scales)
        seen = mask_groups(0.0 if self.test is None else self.test, rescale=self.rescale)
        one_out = LeaveOneOut(values, squares)
        noise = one_out.noise()
        target = Target(1 - noise, noise)
        rows, traces = np.array([number]), spectral_traces(values)
        start = np.full((1, 2), float(values.size))
        point = solve_fixed_point(groups, rows, traces, ridge=self.ridge, start=start)
        if exact:
            rows, traces = np.full(len(squares), number), one_out.traces
            point = solve_fixed_point(groups, rows, traces, ridge=self.ridge, start=point.first)
        forms = one_out.forms(point.A, point.B)
        parts = assemble(groups, rows, point, forms, target, seen, calibrated=self.calibrated)
        spread = np.zeros(1)
        if self.finite_size:
            factors, spread = finite_size_factors(groups, rows, point, forms, parts, values)
            point = solve_fixed_point(groups, rows, traces, ridge=self.ridge, start=point.first, factor=factors.resolvent)
            forms = one_out.forms(point.A, point.B)
            corrected = assemble(groups, rows, point, forms, target, seen, factors=factors, calibrated=self.calibrated)
            parts = keep_sane(corrected, parts)
        unexplained = (
            noise
            if self.test is None
            else seen.weight @ np.stack([one_out.unexplained(*x) for x in zip(seen.a, seen.c, strict=True)])
        )
        return _Result(parts.bias, parts.variance, parts.inflation, unexplained, noise, spread, point)


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
