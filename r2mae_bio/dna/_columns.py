"""Columns of tables that users bring: found by name, checked row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from r2mae_bio._errors import DataError

__all__ = ["find_columns", "read_each", "text_of", "texts", "whole_numbers"]

T = TypeVar("T")


def find_columns(
    table: pd.DataFrame, synonyms: Mapping[str, Sequence[str]], *, optional: Sequence[str], error: type[DataError]
) -> dict[str, pd.Series]:
    """Find columns by name, whatever their case.

    Parameters
    ----------
    table
        The table.
    synonyms
        Accepted names of each wanted column, in lower case.
    optional
        Wanted columns that may be absent.
    error
        Class to raise.

    Returns
    -------
    The columns that are there.

    Raises
    ------
    DataError
        A needed column is missing, or two columns answer to the same name.
    """
    found = {}
    for wanted, names in synonyms.items():
        places = [i for i, name in enumerate(table.columns) if str(name).lower() in names]
        if len(places) > 1:
            message = f"The columns {', '.join(str(table.columns[i]) for i in places)} all mean {wanted}; keep one of them."
            raise error(message)
        if places:
            found[wanted] = table.iloc[:, places[0]]
        elif wanted not in optional:
            message = f"The table has the columns {', '.join(map(str, table.columns))}; needed is one named {' or '.join(names)}."
            raise error(message)
    return found


def texts(column: pd.Series, *, error: type[DataError]) -> list[str]:
    """A column of names as text.

    Parameters
    ----------
    column
        Strings, the bytes of some in UTF-8, or whole numbers.
    error
        Class to raise.

    Returns
    -------
    One string per row.

    Raises
    ------
    DataError
        A value is missing, a fraction, a list, or holds white space.
    """
    return read_each(column, text_of, "text without white space", error=error)


def text_of(value: Any) -> str | None:
    """A name as text.

    Parameters
    ----------
    value
        A string, the bytes of one in UTF-8, or a whole number.

    Returns
    -------
    The text; None where there is none, or one with white space.
    """
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None
    if not pd.api.types.is_scalar(value) or isinstance(value, float) or pd.isna(value):
        return None
    text = str(value)
    return None if not text or any(letter.isspace() for letter in text) else text


def whole_numbers(column: pd.Series, *, error: type[DataError]) -> list[int]:
    """A column of positions as integers.

    Parameters
    ----------
    column
        Numbers, or their decimal digits as strings.
    error
        Class to raise.

    Returns
    -------
    One integer per row.

    Raises
    ------
    DataError
        A value is missing, negative or not a whole number.
    """
    return read_each(column, _whole, "a whole number that is not negative", error=error)


def _whole(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    if (
        isinstance(value, bool | bytes)
        or not pd.api.types.is_scalar(value)
        or pd.isna(value)
        or value != value // 1
        or not 0 <= value < 2**63
    ):
        return None
    return int(value)


def read_each(column: pd.Series, read: Callable[[Any], T | None], needed: str, *, error: type[DataError]) -> list[T]:
    """Read each value of a column.

    Parameters
    ----------
    column
        The column.
    read
        Makes something of a value, None where nothing can be made of it.
    needed
        What would be right, for the message.
    error
        Class to raise.

    Returns
    -------
    What was read, one per row.

    Raises
    ------
    DataError
        A value cannot be read.
    """
    found = []
    for row, value in enumerate(column.astype(object).tolist()):
        made = read(value)
        if made is None:
            message = f"Row {row} (index {column.index[row]!r}) has {value!r} in the column {column.name}; needed is {needed}."
            raise error(message)
        found.append(made)
    return found
