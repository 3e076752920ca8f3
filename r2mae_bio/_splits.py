"""Which rows are learned from and which are judged: held-out cells, folds, whole groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def split_cells(n_cells: int, train_size: float, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Positions of training and validation cells, each ascending.

    Parameters
    ----------
    n_cells
        Number of cells.
    train_size
        Share to train on; at least one cell is.
    seed
        The split is a pure function of it.

    Returns
    -------
    Training positions and validation positions.
    """
    order = derive_generator(seed, "split").permutation(n_cells)
    n_train = min(n_cells, max(1, round(train_size * n_cells)))
    return np.sort(order[:n_train]), np.sort(order[n_train:])


N_FOLDS: Final = 5


def deal_folds(codes: NDArray[np.intp], groups: NDArray[np.generic] | None, *, seed: int) -> NDArray[np.intp]:
    """Number of the fold of each cell.

    Parameters
    ----------
    codes
        Class of each cell (n_cells,).
    groups
        Groups that are not torn apart (n_cells,); the largest come first, each into the smallest
        fold. If None, the cells of each class are dealt in random order.
    seed
        Seed of that order.

    Raises
    ------
    DataError
        There is only one group.
    """
    folds = np.zeros(len(codes), np.intp)
    if groups is None:
        rng = derive_generator(seed, "label-transfer folds")
        order = rng.permutation(len(codes))
        order = order[np.argsort(codes[order], kind="stable")]
        folds[order] = np.arange(len(codes)) % N_FOLDS
        return folds
    names, member, size = np.unique(groups.astype(str), return_inverse=True, return_counts=True)
    if len(names) < 2:
        message = (
            f"All {len(codes)} labelled reference cells are of the group {str(names[0])!r}; at least two groups are needed to hold one out. "
            "Leave groups_key away."
        )
        raise DataError(message)
    filled, fold_of = np.zeros(min(N_FOLDS, len(names)), np.intp), np.zeros(len(names), np.intp)
    for group in np.argsort(-size, kind="stable"):
        fold_of[group] = filled.argmin()
        filled[fold_of[group]] += size[group]
    return fold_of[member]


@dataclass(frozen=True)
class Split:
    """Row numbers of reference and query cells, sorted, disjoint."""

    reference: NDArray[np.intp]
    """Cells that methods and probes may learn from (n_reference,)."""
    query: NDArray[np.intp]
    """Cells that are only scored (n_query,)."""


def stratified_split(labels: ArrayLike, *, query_fraction: float = 0.3, seed: int = 0) -> Split:
    """Split cells class by class.

    A class of n >= 2 cells sends ``round(query_fraction * n)`` cells to the query, at least one and
    at most n - 1, so that it is on both sides. A class of one cell goes to the reference: as a
    query it could never be answered.

    Parameters
    ----------
    labels
        Class per cell (n_cells,), no missing values.
    query_fraction
        Share of each class that is scored, between 0 and 1, both excluded.
    seed
        Seed of the draw.

    Returns
    -------
    Reference and query row numbers, together all cells.

    Raises
    ------
    ConfigError
        If `query_fraction` is out of range.
    DataError
        If labels are missing or no class has two cells.
    """
    if not 0 < query_fraction < 1:
        msg = f"query_fraction is {query_fraction}; a value between 0 and 1, both excluded, is needed."
        raise ConfigError(msg)
    classes = as_labels(labels)
    rng = derive_generator(seed, "split")
    is_query = np.zeros(len(classes), dtype=bool)
    for label in np.unique(classes):
        cells = rng.permutation(np.flatnonzero(classes == label))
        n_query = min(max(round(query_fraction * len(cells)), 1), len(cells) - 1)
        is_query[cells[:n_query]] = True
    if not is_query.any():
        msg = f"No class of the {len(classes)} cells has two members; pass coarser labels."
        raise DataError(msg)
    return Split(reference=np.flatnonzero(~is_query), query=np.flatnonzero(is_query))


def stratified_splits(labels: ArrayLike, *, n_splits: int = 5, seed: int = 0) -> list[Split]:
    """Folds of equal size, class by class: every cell is scored once, and learned from in all other
    folds.

    The cells of a class are dealt to the folds in turn, in random order. A class of one cell is
    never scored, see :func:`stratified_split`. Folds of cells share donors and batches;
    :func:`group_splits` holds those out.

    Parameters
    ----------
    labels
        Class per cell (n_cells,), no missing values.
    n_splits
        Number of folds, at least two.
    seed
        Seed of the draw.

    Returns
    -------
    One split per fold that has query cells.

    Raises
    ------
    ConfigError
        If `n_splits` is below two.
    DataError
        If labels are missing or no class has two cells.
    """
    if n_splits < 2:
        msg = f"n_splits is {n_splits}; at least two folds are needed."
        raise ConfigError(msg)
    classes = as_labels(labels)
    rng = derive_generator(seed, "folds")
    fold = np.full(len(classes), -1)
    n_dealt = 0
    for label in np.unique(classes):
        cells = rng.permutation(np.flatnonzero(classes == label))
        if len(cells) > 1:
            fold[cells] = (n_dealt + np.arange(len(cells))) % n_splits
            n_dealt += len(cells)
    if not n_dealt:
        msg = f"No class of the {len(classes)} cells has two members; pass coarser labels."
        raise DataError(msg)
    return [Split(np.flatnonzero(fold != i), np.flatnonzero(fold == i)) for i in range(n_splits) if (fold == i).any()]


def group_splits(groups: ArrayLike) -> dict[str, Split]:
    """Hold out each group in turn: a study, a donor, a technology.

    Parameters
    ----------
    groups
        Group per cell (n_cells,), at least two groups, no missing values.

    Returns
    -------
    By name of the held-out group, sorted: its cells as the query, all others as the reference.

    Raises
    ------
    DataError
        If groups are missing or there is only one.
    """
    values = as_labels(groups, "groups")
    names = np.unique(values)
    if len(names) < 2:
        msg = f"All {len(values)} cells are of the group {names[0]!r}; at least two groups are needed to hold one out."
        raise DataError(msg)
    return {str(name): Split(np.flatnonzero(values != name), np.flatnonzero(values == name)) for name in names}


def as_labels(labels: ArrayLike, what: str = "labels") -> NDArray[np.str_]:
    """Labels as strings (n_cells,); categories, integers and strings are all welcome, missing
    values are not.
    """
    values = np.asarray(labels, dtype=object)
    if values.ndim != 1 or not len(values):
        msg = f"{what} have shape {values.shape}; one label per cell is needed."
        raise DataError(msg)
    missing = int(pd.isna(values).sum())
    if missing:
        msg = f"{missing} of {len(values)} {what} are missing; drop these cells first."
        raise DataError(msg)
    return values.astype(str)


def as_batches(batch: ArrayLike, n_cells: int) -> NDArray[np.str_]:
    """Batches as strings, one for each of the cells."""
    batches = as_labels(batch, "batches")
    if len(batches) != n_cells:
        msg = f"There are {n_cells} cells and {len(batches)} batches; one batch per cell is needed."
        raise DataError(msg)
    return batches
