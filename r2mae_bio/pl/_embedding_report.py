"""``pl.embedding_report``: an embedded data set at a glance."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.read._data import check_anndata
from r2mae_bio.cells.read._obs import read_column
from r2mae_bio.cells.read._uns import read_record
from r2mae_bio.pl._groups import COLOURS, scatter_groups

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

_FEWEST: Final = 4
"""Cells without which there are no neighbours to draw."""
_MOST_NAMES: Final = 30
"""Groups that are listed; the others are counted."""


def embedding_report(
    adata: AnnData,
    *,
    key: str = KEYS.obsm,
    color: str | None = None,
    groupby: str | None = None,
    labels_key: str = "r2mae_label",
    n_cells: int = 20_000,
    seed: int = 0,
) -> NDArray[Any]:
    """Draw an embedded data set at a glance: UMAP, genes measured, composition, confidence.

    Parameters
    ----------
    adata
        Cells after :func:`r2mae_bio.tl.embed`, :func:`r2mae_bio.tl.map_query` or
        :func:`r2mae_bio.tl.transfer_labels`; not changed.
    key
        Key of ``.obsm`` with the embedding.
    color
        Column of ``.obs`` by which cells are coloured and counted; transferred labels if there are
        any, else none, if None.
    groupby
        Column of ``.obs``, such as a donor, by which the composition is split.
    labels_key
        ``key_added`` of :func:`r2mae_bio.tl.transfer_labels`.
    n_cells
        Cells of the UMAP at most, four or more; others are left out of it, at random.
    seed
        Seed of the UMAP, and of the cells that are drawn.

    Returns
    -------
    Four axes (4,), of one figure. What is not known of the cells is said in its place.

    Raises
    ------
    SetupError
        There is no such embedding or column, or there are fewer than four cells.
    ConfigError, DataError
        ``n_cells`` is below four; ``adata`` is no AnnData, or the embedding no finite numbers.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> adata = rb.datasets.pbmc68k()
    >>> rb.tl.embed(adata, rb.models.load("blood-small"))
    >>> axes = rb.pl.embedding_report(adata, color="bulk_labels")  # doctest: +SKIP
    """
    import matplotlib.pyplot as plt

    embedding = _checked(adata, key, n_cells)
    if color is None and labels_key in adata.obs:
        color = labels_key
    colours = None if color is None else read_column(adata.obs, color).astype(str).to_numpy()
    groups = None if groupby is None else read_column(adata.obs, groupby).astype(str).to_numpy()
    axes: NDArray[Any] = plt.subplots(2, 2, figsize=(11, 8), layout="constrained")[1].ravel()
    _umap(axes[0], embedding, colours, n_cells, seed)
    _coverage(axes[1], read_record(adata, KEYS.coverage))
    _composition(axes[2], colours, groups)
    _confidence(axes[3], adata, labels_key)
    return axes


def _checked(adata: AnnData, key: str, n_cells: int) -> NDArray[Any]:
    """The embedding, once it is known that it can be drawn."""
    check_anndata(adata)
    if key not in adata.obsm:
        message = f".obsm has no {key!r}; call r2mae_bio.tl.embed(adata, model) first."
        raise SetupError(message)
    if adata.n_obs < _FEWEST:
        message = f"There are {adata.n_obs} cells; at least {_FEWEST} are needed."
        raise SetupError(message)
    if n_cells < _FEWEST:
        message = f"n_cells is {n_cells}; needed is {_FEWEST} or more."
        raise ConfigError(message)
    held: Any = adata.obsm[key]
    embedding = np.asarray(held.toarray() if hasattr(held, "toarray") else held)
    if embedding.ndim != 2 or embedding.dtype.kind not in "fiu" or not np.isfinite(embedding).all():
        message = f".obsm[{key!r}] has the shape {embedding.shape}, or values that are not finite; needed are numbers (cells, dimensions)."
        raise DataError(message)
    return embedding


def _umap(ax: Axes, embedding: NDArray[Any], groups: NDArray[Any] | None, n_cells: int, seed: int) -> None:
    import scanpy as sc
    from anndata import AnnData

    some = np.arange(len(embedding))
    if len(some) > n_cells:
        some = np.sort(derive_generator(seed, "report").choice(some, n_cells, replace=False))
    drawn = AnnData(np.zeros((len(some), 1), np.float32), obsm={"X": embedding[some]})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap and scanpy, about their own options
        sc.pp.neighbors(drawn, use_rep="X", n_neighbors=min(15, len(some) - 1), random_state=seed)
        sc.tl.umap(drawn, random_state=seed)
    shown = f"{len(some):,} of {len(embedding):,} cells" if len(some) < len(embedding) else f"{len(some):,} cells"
    scatter_groups(ax, drawn.obsm["X_umap"], np.full(len(some), "") if groups is None else groups[some], size=8)
    if groups is not None and len(np.unique(groups)) <= _MOST_NAMES:
        ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False, fontsize="small", markerscale=2)
    ax.set(title=f"UMAP of the embedding, {shown}", xticks=[], yticks=[])


def _coverage(ax: Axes, record: Any) -> None:
    title = "Genes of the model that were measured"
    if record is None:
        _say(ax, title, "nobody noted it:\nembed with tl.embed or tl.map_query")
        return
    shares = {"genes": float(record["matched_fraction"]), "counts of the\ntraining cells": float(record["count_fraction"])}
    known = {name: share for name, share in shares.items() if np.isfinite(share)}
    ax.barh(list(known), list(known.values()), color=COLOURS[4], height=0.5)
    ax.barh(list(known), [1 - share for share in known.values()], left=list(known.values()), color="#dddddd", height=0.5)
    for i, share in enumerate(known.values()):
        ax.text(0.02, i + 0.32, f"{share:.0%}", va="center")
    about = f"{int(record['matched']):,} of {int(record['n_model']):,}; {int(record['unknown']):,} columns unknown to the model"
    ax.set(title=title, xlabel=f"share ({about})", xlim=(0, 1), ylim=(-0.5, len(known) - 0.4))
    ax.spines[["top", "right"]].set_visible(False)


def _composition(ax: Axes, colours: NDArray[Any] | None, groups: NDArray[Any] | None) -> None:
    import pandas as pd

    title = "Composition"
    if colours is None:
        _say(ax, title, "no labels: pass color=, or call tl.transfer_labels")
        return
    table = pd.crosstab(colours, "cells" if groups is None else groups)
    table = table.loc[table.sum(axis=1).sort_values().index[-_MOST_NAMES:]]
    left = np.zeros(len(table))
    for i, name in enumerate(table):
        ax.barh(table.index.astype(str), table[name], left=left, color=COLOURS[(i + 4) % len(COLOURS)], label=str(name))
        left += table[name].to_numpy()
    if 1 < table.shape[1] <= _MOST_NAMES:
        ax.legend(frameon=False, fontsize="small", loc="lower right")
    ax.set(title=title, xlabel="cells")
    ax.spines[["top", "right"]].set_visible(False)


def _confidence(ax: Axes, adata: AnnData, labels_key: str) -> None:
    title, column = "Confidence of transferred labels", f"{labels_key}_confidence"
    if column not in adata.obs:
        _say(ax, title, "no labels were transferred:\ntl.transfer_labels(adata, reference)")
        return
    bins = np.linspace(0, 1, 21).tolist()
    confidence = adata.obs[column].to_numpy(float)
    ax.hist(confidence, bins=bins, color=COLOURS[4], label=f"confidence, mean {np.nanmean(confidence):.2f}")
    unknown = adata.obs.get(f"{labels_key}_unknown")
    if unknown is not None:
        far = f"score for unknown types, {np.mean(unknown.to_numpy(float) > 0.95):.0%} above 0.95"
        ax.hist(unknown.to_numpy(float), bins=bins, histtype="step", color=COLOURS[5], linewidth=1.5, label=far)
    ax.set(title=title, xlabel="probability of the label; share of reference cells less unusual", ylabel="cells", xlim=(0, 1))
    ax.set_ylim(top=1.25 * ax.get_ylim()[1])  # room for the legend
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    ax.spines[["top", "right"]].set_visible(False)


def _say(ax: Axes, title: str, text: str) -> None:
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, color="#555555")
    ax.set(title=title, xticks=[], yticks=[])
