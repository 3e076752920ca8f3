"""Labels of cells, and which cells are learned from and which judge when to stop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio._warn import warn
from r2mae_bio.cells.read._data import check_anndata
from r2mae_bio.cells.read._obs import group_values, label_values, read_column

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["CellLabels", "LabelSplit", "read_labels", "split_labelled"]


@dataclass(frozen=True, eq=False)
class CellLabels:
    """Labels of all cells of a data set."""

    key: str
    """Column of ``.obs``."""
    names: NDArray[np.object_]
    """Label of each cell, text, bool, int or float (n_cells,); None where there is none."""
    present: NDArray[np.bool_]
    """Whether the cell has a label (n_cells,)."""

    def of_classes(self, classes: Sequence[Any]) -> NDArray[np.intp]:
        """Positions of the cells that have one of these labels; others with a label are named in a
        warning.

        Parameters
        ----------
        classes
            Names.

        Raises
        ------
        DataError
            There is none.
        """
        known = self.present & np.isin(self.names, list(classes))
        unknown = sorted(set(self.names[self.present & ~known].tolist()))
        if not known.any():
            message = (
                f"None of the {len(self.names)} cells has a label in obs[{self.key!r}] that the classifier knows; it knows "
                f"{', '.join(map(repr, classes[:5]))}, the data have {', '.join(map(repr, unknown[:5])) or 'no label'}. Check the column and the spelling."
            )
            raise DataError(message)
        if unknown:
            n = int((self.present & ~known).sum())
            message = (
                f"{n} cells have labels that the classifier does not know and are left out: {', '.join(map(str, unknown[:5]))}."
            )
            warn(message)
        return np.flatnonzero(known)


@dataclass(frozen=True, eq=False)
class LabelSplit:
    """Positions of labelled cells in the data set, each part sorted."""

    train: NDArray[np.intp]
    """To learn from; every class is among them."""
    dev: NDArray[np.intp]
    """To judge by; no class that ``train`` lacks."""


def read_labels(adata: AnnData, key: str) -> CellLabels:
    """Read a column of labels; cells without one are counted in a warning.

    Parameters
    ----------
    adata
        The data.
    key
        Column of ``.obs``, of any dtype.

    Returns
    -------
    The labels, in the type of the column.

    Raises
    ------
    SetupError
        There is no such column, or there are several.
    """
    check_anndata(adata)
    names = label_values(read_column(adata.obs, key))
    present = pd.notna(names)
    if not present.all():
        message = f"{int((~present).sum())} of {len(present)} cells have no label in obs[{key!r}] and are left out."
        warn(message)
    return CellLabels(key, names, present)


def split_labelled(
    labels: CellLabels, adata: AnnData, *, split_key: str | None, dev_size: float, groups_key: str | None, seed: int
) -> LabelSplit:
    """Choose the dev cells.

    Parameters
    ----------
    labels
        Of all cells.
    adata
        The data, for the other columns.
    split_key
        Column that says ``"train"`` and ``"dev"``; other cells are left out. Dev cells are drawn if
        it says no ``"dev"``.
    dev_size
        Share of the cells to draw, class by class or as whole groups.
    groups_key
        Column of groups, such as donors, of which whole ones are drawn. Cells of a class that only
        they have stay in the train part.
    seed
        Of the draw.

    Returns
    -------
    Train and dev cells.

    Raises
    ------
    ConfigError
        ``dev_size`` is not between 0 and 1.
    SetupError
        A column does not exist.
    DataError
        There are fewer than two classes, a cell has no group, or no dev cell can be had.
    """
    if not 0 < dev_size < 1:
        message = f"dev_size is {dev_size}; needed is a share between 0 and 1."
        raise ConfigError(message)
    train, dev = np.flatnonzero(labels.present), np.zeros(0, np.intp)
    if split_key is not None:
        part = read_column(adata.obs, split_key).astype(str).to_numpy(object)
        train, dev = train[part[train] == "train"], train[part[train] == "dev"]
    _check_classes(labels, train)
    if not dev.size:
        groups = None if groups_key is None else group_values(adata.obs, groups_key, train)
        rng = derive_generator(seed, "finetune-split")
        held = _by_class(labels, train, dev_size, rng) if groups is None else _by_group(groups, dev_size, rng)
        train, dev = train[~held], train[held]
        names = labels.names
        alone = ~np.isin(names[dev], names[train])
        train, dev = np.sort(np.concatenate([train, dev[alone]])), dev[~alone]
    dev = dev[np.isin(labels.names[dev], labels.names[train])]
    if not dev.size:
        message = (
            f"No cell of {train.size} can judge when to stop: needed is a class, or with groups_key a group, of which some cells are held "
            "out and others are learned from. Pass more cells, or a split_key with 'dev' cells."
        )
        raise DataError(message)
    return LabelSplit(train, dev)


def _check_classes(labels: CellLabels, train: NDArray[np.intp]) -> None:
    classes = sorted(set(labels.names[train].tolist()))
    if len(classes) < 2:
        message = (
            f"The {train.size} cells to learn from have {len(classes)} class{'' if len(classes) == 1 else 'es'} in obs[{labels.key!r}]"
            f"{f' ({classes[0]})' if classes else ''}; a classifier needs at least two. Check the column of labels"
            " and, if there is one, that of the split."
        )
        raise DataError(message)


def _by_class(labels: CellLabels, train: NDArray[np.intp], dev_size: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """A share of every class, rounded, but never all of it; at least one cell in all."""
    names, held = labels.names[train], np.zeros(train.size, bool)
    for name in sorted(set(names.tolist())):
        cells = rng.permutation(np.flatnonzero(names == name))
        held[cells[: min(round(dev_size * cells.size), cells.size - 1)]] = True
    if not held.any():
        largest = max(sorted(set(names.tolist())), key=lambda name: int((names == name).sum()))
        cells = rng.permutation(np.flatnonzero(names == largest))
        held[cells[:-1][:1]] = True
    return held


def _by_group(groups: NDArray[np.object_], dev_size: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Whole groups in random order until the share is reached, but never all of them."""
    held = np.zeros(groups.size, bool)
    for name in rng.permutation(np.array(sorted(set(groups.tolist())), object))[:-1]:
        if held.mean() >= dev_size:
            break
        held |= groups == name
    return held
