"""Which cells are set against which: groups of a column, each beside another or beside the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._keys import as_names
from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.fit._factors import draw_cells
from r2mae_bio.cells.read._data import check_anndata
from r2mae_bio.cells.read._obs import read_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["REST", "Contrast", "GroupContrasts", "contrast_groups"]

METHODS: Final = ("means", "lda")
REST: Final = "rest"
_FEWEST: Final = 2


@dataclass(frozen=True, eq=False)
class Contrast:
    """Some cells against others."""

    cells: NDArray[np.int64]
    """Positions of the cells in question, at least two."""
    reference: NDArray[np.int64]
    """Positions of the cells to compare with."""


@dataclass(frozen=True, eq=False)
class GroupContrasts:
    """Groups of cells to explain."""

    names: list[str]
    """The groups."""
    contrasts: list[Contrast]
    """What each is set against, in the same order."""
    samples: list[NDArray[np.int64]]
    """Cells of every group of the column that has a spread, explained or not."""


def contrast_groups(
    adata: AnnData,
    *,
    groupby: str,
    groups: str | Sequence[str] | None,
    reference: str,
    method: str,
    n_cells: int,
    seed: int,
) -> GroupContrasts:
    """Draw the cells to compare.

    Parameters
    ----------
    adata, groupby, groups, reference, method, n_cells, seed
        As in :func:`r2mae_bio.tl.attribute`, whose errors these are.

    Returns
    -------
    The groups and their cells.
    """
    _check_settings(method, n_cells)
    members = _members(adata, groupby)
    names = _chosen(members, groups, reference, groupby)
    samples, contrasts = _draw(members, names, reference, n_cells, seed)
    return GroupContrasts(names, contrasts, samples)


def _check_settings(method: str, n_cells: int) -> None:
    if method not in METHODS:
        message = f"method is {method!r}; needed is one of {METHODS}."
        raise ConfigError(message)
    if n_cells < _FEWEST:
        message = f"n_cells is {n_cells}; needed are at least {_FEWEST} cells from each group."
        raise ConfigError(message)


def _members(adata: AnnData, groupby: str) -> dict[str, NDArray[np.int64]]:
    """Positions of the cells of every group, in the order of the categories."""
    check_anndata(adata)
    labels = read_column(adata.obs, groupby).astype("category").cat
    members = {str(name): np.flatnonzero(labels.codes == code) for code, name in enumerate(labels.categories)}
    members = {name: cells for name, cells in members.items() if cells.size}
    if len(members) < _FEWEST:
        message = (
            f"obs[{groupby!r}] holds {len(members)} groups ({', '.join(members) or 'none'}); at least two are needed to compare."
        )
        raise DataError(message)
    return members


def _chosen(members: dict[str, NDArray[np.int64]], groups: str | Sequence[str] | None, reference: str, groupby: str) -> list[str]:
    """The groups to explain, after a check that they and the reference exist and are large
    enough.
    """
    asked = [name for name in members if name != reference or name == REST] if groups is None else list(as_names(groups))
    named = asked if reference == REST else [*asked, reference]
    unknown = [name for name in named if name not in members]
    if unknown or not asked or (reference in asked and reference != REST):
        message = (
            f"groups is {groups!r} and reference {reference!r}; needed are groups of obs[{groupby!r}], which are {list(members)}, "
            f"and a reference that is another one of them or {REST!r}."
        )
        raise ConfigError(message)
    small = {name: members[name].size for name in named if members[name].size < _FEWEST}
    if small:
        message = (
            f"These groups of obs[{groupby!r}] have fewer than {_FEWEST} cells: {small}. Name others in groups, or merge these "
            "with their like."
        )
        raise DataError(message)
    return asked


def _draw(
    members: dict[str, NDArray[np.int64]], names: Sequence[str], reference: str, n_cells: int, seed: int
) -> tuple[list[NDArray[np.int64]], list[Contrast]]:
    """Cells of every group that has a spread, and the contrast of each group asked for."""

    def sample(cells: NDArray[np.int64], stream: str, name: str) -> NDArray[np.int64]:
        rng = derive_generator(seed, f"attribution {stream}", list(members).index(name))
        return draw_cells(cells, rng, n_cells)

    def rest(name: str) -> NDArray[np.int64]:
        return np.sort(np.concatenate([cells for other, cells in members.items() if other != name]))

    samples = {name: sample(cells, "group", name) for name, cells in members.items()}
    theirs = {name: sample(rest(name), "rest", name) if reference == REST else samples[reference] for name in names}
    return [c for c in samples.values() if c.size >= _FEWEST], [Contrast(samples[name], theirs[name]) for name in names]
