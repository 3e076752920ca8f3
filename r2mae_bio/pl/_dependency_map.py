"""``pl.dependency_map``: which bases move the prediction of which, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import ConfigError, SetupError

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

_MOST_LETTERS: Final = 80
"""Bases up to which each is labelled by its letter."""


def dependency_map(table: pd.DataFrame, *, ax: Axes | None = None, vmax: float | None = None, title: str | None = None) -> Axes:
    """Plot a dependency map.

    Parameters
    ----------
    table
        What :func:`r2mae_bio.tl.dependency_map` returned.
    ax
        Where to draw; a new figure if None.
    vmax
        Value at which the colours end; the 99.5th percentile if None.
    title
        Title; the region if None, ``""`` for none.

    Returns
    -------
    The axes. Rows are the bases that are changed, from above, columns those that are predicted;
    both count from 0, and are labelled by letters, or by positions where there are many.

    Raises
    ------
    SetupError
        The table is not square or holds no number.
    ConfigError
        ``vmax`` is not positive.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> import r2mae_bio as rb
    >>> table = pd.DataFrame([[np.nan, 1.5], [0.2, np.nan]], index=[7, 8], columns=[7, 8])
    >>> rb.pl.dependency_map(table, title="two bases").get_xlabel()
    'predicted base'
    """
    import matplotlib.pyplot as plt

    values = table.to_numpy(float)
    if values.shape[0] != values.shape[1] or not np.isfinite(values).any():
        message = f"The table has the shape {values.shape} and may hold no number; needed is what tl.dependency_map returns."
        raise SetupError(message)
    if vmax is not None and not vmax > 0:
        message = f"vmax={vmax!r}; needed is a positive number."
        raise ConfigError(message)
    if ax is None:
        ax = plt.subplots(figsize=(5.2, 4.6), layout="constrained")[1]
    limit = float(np.nanpercentile(values, 99.5)) if vmax is None else vmax
    image = ax.imshow(np.ma.masked_invalid(values), cmap="magma_r", vmin=0, vmax=limit or 1, interpolation="none")
    image.cmap.set_bad("0.85")
    ax.figure.colorbar(image, ax=ax, label="largest log2 odds ratio", shrink=0.8)
    _label(ax, table)
    region = table.attrs.get("region", "")
    ax.set_title(region if title is None else title, fontsize="medium", loc="left")
    return ax


def _label(ax: Axes, table: pd.DataFrame) -> None:
    ax.set(xlabel="predicted base", ylabel="changed base")
    letters = table.attrs.get("reference", "")
    if len(letters) == len(table) <= _MOST_LETTERS:
        size = float(np.clip(300 / len(table), 4, 9))
        for set_ticks in (ax.set_xticks, ax.set_yticks):
            set_ticks(range(len(table)), list(letters), fontsize=size)
        ax.tick_params(length=0)
        return
    ticks = np.unique(np.linspace(0, len(table) - 1, 5).astype(int))
    for set_ticks in (ax.set_xticks, ax.set_yticks):
        set_ticks(ticks, [f"{position:,}" for position in table.index[ticks]])
