"""Groups of cells in colours and shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from numpy.typing import ArrayLike

__all__ = ["COLOURS", "scatter_groups"]

COLOURS: Final = ("#CC6677", "#88CCEE", "#DDCC77", "#117733", "#44AA99", "#882255", "#AA4499", "#999933", "#332288")
"""Paul Tol's "muted", told apart by colour-blind readers."""
_MARKERS: Final = "osD^vPX<>*"
"""They move on by one with each round of the colours, so that no pair of both comes back soon."""


def scatter_groups(
    ax: Axes,
    xy: ArrayLike,
    groups: ArrayLike,
    names: Mapping[str, str] | None = None,
    *,
    size: float = 14,
    colours: tuple[str, ...] = (*COLOURS, "#222222"),
) -> None:
    """Draw points, a colour and a shape for each group.

    Parameters
    ----------
    ax
        Where to draw.
    xy
        Coordinates (n, 2).
    groups
        Group of each point (n,).
    names
        Groups in their order, and what the legend calls them; those that occur, sorted, if None.
    size
        Area of a point, in points squared.
    colours
        Of the groups, from the first on again where there are more.
    """
    xy, groups = np.asarray(xy), np.asarray(groups, dtype=str)
    names = names or {name: name for name in np.unique(groups)}
    for i, (group, name) in enumerate(names.items()):
        marker = _MARKERS[(i + i // len(colours)) % len(_MARKERS)]
        x, y = xy[groups == group].T
        ax.scatter(x, y, s=size, color=colours[i % len(colours)], marker=marker, label=name, linewidths=0)
