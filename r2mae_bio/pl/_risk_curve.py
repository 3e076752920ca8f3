"""``pl.risk_curve``: predicted risk against the mask ratio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError, SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._uns import read_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes

    from r2mae_bio.theory import Recommendation

_COLORS = {"total": "#000000", "bias": "#0072B2", "variance": "#D55E00", "floor": "#999999", "law": "#009E73"}
"""Okabe and Ito's palette, told apart by colour-blind readers and in print."""


def risk_curve(
    adata: AnnData | Recommendation,
    *,
    scenario: str = "full",
    key: str = KEYS.mask_ratio,
    points: Sequence[tuple[float, float, float]] = (),
    ax: Axes | None = None,
) -> Axes:
    """Plot the predicted error of the masked linear autoencoder against the mask ratio, split into
    its parts.

    Parameters
    ----------
    adata
        Data for which :func:`r2mae_bio.tl.recommend_mask_ratio` was called, or what it returned.
    scenario
        Test cells measured in ``"full"`` or on a ``"panel"``.
    key
        Key of ``.uns["r2mae"]``.
    points
        Measured or simulated errors to draw beside the curve: (ratio, error, standard error).
    ax
        Where to draw; new axes if None.

    Returns
    -------
    The axes. The vertical axis is the error in units of a gene's variance; above twice the variance
    of the genes the curve is cut off. The band is the recommended law, with its own error as a line
    across it; hatching marks ratios that the interpolation peak spoils.

    Raises
    ------
    SetupError
        No recommendation was made.
    ConfigError
        There is no such scenario.
    """
    import matplotlib.pyplot as plt

    advice = _stored(adata, key)
    if scenario not in ("full", "panel"):
        message = f"scenario is {scenario!r}; needed is 'full' or 'panel'."
        raise ConfigError(message)
    curve = advice[scenario]
    ax = plt.subplots(figsize=(5.5, 3.8), layout="constrained")[1] if ax is None else ax
    _draw_parts(ax, curve)
    _draw_law(ax, curve, advice["law"], float(advice["cost"][scenario]))
    _draw_peak(ax, curve, float(advice["peak"]))
    _draw_points(ax, points)
    what = "cells measured in full" if scenario == "full" else f"cells measured on {advice['panel_share']:.0%} of the genes"
    ax.set(xlabel="mask ratio in training", ylabel="error / variance of a gene", xlim=(0, 1), ylim=(0, _top(curve)), title=what)
    ax.legend(frameon=False, fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _stored(adata: Any, key: str) -> dict[str, Any]:
    if hasattr(adata, "to_uns"):
        return dict(adata.to_uns())
    stored = read_record(adata, key)
    if stored is None:
        message = f'adata.uns["r2mae"][{key!r}] is missing; call tl.recommend_mask_ratio(adata) first.'
        raise SetupError(message)
    return dict(stored)


def _top(curve: dict[str, Any]) -> float:
    return float(min(2.0, 1.08 * max(np.max(curve["error"]), 1.0)))


def _least(curve: dict[str, Any]) -> float:
    """Error at the best ratio."""
    return float(np.asarray(curve["error"])[np.asarray(curve["ratios"]) == curve["best"]][0])


def _draw_parts(ax: Axes, curve: dict[str, Any]) -> None:
    ratios = curve["ratios"]
    ax.axhline(1, color="0.8", linewidth=0.8, zorder=0)
    ax.text(0.01, 1.005, "predicting the mean", ha="left", va="bottom", color="0.5", fontsize="x-small")
    ax.plot(ratios, curve["error"], color=_COLORS["total"], linewidth=2, label="total")
    for name, label in (("bias", "bias"), ("variance", "variance")):
        ax.plot(ratios, curve[name], color=_COLORS[name], label=label)
    ax.plot(ratios, curve["floor"], color=_COLORS["floor"], linestyle="--", label="floor: best linear\nprediction")
    ax.plot(curve["best"], _least(curve), "o", color=_COLORS["total"], markersize=6)


def _draw_law(ax: Axes, curve: dict[str, Any], law: Any, cost: float) -> None:
    low, high = map(float, law)
    ax.axvspan(low, high, color=_COLORS["law"], alpha=0.1, linewidth=0)
    label = f"Uniform({low:g}, {high:g}),\n{cost:+.1%} on the best\nfixed ratio, {curve['best']:.2f}"
    ax.plot(
        [low, high], [_least(curve) * (1 + cost)] * 2, color=_COLORS["law"], linewidth=2.5, solid_capstyle="butt", label=label
    )


def _draw_peak(ax: Axes, curve: dict[str, Any], peak: float) -> None:
    if peak < 1:
        ax.axvline(peak, color="0.4", linestyle=":", linewidth=1.2, label=f"peak: cells × ratio\n= genes, at {peak:.2f}")
    spoilt = np.asarray(curve["near_peak"], bool)
    if spoilt.any():
        ratios = np.asarray(curve["ratios"])
        half = np.diff(ratios).min() / 2
        ax.axvspan(
            ratios[spoilt].min() - half, ratios[spoilt].max() + half, facecolor="none", edgecolor="0.75", hatch="///", linewidth=0
        )


def _draw_points(ax: Axes, points: Sequence[tuple[float, float, float]]) -> None:
    if len(points):
        ratio, error, spread = np.asarray(points, np.float64).T
        ax.errorbar(
            ratio,
            error,
            2 * spread,
            fmt="D",
            color="0.2",
            markersize=3.5,
            capsize=2,
            linewidth=1,
            label="measured, ± 2 s.e.",
            zorder=4,
        )
