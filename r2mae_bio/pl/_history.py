"""``pl.history``: losses of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import NotTrainedError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from r2mae_bio.cells.model._gene_mae import GeneMAE


def history(model: GeneMAE, *, by_ratio: bool = False, ax: Axes | None = None) -> Axes:
    """Plot the loss per epoch beside the control that knows each gene's mean (``blind_loss``).

    Parameters
    ----------
    model
        A trained model.
    by_ratio
        One validation curve (training, if nothing was held out) per bin of the mask ratio instead
        of training and validation.
    ax
        Where to draw; new axes if None.

    Returns
    -------
    The axes; the vertical axis is in nats per hidden gene.

    Raises
    ------
    NotTrainedError
        The model has no history.
    """
    import matplotlib as mpl
    import matplotlib.pyplot as plt

    frame = model.history
    if frame.empty:
        message = "The model has no history; call train() first."
        raise NotTrainedError(message)
    ax = plt.subplots(figsize=(5, 3.5), layout="constrained")[1] if ax is None else ax
    kind = "validation" if "validation_loss" in frame else "train"
    if by_ratio:
        columns = [c for c in frame if c.startswith(f"{kind}_loss_")]
        colors = mpl.colormaps["viridis"](np.linspace(0, 1, len(columns)))
        for column, color in zip(columns, colors, strict=True):
            ax.plot(frame["epoch"] + 1, frame[column], color=color, label=column.removeprefix(f"{kind}_loss_").replace("-", "–"))
        ax.legend(title=f"share hidden\n({kind})", frameon=False, fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    else:
        for name in ("train", "validation"):
            if f"{name}_loss" in frame:
                ax.plot(frame["epoch"] + 1, frame[f"{name}_loss"], label={"train": "training"}.get(name, name))
        ax.axhline(model.blind_loss, color="0.4", linestyle=":", label="blind: each gene's mean")
        ax.legend(frameon=False, fontsize="small")
    ax.set(xlabel="epoch", ylabel="nats per hidden gene")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
