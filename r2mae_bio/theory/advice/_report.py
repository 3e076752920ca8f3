"""What is recommended, and the words for it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from r2mae_bio.theory.advice._curve import RiskCurve
    from r2mae_bio.theory.risk._groups import Float

Masks: TypeAlias = Literal["fresh", "single"]
TOLERANCE = 0.05
"""Ratios within this of the least error count as good."""
AS_GOOD = 0.01
"""Laws whose worst cost is within this of the least are as good as the best; the widest of them is
recommended.
"""
_LOWS = np.round(np.arange(0, 0.81, 0.1), 2)
_HIGHS = np.round(np.arange(0.2, 1.01, 0.1), 2)
_NARROWEST = 0.2


def candidates() -> list[tuple[float, float]]:
    """The candidate laws, from narrow to wide."""
    pairs = ((float(low), float(high)) for low in _LOWS for high in _HIGHS if high - low >= _NARROWEST - 1e-9)
    return sorted(pairs, key=lambda x: (round(x[1] - x[0], 6), x))


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
    masks: Masks = "single"
    """Masks of the theory: ``"fresh"`` ones for ever, or a ``"single"`` one per cell."""
    evidence: str = "theory"
    """``"theory"``: predicted from the spectrum; ``"held-out"``: measured on cells that the linear
    model was not fitted to, and taken to ``n_cells`` by the theory.
    """

    @property
    def verdict(self) -> str:
        """The advice in words."""
        return " ".join(_sentences(self))

    def __repr__(self) -> str:
        return f"Recommendation(Uniform{self.law}: {self.verdict})"

    def with_bootstrap(self, samples: Sequence[tuple[Scenario, ...]]) -> Recommendation:
        """The same with its spread over scenarios (full, panel) of bootstrap samples, whose laws
        are all candidates or the recommended one alone.
        """
        at = candidates().index(self.law) if samples[0][0].laws.size > 1 else 0
        spread = {}
        for i, name in enumerate(("full", "panel")):
            spread[f"best_{name}"] = np.array([s[i].curve.best for s in samples])
            spread[f"cost_{name}"] = np.array([s[i].costs[at] for s in samples])
        return replace(self, bootstrap=spread)

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
            "masks": self.masks,
            "evidence": self.evidence,
            "full": self.full.to_uns(),
            "panel": self.on_panel.to_uns(),
            "bootstrap": dict(self.bootstrap),
        }


def choose(full: Scenario, on_panel: Scenario, **about: Any) -> Recommendation:
    """Recommend the widest of the laws that are as good as the best for both kinds of test cells.

    Parameters
    ----------
    full, on_panel
        Errors of every fixed ratio and of :func:`candidates`.
    about
        Further fields of the recommendation.

    Returns
    -------
    The recommendation, without a bootstrap.
    """
    worst = np.maximum(full.costs, on_panel.costs)
    chosen = int(np.flatnonzero(worst <= worst.min() + AS_GOOD)[-1])  # the widest comes last
    fixed = np.maximum(full.fixed_costs, on_panel.fixed_costs)
    return Recommendation(
        law=candidates()[chosen],
        cost={"full": float(full.costs[chosen]), "panel": float(on_panel.costs[chosen])},
        compromise=(float(full.curve.ratios[np.argmin(fixed)]), float(fixed.min())),
        full=full,
        on_panel=on_panel,
        bootstrap={},
        **about,
    )


def _sentences(advice: Recommendation) -> Iterator[str]:
    """The verdict, sentence by sentence."""
    low, high = advice.law
    yield (
        f"{advice.n_genes} genes with an effective rank of {advice.effective_rank:.0f}, {advice.n_cells} training cells. "
        f"Train with Uniform({low:g}, {high:g}), the widest of the laws whose larger cost is within {100 * AS_GOOD:g} percentage "
        "point of the least."
    )
    for name, scenario in (("full", advice.full), ("panel", advice.on_panel)):
        what = "Cells measured in full" if name == "full" else f"Cells measured on {advice.panel:.0%} of the genes"
        best = _ratio(scenario.curve.best, scenario.curve)
        yield (
            f"{what}: best fixed ratio {best}{_interval(advice, name, scenario.curve)}, {_good_ratios(scenario)}; "
            f"{_comparison(advice.cost[name])}."
        )
    yield _on_compromise(advice)
    if advice.peak < 1:
        yield f"Fixed ratios near {advice.peak:.2f} sit on the interpolation peak (cells x ratio = genes) of an unregularised model."
    yield from _basis(advice)


def _basis(advice: Recommendation) -> Iterator[str]:
    """What the advice rests on."""
    if advice.masks == "single":
        yield "This is the linear model's advice for one mask per cell; a network sees fresh ones, has a flatter curve and no peak."
        return
    how = "measured on held-out cells" if advice.evidence == "held-out" else "predicted from the correlations of the genes"
    yield f"Errors are the linear model's with fresh masks in every epoch, {how}."
    yield "There a law acts only as the fixed ratio of equal masking noise; a network, which sees how much is hidden, has a flatter curve."


def _ratio(ratio: float, curve: RiskCurve) -> str:
    """A ratio in words; beyond the ends of the curve nothing was tried."""
    beyond = " or less" if ratio <= curve.ratios[0] else " or more" if ratio >= curve.ratios[-1] else ""
    return f"{ratio:.2f}{beyond}"


def _range(low: float, high: float, curve: RiskCurve) -> str:
    ends = _ratio(low, curve), _ratio(high, curve)
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def _good_ratios(scenario: Scenario) -> str:
    first, last = scenario.interval
    if first == last:
        return f"no other that was tried within {TOLERANCE:.0%} of it"
    return f"within {TOLERANCE:.0%} of it from {_range(first, last, scenario.curve)}"


def _interval(advice: Recommendation, name: str, curve: RiskCurve) -> str:
    samples = advice.bootstrap.get(f"best_{name}")
    if samples is None:
        return ""
    low, high = np.quantile(samples, [0.05, 0.95])
    return f" (90% of bootstrap samples {_range(low, high, curve)})"


def _comparison(cost: float) -> str:
    if abs(cost) < 0.005:
        return "the random ratio neither helps nor costs (less than 0.5% either way)"
    if cost > 0:
        return f"the random ratio does not help here, it costs {cost:.1%}"
    return f"the random ratio is {-cost:.1%} better"


def _on_compromise(advice: Recommendation) -> str:
    ratio, cost = advice.compromise
    worst = max(advice.cost.values())
    if worst < cost - AS_GOOD:
        return f"No fixed ratio serves both: the best compromise, {ratio:.2f}, costs {cost:.1%} on one of them, the random ratio {worst:.1%}."
    return f"A fixed ratio of {ratio:.2f} serves both at a cost of {max(cost, 0):.1%}, the random ratio at {max(worst, 0):.1%}."
