"""``pl.saturation``: substitutions as a heat map above a sequence logo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError, SetupError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.path import Path
    from numpy.typing import NDArray

_BASES: Final = "ACGT"
_COLORS: Final = {"A": "#009E73", "C": "#0072B2", "G": "#E69F00", "T": "#D55E00"}
"""Okabe and Ito's palette in the order usual for bases: green, blue, yellow, red."""
_UNKNOWN_COLOR: Final = "0.85"
_SMALLEST_LETTER: Final = 0.004
"""Letters lower than this share of the logo are not drawn."""
_POINTS_PER_INCH: Final = 72


def saturation(
    table: pd.DataFrame, *, axes: Sequence[Axes] | None = None, vmax: float | None = None, title: str | None = None
) -> NDArray[Any]:
    """Plot what the model thinks of every substitution, and how sure it is of every base.

    Above, the log-likelihood ratio of each base to the reference, in nats: red where the model
    finds the substitution less likely than the reference, blue where more likely; dots mark the
    reference. Below, a sequence logo: the height of a stack is the information in bits, and each
    letter takes the share of its probability.

    Parameters
    ----------
    table
        What :func:`r2mae_bio.tl.saturation_mutagenesis` returned, or rows of it. About 10 to 200
        rows are readable.
    axes
        Two axes, for the heat map and the logo; a new figure if None, as wide as the table needs.
    vmax
        Ratio at which the colours end, in nats; if None the 99th percentile of the absolute ratios
        of the substitutions.
    title
        Title; the region if None, ``""`` for none.

    Returns
    -------
    Both axes, in an object array of shape (2,). The horizontal axis counts rows from 0, its labels
    are positions from 1.

    Raises
    ------
    SetupError
        The table is empty or lacks columns.
    ConfigError
        ``axes`` are not two, or ``vmax`` is not positive.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> genome = rb.io.Genome(rb.datasets.lambda_phage())
    >>> model = rb.model.DNAMAE(genome, window=128, n_layers=2, d_model=32)
    >>> model.train(max_epochs=1, epoch_windows=64, progress_bar=False)
    >>> table = rb.tl.saturation_mutagenesis("NC_001416.1:38,041-38,100", genome, model)
    >>> heat_map, logo = rb.pl.saturation(table, title="start of cro")
    >>> logo.get_ylabel()
    'information (bits)'
    """
    log_p, ratios = (_matrix(table, kind) for kind in ("logp", "llr"))
    _check_settings(axes, vmax)
    heat, logo = _new_axes(len(table)) if axes is None else axes
    _heat_map(heat, ratios, table["ref"].tolist(), vmax)
    _logo(logo, np.exp(log_p), table["information"].to_numpy(float))
    for ax in (heat, logo):
        ax.set_xlim(-0.5, len(table) - 0.5)
    _reference_letters(heat, table["ref"].tolist())
    _positions(logo, table)
    heat.set_title(_describe(table) if title is None else title, fontsize="medium", loc="left")
    return np.array([heat, logo], object)


def _matrix(table: pd.DataFrame, kind: str) -> NDArray[np.float64]:
    """The four columns of a kind, (L, 4)."""
    columns = [f"{kind}_{base}" for base in _BASES]
    missing = [name for name in ("chrom", "pos", "ref", *columns, "information") if name not in table.columns]
    if missing or table.empty:
        found = f"lacks the columns {missing}" if missing else "has no rows"
        message = f"The table {found}; needed is the table that tl.saturation_mutagenesis returns."
        raise SetupError(message)
    return table[columns].to_numpy(float)


def _check_settings(axes: Sequence[Axes] | None, vmax: float | None) -> None:
    if axes is not None and len(axes) != 2:
        message = f"There are {len(axes)} axes; needed are two, for the heat map and the logo."
        raise ConfigError(message)
    if vmax is not None and not vmax > 0:
        message = f"vmax={vmax!r}; needed is a positive number of nats."
        raise ConfigError(message)


def _new_axes(n_bases: int) -> Sequence[Axes]:
    import matplotlib.pyplot as plt

    width = float(np.clip(1.6 + 0.13 * n_bases, 4.5, 16))
    return plt.subplots(2, figsize=(width, 3.4), height_ratios=(1, 1.1), layout="constrained")[1]


def _column_points(ax: Axes, n_bases: int) -> float:
    """Width of a column in points, roughly: the layout is not done yet."""
    return ax.get_window_extent().width / ax.figure.dpi * _POINTS_PER_INCH / n_bases


def _heat_map(ax: Axes, ratios: NDArray[np.float64], reference: list[str], vmax: float | None) -> None:
    shown = np.abs(ratios[np.isfinite(ratios) & (ratios != 0)])
    limit = vmax or (float(np.percentile(shown, 99)) if shown.size else 1.0)
    ax.set_facecolor(_UNKNOWN_COLOR)
    image = ax.imshow(
        np.ma.masked_invalid(ratios.T), cmap="RdBu", vmin=-limit, vmax=limit, aspect="auto", interpolation="nearest"
    )
    known = [(i, _BASES.index(base)) for i, base in enumerate(reference) if base in _BASES]
    size = float(np.clip(0.4 * _column_points(ax, len(reference)), 1.2, 5))
    ax.plot(*np.array(known).reshape(-1, 2).T, "o", color="0.25", markersize=size, markeredgewidth=0)
    ax.set_yticks(range(4), list(_BASES))
    ax.set_ylabel("base")
    ax.tick_params(length=0)
    _color_bar(ax, image, clipped=bool(shown.size and shown.max() > limit))


def _color_bar(ax: Axes, image: Any, *, clipped: bool) -> None:
    """Outside on the right, 0.1 inch wide, so that heat map and logo stay aligned."""
    inches = ax.get_window_extent().width / ax.figure.dpi
    inset = ax.inset_axes((1 + 0.1 / inches, 0, 0.1 / inches, 1))
    bar = ax.figure.colorbar(image, cax=inset, extend="both" if clipped else "neither")
    bar.set_label("log-likelihood\nratio (nats)", fontsize="small")
    bar.ax.tick_params(labelsize="small")
    bar.outline.set_linewidth(0.5)


def _reference_letters(ax: Axes, reference: list[str]) -> None:
    """The reference below the heat map, if the columns are wide enough to read it."""
    points = _column_points(ax, len(reference))
    if points < 3.5:
        ax.set_xticks([])
        return
    ax.set_xticks(range(len(reference)), reference, fontsize=min(9, 1.15 * points), fontfamily="monospace")
    for label, base in zip(ax.get_xticklabels(), reference, strict=True):
        label.set_color(_COLORS.get(base, "0.5"))


def _logo(ax: Axes, p: NDArray[np.float64], information: NDArray[np.float64]) -> None:
    from matplotlib.collections import PathCollection

    heights = p * np.clip(information, 0, None)[:, None]  # (L, 4)
    top = float(np.nanmax(heights.sum(axis=1), initial=0.0))
    top = 1.05 * top if top > 0 else 1.0
    rank = np.argsort(heights, axis=1, kind="stable")  # the likeliest letter on top
    ordered = np.take_along_axis(heights, rank, axis=1)
    bottoms = np.empty_like(heights)
    np.put_along_axis(bottoms, rank, np.cumsum(ordered, axis=1) - ordered, axis=1)
    for k, base in enumerate(_BASES):
        glyph = _glyph(base)
        drawn = np.flatnonzero(heights[:, k] > _SMALLEST_LETTER * top).tolist()
        paths = [_place(glyph, i, bottoms[i, k], heights[i, k]) for i in drawn]
        ax.add_collection(PathCollection(paths, facecolors=_COLORS[base], edgecolors="none", label=base), autolim=False)
    ax.set(ylim=(0, top), ylabel="information (bits)")
    ax.spines[["top", "right"]].set_visible(False)


def _glyph(letter: str) -> Path:
    """The outline of a letter, stretched to the unit square."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    outline = TextPath((0, 0), letter, size=1, prop=FontProperties(family="DejaVu Sans", weight="bold"))
    box = outline.get_extents()
    return Path((np.asarray(outline.vertices) - box.min) / box.size, outline.codes)


def _place(glyph: Path, column: int, bottom: float, height: float) -> Path:
    from matplotlib.path import Path

    width = 0.92
    return Path(np.asarray(glyph.vertices) * (width, height) + (column - width / 2, bottom), glyph.codes)


def _positions(ax: Axes, table: pd.DataFrame) -> None:
    """Labels at round positions, an inch or more apart."""
    position = table["pos"].to_numpy()
    steps = np.outer(10 ** np.arange(9), [1, 2, 5]).ravel()
    step = steps[np.searchsorted(steps, _POINTS_PER_INCH / _column_points(ax, len(table)))]
    rows = np.flatnonzero(position % step == 0)
    ax.set_xticks(rows, [f"{position[i]:,}" for i in rows])
    names = list(dict.fromkeys(table["chrom"]))
    ax.set_xlabel(f"position on {names[0]}" if len(names) == 1 else "position")


def _describe(table: pd.DataFrame) -> str:
    names, first, last = list(dict.fromkeys(table["chrom"])), table["pos"].iloc[0], table["pos"].iloc[-1]
    return f"{names[0]}:{first:,}-{last:,}" if len(names) == 1 else f"{len(table)} bases"
