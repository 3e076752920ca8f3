"""``pl.spectrum``: eigenvalues of the gene correlation against their rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._uns import all_records

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

_COLORS = {"sample": "#999999", "shrunk": "#0072B2", "spikes": "#D55E00", "edge": "#000000", "decay": "#009E73"}
"""Okabe and Ito's palette, told apart by colour-blind readers and in print."""
_LOWEST = 0.01
"""Smaller eigenvalues are cut off; without shrinkage and with few cells most are zero up to
rounding.
"""


def spectrum(adata: AnnData, *, key: str = KEYS.spectrum, ax: Axes | None = None) -> Axes:
    """Plot the eigenvalues of the gene correlation against their rank, with the edge of the noise.

    Parameters
    ----------
    adata
        Data for which :func:`r2mae_bio.tl.spectrum` was called.
    key
        Key of ``.uns["r2mae"]``.
    ax
        Where to draw; new axes if None.

    Returns
    -------
    The axes, logarithmic both ways; eigenvalues are in units of a gene's variance.

    Raises
    ------
    SetupError
        There is no spectrum under this key.
    """
    import matplotlib.pyplot as plt

    record = _find(adata, key)
    ax = plt.subplots(figsize=(5, 3.8), layout="constrained")[1] if ax is None else ax
    ax.set(xscale="log", yscale="log", xlabel="rank", ylabel="eigenvalue of the gene correlation")
    _eigenvalues(ax, record)
    ax.axhline(record["edge"], color=_COLORS["edge"], lw=0.9, ls="--", label=f"edge of the noise, {record['edge']:.2f}")
    _decay(ax, record)
    _limits(ax, record)
    ax.legend(frameon=False, fontsize="small", loc="lower left")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _find(adata: AnnData, key: str) -> dict[str, Any]:
    records = all_records(adata)
    found = sorted(k for k, v in records.items() if hasattr(v, "keys") and "sample_values" in v)
    if key not in found:
        message = (
            f"There is no spectrum {key!r} in .uns['r2mae']; there are {found}. Call tl.spectrum(adata, key_added={key!r}) first."
        )
        raise SetupError(message)
    return records[key]


def _eigenvalues(ax: Axes, record: dict[str, Any]) -> None:
    sample, shrunk = record["sample_values"][::-1], record["values"][::-1]
    ranks, k = np.arange(1, sample.size + 1), int(record["n_spikes"])
    positive = sample > 0
    ax.plot(ranks[positive], sample[positive], color=_COLORS["sample"], lw=1.2, label="sample")
    if record["shrinkage"] > 0:
        label = f"shrunk by {record['shrinkage']:.2g}"
        ax.plot(ranks, shrunk, color=_COLORS["shrunk"], lw=1.8, label=label)
    if k:
        label = f"{k} above the noise"
        ax.plot(ranks[:k], sample[:k], "o", ms=3.5, mfc=_COLORS["spikes"], mec="white", mew=0.4, label=label, zorder=3)


def _decay(ax: Axes, record: dict[str, Any]) -> None:
    fit = record["decay"]
    if not np.isfinite(fit["exponent"]):
        return
    ranks = np.array([fit["first"], min(2 * fit["last"], record["values"].size)], float)
    label = rf"rank$^{{-\alpha}}$, $\alpha$ = {fit['exponent']:.2f} ± {fit['standard_error']:.2f}"
    ax.plot(ranks, fit["amplitude"] * ranks ** -fit["exponent"], color=_COLORS["decay"], lw=1.2, ls=":", label=label)


def _limits(ax: Axes, record: dict[str, Any]) -> None:
    largest, smallest = record["sample_values"].max(), min(record["sample_values"].min(), record["values"].min())
    d = record["values"].size
    ax.set(xlim=(0.9, 1.15 * d), ylim=(0.7 * max(smallest, _LOWEST), 1.6 * max(largest, record["edge"])))
    text = f"{record['n_cells']:,} cells, {d:,} genes\neffective rank {record['effective_rank']:.0f}"
    ax.text(0.98, 0.98, text, transform=ax.transAxes, ha="right", va="top", fontsize="small")
