"""Gains of the laws in every system, drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt

from benchmarks.systems.laws import AUTO, REFERENCE
from benchmarks.systems.summary import ROW, gains, grouped, of_best_fixed, reference, runs
from benchmarks.systems.system import HIGHER

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = {
    "dynamic .3-.15": ("0.55", "v"),
    "dynamic .9-.15": ("0.55", "^"),
    "U(0,1) batch": ("C0", "o"),
    "U(0,1) row": ("C0", "s"),
    "U(.1,.5) batch": ("C1", "o"),
    "U(.1,.5) row": ("C1", "s"),
    "U(.1,.8) batch": ("C2", "o"),
    "U(.1,.8) row": ("C2", "s"),
    "U(0,1) rectangle": ("C4", "D"),
    AUTO: ("C3", "*"),
}
"""Colour and marker of each law."""
_LEAST = -200
"""Worse ones lie outside."""


def draw(records: list[dict[str, Any]], path: Path) -> None:
    """One panel for what probes read, one for losses; a row for each network and measure.

    Parameters
    ----------
    records
        Of all runs.
    path
        A png file.
    """
    frame = runs(records)
    wide = grouped(frame)
    if REFERENCE not in wide:
        return
    gain = gains(wide.assign(best=of_best_fixed(wide)), reference(wide)).groupby(level=ROW, sort=False).mean()
    higher = gain.index.get_level_values("what").str.contains(HIGHER)
    fig, axes = plt.subplots(1, 2, figsize=(15, 0.3 * max(higher.sum(), (~higher).sum()) + 2), layout="constrained")
    for ax, rows, unit in zip(axes, (gain[higher], gain[~higher]), ("points of F1", "% of the loss"), strict=True):
        for y, (_key, values) in enumerate(rows.iterrows()):
            ax.plot([values["best"]] * 2, [y - 0.35, y + 0.35], color="black", lw=1.5, label=None if y else "best fixed ratio")
            for law, (color, marker) in SHOWN.items():
                if law in values.index:
                    ax.plot(values[law], y, marker, color=color, ms=5, alpha=0.8, label=None if y else law, linestyle="none")
        ax.axvline(0, color="0.8", zorder=0)
        ax.set_xscale("symlog", linthresh=5)
        ax.set_xlim(left=max(ax.get_xlim()[0], _LEAST))
        ax.xaxis.set_major_formatter("{x:+g}")
        ax.set_yticks(range(len(rows)), [" · ".join(key) for key in rows.index], fontsize=7)
        ax.set(ylim=(len(rows) - 0.5, -0.5), xlabel=f"gain against {REFERENCE}, {unit}; right is better")
    fig.legend(*axes[1].get_legend_handles_labels(), fontsize=7, loc="outside right upper")
    seeds = " or ".join(map(str, sorted(set(frame.groupby("system")["seed"].nunique()))))
    fig.suptitle(f"Laws of the mask ratio at equal steps, profile {records[0]['profile']}, number of seeds {seeds}, means")
    fig.savefig(path, dpi=110, format="png")
    plt.close(fig)
