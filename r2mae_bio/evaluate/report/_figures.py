"""Figures of the report, as PNG. They are drawn without pyplot: no window, and the user's settings
of it stay as they are.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PROBES", "Styles", "curve_figure", "dot_figure", "method_styles"]

Styles: TypeAlias = dict[str, dict[str, Any]]
"""Arguments of ``Axes.errorbar`` by method."""

REFERENCE_COLOR = "#000000"
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#999999", "#8C6D31", "#5A3E85")
"""Okabe and Ito's palette without black, which is the reference's, then two more; markers tell
colours apart once they repeat.
"""
MARKERS = "osD^vPX<>h"
UNINFORMED = ("majority class", "noise")
"""Drawn dotted: the controls that show what is reached without looking at the cells."""
PROBES = {"linear": "linear probe", "knn": "k nearest neighbours"}
METRICS = {
    "isolated_labels": "isolated labels",
    "nmi": "k-means NMI",
    "ari": "k-means ARI",
    "silhouette_label": "silhouette, classes",
    "clisi": "cLISI",
    "bras": "BRAS",
    "ilisi": "iLISI",
    "kbet": "kBET",
    "graph_connectivity": "graph connectivity",
    "pcr_comparison": "PCR comparison",
}


def curve_figure(summary: pd.DataFrame, styles: Styles, *, column: str, axis: str) -> bytes:
    """Macro-F1 against a share, a line per method with its standard deviation, a plot per probe."""
    probes = list(summary["probe"].unique())
    figure = _figure(4.4 * len(probes) + 2.2, 4.0)
    shown = {method: styles[method] for method in summary["method"].unique()}
    axes = np.atleast_1d(figure.subplots(1, len(probes), sharey=True))
    for ax, probe in zip(axes, probes, strict=True):
        part = summary[summary["probe"] == probe]
        _draw_curves(ax, part, column, shown)
        ax.set(title=PROBES.get(probe, probe), xlabel=axis, ylim=(0, 1))
    axes[0].set_ylabel("macro-F1 (mean ± s.d.)")
    return _finish(figure, axes[0])


def dot_figure(summary: pd.DataFrame, styles: Styles) -> bytes:
    """A row per metric, a dot per method with its standard deviation, a plot per kind of metric."""
    kinds = list(summary["kind"].unique())
    shown = {method: styles[method] for method in summary["method"].unique()}
    n_rows = max(summary[summary["kind"] == kind]["metric"].nunique() for kind in kinds)
    figure = _figure(4.4 * len(kinds) + 2.2, 1.2 + n_rows * max(0.45, 0.11 * len(shown)))
    axes = np.atleast_1d(figure.subplots(1, len(kinds)))
    for ax, kind in zip(axes, kinds, strict=True):
        _draw_dots(ax, summary[summary["kind"] == kind], shown)
        ax.set(title=kind, xlabel="score (mean ± s.d.), larger is better", xlim=(-0.03, 1.03))
    return _finish(figure, axes[0])


def method_styles(methods: list[str], reference: str) -> Styles:
    """Look of each method, the same in all figures of a report; the reference stands out, and lies
    on top.
    """
    others = [method for method in methods if method != reference]
    styles: Styles = {}
    for i, method in enumerate(others):
        line = ":" if method in UNINFORMED else "-"
        styles[method] = {"color": COLORS[i % len(COLORS)], "marker": MARKERS[1 + i % (len(MARKERS) - 1)], "linestyle": line}
        styles[method] |= {"linewidth": 1.3, "markersize": 4.5, "zorder": 2}
    top = {"color": REFERENCE_COLOR, "marker": MARKERS[0], "linestyle": "-", "linewidth": 2.2, "markersize": 6, "zorder": 3}
    return {method: top if method == reference else styles[method] for method in methods}


def _draw_curves(ax: Axes, part: pd.DataFrame, column: str, styles: Styles) -> None:
    shares = np.sort(part[column].unique())
    offsets = np.linspace(-1, 1, len(styles)) if len(styles) > 1 else np.zeros(1)
    for offset, (method, style) in zip(offsets, styles.items(), strict=True):
        rows = part[part["method"] == method].sort_values(column)
        # moved a little sideways, so that the bars of different methods do not cover each other
        x = rows[column].to_numpy(float) * 1.045**offset
        spread = np.nan_to_num(rows["macro_f1_std"].to_numpy(float))
        ax.errorbar(x, rows["macro_f1_mean"], spread, label=method, elinewidth=0.9, **style)
    ax.set_xscale("log")
    ax.set_xticks(shares, [f"{100 * share:.3g}%" for share in shares])
    ax.minorticks_off()
    ax.grid(axis="y", color="0.92", linewidth=0.8)


def _draw_dots(ax: Axes, part: pd.DataFrame, styles: Styles) -> None:
    metrics = list(part["metric"].unique())
    offsets = np.linspace(-0.34, 0.34, len(styles)) if len(styles) > 1 else np.zeros(1)
    for offset, (method, style) in zip(offsets, styles.items(), strict=True):
        rows = part[part["method"] == method].set_index("metric").reindex(metrics)
        spread = np.nan_to_num(rows["value_std"].to_numpy(float))
        y = np.arange(len(metrics)) + offset
        ax.errorbar(rows["value_mean"], y, xerr=spread, label=method, elinewidth=0.9, **{**style, "linestyle": "none"})
    for edge in np.arange(len(metrics) - 1) + 0.5:
        ax.axhline(edge, color="0.9", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(metrics)), [METRICS.get(metric, metric) for metric in metrics])
    ax.set_ylim(len(metrics) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _finish(figure: Figure, labelled: Axes) -> bytes:
    for ax in figure.axes:
        ax.spines[["top", "right"]].set_visible(False)
    handles, labels = labelled.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize="small", loc="outside right center")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150, metadata={"Software": None})
    return buffer.getvalue()
