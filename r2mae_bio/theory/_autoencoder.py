"""Risk of the masked linear autoencoder: every gene predicted from the others, where it is hidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.theory._assemble import Target, assemble
from r2mae_bio.theory._decompose import Eigendecomposition, decompose
from r2mae_bio.theory._finite_size import finite_size_factors
from r2mae_bio.theory._fixed_point import solve_fixed_point, spectral_traces
from r2mae_bio.theory._groups import mask_groups, ratio_nodes
from r2mae_bio.theory._leave_one_out import LeaveOneOut
from r2mae_bio.theory._risk import Risk, check_setting

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from r2mae_bio.theory._assemble import Parts
    from r2mae_bio.theory._fixed_point import FixedPoint
    from r2mae_bio.theory._groups import Float, MaskRatio

Algebra: TypeAlias = Literal["auto", "exact", "eigenbasis"]
_EXACT_UP_TO = 400
_CHUNK = 512


@dataclass(frozen=True, kw_only=True)
class AutoencoderRisk(Risk):
    """Mean over genes of the risk of predicting each one, in units of a gene's variance."""

    per_gene: Float
    """``total`` of every gene (J,)."""
    per_gene_noise: Float
    """``noise`` of every gene: what all other genes do not determine (J,)."""
    algebra: str
    """``"exact"`` or ``"eigenbasis"``."""


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
        Correct for the fluctuation of a cell's leverage; see :func:`regression_risk`.
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
        eigen, check_setting("n", n, 1) * float(weights @ ratios), mask_ratio, rescale, test, check_setting("ridge", ridge, 0) / eigen.scale,
        row_scales, finite_size, calibrated,
    )  # fmt: skip
    vectors = eigen.vectors if genes is None else eigen.vectors[np.asarray(genes)]
    if algebra not in ("auto", "exact", "eigenbasis"):
        message = f"algebra is {algebra!r}; needed is 'auto', 'exact' or 'eigenbasis'."
        raise ConfigError(message)
    exact = algebra == "exact" or (algebra == "auto" and len(vectors) <= _EXACT_UP_TO)
    results = [problem.solve(vectors[i : i + _CHUNK] ** 2, exact=exact) for i in range(0, len(vectors), _CHUNK)]
    return _report(results, "exact" if exact else "eigenbasis")


@dataclass(frozen=True, eq=False)
class _Result:
    parts: Parts
    unexplained: Float
    noise: Float
    spread: Float
    point: FixedPoint


@dataclass(frozen=True, eq=False)
class _Problem:
    eigen: Eigendecomposition
    rows: float
    mask_ratio: MaskRatio
    rescale: bool
    test: MaskRatio | None
    ridge: float
    row_scales: ArrayLike | None
    finite_size: bool
    calibrated: bool

    def solve(self, squares: Float, *, exact: bool) -> _Result:
        """Risk of predicting the genes whose squared rows of the eigenvectors are given (J, d)."""
        values = self.eigen.values
        groups = mask_groups(self.mask_ratio, rescale=self.rescale, only_hidden=True, row_scales=self.row_scales)
        seen = mask_groups(0.0 if self.test is None else self.test, rescale=self.rescale)
        one_out = LeaveOneOut(values, squares)
        noise = one_out.noise()
        target = Target(1 - noise, noise)
        rows, traces = np.array([self.rows]), spectral_traces(values)
        start = np.full((1, 2), float(values.size))
        point = solve_fixed_point(groups, rows, traces, ridge=self.ridge, start=start)
        if exact:
            rows, traces = np.full(len(squares), self.rows), one_out.traces
            point = solve_fixed_point(groups, rows, traces, ridge=self.ridge, start=point.first)
        forms = one_out.forms(point.A, point.B)
        parts = assemble(groups, rows, point, forms, target, seen, calibrated=self.calibrated)
        spread = np.zeros(1)
        if self.finite_size:
            factors, spread = finite_size_factors(groups, rows, point, forms, parts, values)
            point = solve_fixed_point(groups, rows, traces, ridge=self.ridge, start=point.first, factor=factors.resolvent)
            forms = one_out.forms(point.A, point.B)
            parts = assemble(groups, rows, point, forms, target, seen, factors=factors, calibrated=self.calibrated)
        unexplained = (
            noise
            if self.test is None
            else seen.weight @ np.stack([one_out.unexplained(*x) for x in zip(seen.a, seen.c, strict=True)])
        )
        return _Result(parts, unexplained, noise, spread, point)


def _report(results: list[_Result], algebra: str) -> AutoencoderRisk:
    def joined(values: list[Float]) -> Float:
        return np.concatenate(values)

    bias = joined([r.parts.bias for r in results])
    variance = joined([r.parts.variance for r in results])
    noise = joined([r.noise for r in results])
    irreducible = np.maximum(joined([r.unexplained for r in results]) - noise, 0)
    return AutoencoderRisk(
        total=float((bias + variance).mean()),
        bias=float((bias - irreducible).mean()),
        variance=float(variance.mean()),
        irreducible=float(irreducible.mean()),
        noise=float(noise.mean()),
        inflation=float(np.median(joined([r.parts.inflation for r in results]))),
        leverage_spread=float(np.mean([r.spread.mean() for r in results])),
        iterations=max(r.point.iterations for r in results),
        residual=max(r.point.residual for r in results),
        per_gene=bias + variance,
        per_gene_noise=noise,
        algebra=algebra,
    )
