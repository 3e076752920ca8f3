"""TODO."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import DataError
from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
        Groups that are not torn apart (n_cells,); the largest come first, each into the smallest fold. If None, the cells of each class
        are dealt in random order.
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
