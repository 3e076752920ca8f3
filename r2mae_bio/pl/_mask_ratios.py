"""``pl.mask_ratios``: the ratios that were really used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import NotTrainedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from r2mae_bio.cells.model._gene_mae import GeneMAE
    from r2mae_bio.masking import RatioLaw


def mask_ratios(model: GeneMAE, *, ax: Axes | None = None) -> Axes:
    """Histogram of the realised mask ratio over all cells trained on, beside the law it was drawn
    from.

    Parameters
    ----------
    model
        A trained model.
    ax
        Where to draw; new axes if None.

    Returns
    -------
    The axes.

    Raises
    ------
    NotTrainedError
        The model was not trained.
    """
    import matplotlib.pyplot as plt

    counts = np.asarray(model.record.mask_ratios, float)
    if counts.size == 0:
        message = "No mask ratios were recorded; call train() first."
        raise NotTrainedError(message)
    ax = plt.subplots(figsize=(5, 3.5), layout="constrained")[1] if ax is None else ax
    edges = np.linspace(0, 1, counts.size + 1)
    ax.stairs(counts / counts.sum(), edges, fill=True, color="C0", alpha=0.7, label=f"{int(counts.sum()):,} cells trained on")
    grid = np.asarray(model.mask_ratio.quantile((np.arange(20000) + 0.5) / 20000))
    ax.stairs(np.histogram(grid, edges)[0] / grid.size, edges, color="0.2", linestyle="--", label=_short(model.mask_ratio))
    ax.set(xlabel="share of measured genes hidden", ylabel="share of cells", xlim=(0, 1))
    ax.legend(frameon=False, fontsize="small", loc="lower center")
    ax.spines[["top", "right"]].set_visible(False)
    return ax


def _short(law: RatioLaw) -> str:
    settings = ", ".join(f"{k}={v}" for k, v in law.to_json().items() if k != "law")
    return f"law: {type(law).__name__}({settings})"
