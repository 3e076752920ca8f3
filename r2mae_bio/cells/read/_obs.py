"""Columns of ``.obs`` and ``.var``: found by name, read into memory, as text or as labels; and
cells by position, mask or name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import DataError, SetupError
from r2mae_bio.cells.read._stored import reading

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["UNREAD", "cell_positions", "complete", "group_values", "label_values", "name_text", "read_column", "text_values"]

UNREAD: Final = "r2mae_unread"
"""Entry of ``.attrs`` of a table with columns that its files hold and nobody asked for."""
_WHOLE: Final = re.compile(r"-?\d+\.0")


def read_column(frame: Any, key: str, *, where: str = "obs") -> pd.Series:
    """One column, in memory.

    Parameters
    ----------
    frame
        ``.obs`` or ``.var``, also of data that were read lazily.
    key
        Name of the column.
    where
        How the user calls the frame, for messages.

    Returns
    -------
    The column, of whatever dtype.

    Raises
    ------
    SetupError
        There is no such column, or there are several.
    DataError
        It cannot be read from its file.
    """
    columns = list(frame.columns)
    if key not in columns:
        names = ", ".join(map(str, columns)) or "none"
        unread = key in getattr(frame, "attrs", {}).get(UNREAD, ())
        advice = f"Its files have it: open the store with obs=[{key!r}]." if unread else "Check the spelling of the key."
        message = f"{where} has no column {key!r}; it has {names}. {advice}"
        raise SetupError(message)
    if columns.count(key) > 1:
        message = f"{where} has {columns.count(key)} columns {key!r}; needed is one. Rename or drop the others."
        raise SetupError(message)
    # lazy columns are xarray's, which know no pandas dtype
    if isinstance(frame, pd.DataFrame):
        return frame[key]
    with reading(None, f"Column {key!r} of {where}"):
        return frame[[key]].to_memory()[key]


def complete(column: pd.Series, *, where: str = "obs", cells: str = "cells") -> pd.Series:
    """The same column of ``.obs``, after a check that no value is missing.

    Parameters
    ----------
    column
        From :func:`read_column`.
    where, cells
        How the user calls the frame, and what the rows are, for messages.

    Raises
    ------
    DataError
        Values are missing.
    """
    n_missing = int(column.isna().sum())
    if n_missing:
        message = f"{where}[{column.name!r}] is missing for {n_missing} of {len(column)} {cells}; fill the values or leave these cells out."
        raise DataError(message)
    return column


def name_text(name: Any) -> str:
    """A name as text; whole numbers without decimal places, for a column of 1 and 2 that was joined
    with one that lacks values holds 1.0 and 2.0.

    Parameters
    ----------
    name
        Text, a number, a date.
    """
    text = str(name)
    return text[:-2] if _WHOLE.fullmatch(text) else text


def text_values(column: pd.Series) -> NDArray[np.object_]:
    """Values as text, see :func:`name_text`, (n_cells,).

    Parameters
    ----------
    column
        Without missing values.
    """
    if isinstance(column.dtype, pd.CategoricalDtype) and not column.hasnans:
        # each name once: as a column of text, each cell would be an object of its own
        codes, found = column.cat.codes.to_numpy(), column.cat.categories.astype(str)
    else:
        codes, found = pd.factorize(column.astype(str).to_numpy(object), use_na_sentinel=False)  # pandas 3 keeps missing values
    return np.array([name_text(value) for value in found], dtype=object)[codes]


def group_values(frame: Any, key: str, cells: NDArray[np.intp], *, where: str = "obs") -> NDArray[np.object_]:
    """Groups of some labelled cells, such as donors, as text, (n_chosen,).

    Parameters
    ----------
    frame, key, where
        As in :func:`read_column`, whose errors these are.
    cells
        Positions of the cells.

    Raises
    ------
    DataError
        One of the cells has no group.
    """
    return text_values(complete(read_column(frame, key, where=where).iloc[cells], where=where, cells="labelled cells"))


def label_values(column: pd.Series) -> NDArray[np.object_]:
    """Values in the type of the column: bool, int, float or text of Python, None where missing,
    (n_cells,).

    Parameters
    ----------
    column
        Of any dtype; categories count as what they hold, and what is mixed becomes text.
    """
    codes, found = pd.factorize(column.to_numpy(object))  # code -1: missing
    kind = pd.api.types.infer_dtype(found, skipna=True)
    if kind == "mixed-integer-float":  # whole numbers joined with a column that lacked some
        kind = "integer" if all(float(value).is_integer() for value in found) else "floating"
    cast = {"boolean": bool, "integer": int, "floating": float}.get(kind, str)
    values = np.empty(len(found) + 1, dtype=object)
    values[:-1] = [cast(value) for value in found]
    return values[codes]


def cell_positions(indices: Any, names: Sequence[str]) -> NDArray[np.int64] | None:
    """Positions of the cells that a user asked for.

    Parameters
    ----------
    indices
        Positions, counted from the end where negative; a slice or a range of them; a boolean mask;
        names of cells; or None. A mask that is a series is matched by the names in its index, if
        these are those of the cells.
    names
        Names of all cells.

    Returns
    -------
    Positions, int64 (n_chosen,), or None for all.

    Raises
    ------
    DataError
        A cell does not exist or its name is not unique, or ``indices`` is something else.
    """
    if indices is None:
        return None
    n = len(names)
    if isinstance(indices, slice):
        return np.arange(n)[indices]
    if isinstance(indices, pd.Series) and len(indices) == n:
        names = pd.Index(names)
        same = indices.index.equals(names) or set(indices.index) != set(names)
        indices = indices if same else indices.reindex(names)
    chosen = np.atleast_1d(np.asarray(indices))
    if chosen.dtype == object:  # nullable masks, and names
        chosen = np.array(chosen.tolist())
    if chosen.ndim == 1 and (chosen.size == 0 or chosen.dtype.kind in "iu"):
        return _in_range(chosen.astype(np.int64), n)
    if chosen.dtype == bool and chosen.shape == (n,):
        return np.flatnonzero(chosen)
    if chosen.ndim == 1 and chosen.dtype.kind == "U":
        return _named(chosen, pd.Index(names))
    message = (
        f"indices has shape {chosen.shape} and dtype {chosen.dtype}; needed are positions from {-n} to {n - 1}, a slice of them, "
        f"a boolean mask of length {n}, or names of cells."
    )
    raise DataError(message)


def _in_range(positions: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    outside = positions[(positions < -n) | (positions >= n)]
    if outside.size:
        message = f"indices has {outside.size} positions that do not exist, such as {outside[0]}; there are {n} cells, from {-n} to {n - 1}."
        raise DataError(message)
    return np.where(positions < 0, positions + n, positions)


def _named(chosen: NDArray[np.str_], names: pd.Index) -> NDArray[np.int64]:
    if not names.is_unique:
        repeated = names[names.duplicated()][0]
        message = (
            f"indices holds names of cells, and obs_names are not unique ({repeated!r} stands twice). Pass positions, or call "
            "adata.obs_names_make_unique() first."
        )
        raise DataError(message)
    positions = names.get_indexer(pd.Index(chosen))
    missing = chosen[positions < 0]
    if missing.size:
        message = f"indices names {missing.size} cells that do not exist, such as {str(missing[0])!r}; cells are called {list(names[:3])} and so on."
        raise DataError(message)
    return positions.astype(np.int64)
