"""From the spectrum of a data set to a range of mask ratios."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.theory.advice._curve import RATIOS, risk_curve
from r2mae_bio.theory.risk._autoencoder import autoencoder_risk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import ArrayLike

    from r2mae_bio.theory.advice._curve import RiskCurve
    from r2mae_bio.theory.risk._decompose import Eigendecomposition
    from r2mae_bio.theory.risk._groups import Float

TOLERANCE = 0.05
"""Ratios within this of the least error count as good."""
_AS_GOOD = 0.01
"""Laws whose worst cost is within this of the least are as good as the best; the widest of them is
recommended.
"""
_N_GENES = 200
_LOWS = np.round(np.arange(0, 0.81, 0.1), 2)
_HIGHS = np.round(np.arange(0.2, 1.01, 0.1), 2)
_NARROWEST = 0.2


@dataclass(frozen=True, eq=False)
class Scenario:
    """What the theory says for one kind of test cell."""

    curve: RiskCurve
    """Risk at fixed ratios."""
    interval: tuple[float, float]
    """Ratios within 5% of the least error."""
    laws: Float
    """Error of every candidate law (L,)."""

    def to_uns(self) -> dict[str, Any]:
        """Arrays of the curve, its best ratio and the interval around it."""
        return {**asdict(self.curve), "best": self.curve.best, "interval": np.array(self.interval)}

    @property
    def costs(self) -> Float:
        """Error of every candidate law relative to the best fixed ratio, less 1 (L,)."""
        return self.laws / self.curve.least - 1

    @property
    def fixed_costs(self) -> Float:
        """The same for every fixed ratio (R,)."""
        flagged = self.curve.near_peak | self.curve.heavy_tailed
        return np.where(flagged & ~flagged.all(), np.inf, self.curve.error / self.curve.least - 1)


@dataclass(frozen=True, eq=False)
class Recommendation:
    """Advice on the mask ratio, from the linear theory and the spectrum of one data set."""

    n_cells: int
    """Training cells."""
    n_genes: int
    """Genes of the spectrum."""
    panel: float
    """Share of the genes that a panel measures."""
    peak: float
    """Ratio at which ``n p`` meets the number of genes; above 1 if no ratio reaches it."""
    law: tuple[float, float]
    """Recommended ``Uniform(low, high)``."""
    cost: dict[str, float]
    """Predicted error of the law relative to the best fixed ratio, less 1, for test cells measured
    ``"full"`` and on a ``"panel"``.
    """
    compromise: tuple[float, float]
    """The best single fixed ratio for both kinds of test cells, and its larger cost."""
    full: Scenario
    """Test cells measured in full."""
    on_panel: Scenario
    """Test cells measured on a panel of random genes, or shallow."""
    bootstrap: dict[str, Float]
    """Over bootstrap samples of cells (S,): ``best_full``, ``best_panel``, ``cost_full``,
    ``cost_panel``; empty if none were drawn.
    """
    effective_rank: float
    """Participation ratio of the eigenvalues."""

    @property
    def verdict(self) -> str:
        """The advice in words."""
        return " ".join(_sentences(self))

    def __repr__(self) -> str:
        return f"Recommendation(Uniform{self.law}: {self.verdict})"

    def to_uns(self) -> dict[str, Any]:
        """What h5ad can hold of the recommendation: numbers, text and float64 arrays; curves as
        ``full`` and ``panel``.
        """
        return {
            "law": np.array(self.law),
            "verdict": self.verdict,
            "cost": dict(self.cost),
            "compromise": np.array(self.compromise),
            "n_cells": self.n_cells,
            "n_genes": self.n_genes,
            "panel_share": self.panel,
            "peak": self.peak,
            "effective_rank": self.effective_rank,
            "full": self.full.to_uns(),
            "panel": self.on_panel.to_uns(),
            "bootstrap": dict(self.bootstrap),
        }


def recommend(
    eigen: Eigendecomposition,
    *,
    n: int,
    panel: float = 0.1,
    eigenvalue_samples: ArrayLike | None = None,
    seed: int = 0,
    **settings: Any,
) -> Recommendation:
    """Recommend a range of mask ratios for a gene correlation matrix.

    Every candidate ``Uniform(low, high)`` is compared with the best fixed ratio for two kinds of
    test cells: measured in full, and on a panel. Recommended is the law whose larger cost is least;
    among laws within 0.01 of it, the widest. The comparison says what it finds: in the linear model
    a random ratio does not beat the best fixed ratio on full measurements by more than noise.

    Parameters
    ----------
    eigen
        Of the gene correlation matrix (d, d).
    n
        Number of training cells.
    panel
        Share of the genes that a panel, or a shallow cell, measures, in (0, 1).
    eigenvalue_samples
        Eigenvalues under resampling of the cells (S, d), for the uncertainty; none if None.
    seed
        Seed of the draw of 200 genes over which errors are averaged, where there are more.
    settings
        Further arguments of :func:`autoencoder_risk`, such as ``rescale`` and ``row_scales``.

    Returns
    -------
    The recommendation.

    Raises
    ------
    ConfigError, DataError
        A setting is out of range, or the covariance is none.
    """
    if not 0 < panel < 1:
        message = f"panel is {panel}; needed is the share of genes that a panel measures, between 0 and 1."
        raise ConfigError(message)
    d = eigen.n_features
    genes = np.sort(derive_generator(seed, "theory-genes").permutation(d)[:_N_GENES])
    settings = {"algebra": "eigenbasis", "genes": genes, **settings}  # its error of about 1% is common to all ratios
    resampled = None if eigenvalue_samples is None else _check_samples(eigenvalue_samples, d)
    advice = _advise(eigen, n, panel, **settings)
    if resampled is None:
        return advice
    samples = [
        _advise(replace(eigen, values=values), n, panel, law=advice.law, ratios=RATIOS[::2], **settings) for values in resampled
    ]
    return replace(advice, bootstrap=_spread(samples))


def _check_samples(eigenvalue_samples: ArrayLike, d: int) -> Float:
    values = np.asarray(eigenvalue_samples, np.float64)
    if values.ndim != 2 or values.shape[1] != d or not len(values) or not (np.isfinite(values) & (values >= 0)).all():
        message = (
            f"eigenvalue_samples has the shape {values.shape}; needed is (samples, {d}), at least one sample, and finite eigenvalues "
            "of 0 or more."
        )
        raise DataError(message)
    return values


def candidates() -> list[tuple[float, float]]:
    """The candidate laws, from narrow to wide."""
    pairs = ((float(low), float(high)) for low in _LOWS for high in _HIGHS if high - low >= _NARROWEST - 1e-9)
    return sorted(pairs, key=lambda x: (round(x[1] - x[0], 6), x))


def _advise(
    eigen: Eigendecomposition,
    n: int,
    panel: float,
    *,
    law: tuple[float, float] | None = None,
    ratios: Float = RATIOS,
    **settings: Any,
) -> Recommendation:
    laws = candidates() if law is None else [law]
    full, on_panel = (_scenario(eigen, n, test, laws, ratios, **settings) for test in (None, 1 - panel))
    worst = np.maximum(full.costs, on_panel.costs)
    chosen = int(np.flatnonzero(worst <= worst.min() + _AS_GOOD)[-1])  # the widest comes last
    fixed = np.maximum(full.fixed_costs, on_panel.fixed_costs)
    return Recommendation(
        n_cells=int(n),
        n_genes=eigen.n_features,
        panel=float(panel),
        peak=(eigen.n_features - 1) / n,
        law=laws[chosen],
        cost={"full": float(full.costs[chosen]), "panel": float(on_panel.costs[chosen])},
        compromise=(float(full.curve.ratios[np.argmin(fixed)]), float(fixed.min())),
        full=full,
        on_panel=on_panel,
        bootstrap={},
        effective_rank=eigen.effective_rank,
    )


def _scenario(
    eigen: Eigendecomposition, n: int, test: float | None, laws: list[tuple[float, float]], ratios: Float, **settings: Any
) -> Scenario:
    curve = risk_curve(eigen, n=n, ratios=ratios, test=test, **settings)
    errors = [autoencoder_risk(eigen, n=n, mask_ratio=law, test=test, **settings).prediction_error for law in laws]
    return Scenario(curve, curve.within(TOLERANCE), np.array(errors))


def _spread(samples: list[Recommendation]) -> dict[str, Float]:
    return {
        "best_full": np.array([s.full.curve.best for s in samples]),
        "best_panel": np.array([s.on_panel.curve.best for s in samples]),
        "cost_full": np.array([s.cost["full"] for s in samples]),
        "cost_panel": np.array([s.cost["panel"] for s in samples]),
    }


def _sentences(advice: Recommendation) -> Iterator[str]:
    """The verdict, sentence by sentence."""
    low, high = advice.law
    yield (
        f"{advice.n_genes} genes with an effective rank of {advice.effective_rank:.0f}, {advice.n_cells} training cells. "
        f"Train with Uniform({low:g}, {high:g})."
    )
    for name, scenario in (("full", advice.full), ("panel", advice.on_panel)):
        what = "Cells measured in full" if name == "full" else f"Cells measured on {advice.panel:.0%} of the genes"
        first, last = scenario.interval
        yield (
            f"{what}: best fixed ratio {scenario.curve.best:.2f}{_interval(advice, name)}, within 5% of it from {first:.2f} to {last:.2f}; "
            f"{_comparison(advice.cost[name])}."
        )
    yield _on_compromise(advice)
    if advice.peak < 1:
        yield f"Fixed ratios near {advice.peak:.2f} sit on the interpolation peak (cells x ratio = genes) of an unregularised model."
    yield "This is the linear model's advice; a regularised network has a flatter curve and no peak."


def _interval(advice: Recommendation, name: str) -> str:
    samples = advice.bootstrap.get(f"best_{name}")
    if samples is None:
        return ""
    low, high = np.quantile(samples, [0.05, 0.95])
    return f" (90% of bootstrap samples {low:.2f} to {high:.2f})"


def _comparison(cost: float) -> str:
    if abs(cost) < 0.005:
        return "the random ratio neither helps nor costs (less than 0.5% either way)"
    if cost > 0:
        return f"the random ratio does not help here, it costs {cost:.1%}"
    return f"the random ratio is {-cost:.1%} better"


def _on_compromise(advice: Recommendation) -> str:
    ratio, cost = advice.compromise
    worst = max(advice.cost.values())
    if worst < cost - _AS_GOOD:
        return f"No fixed ratio serves both: the best compromise, {ratio:.2f}, costs {cost:.1%} on one of them, the random ratio {worst:.1%}."
    return f"A fixed ratio of {ratio:.2f} serves both at a cost of {max(cost, 0):.1%}, the random ratio at {max(worst, 0):.1%}."
