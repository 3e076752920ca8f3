"""Columns of tables that users bring: found by name, checked row by row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from r2mae_bio._errors import DataError

__all__ = ["find_columns", "texts", "whole_numbers"]


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
        Strings or whole numbers.
    error
        Class to raise.

    Returns
    -------
    One string per row.

    Raises
    ------
    DataError
        A value is missing, a fraction, or holds white space.
    """
    values = column.astype(object).tolist()
    for row, value in enumerate(values):
        number = isinstance(value, float) or pd.isna(value)
        if number or not str(value) or any(letter.isspace() for letter in str(value)):
            raise error(_row_message(column, row, value, "text without white space"))
    return [str(value) for value in values]


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
    numbers = []
    for row, value in enumerate(column.astype(object).tolist()):
        number = _whole(value)
        if number is None:
            raise error(_row_message(column, row, value, "a whole number that is not negative"))
        numbers.append(number)
    return numbers


def _whole(value: Any) -> int | None:
    if isinstance(value, str):
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None
    if isinstance(value, bool) or pd.isna(value) or value != value // 1 or not 0 <= value < 2**63:
        return None
    return int(value)


def _row_message(column: pd.Series, row: int, value: Any, needed: str) -> str:
    return f"Row {row} (index {column.index[row]!r}) has {value!r} in the column {column.name}; needed is {needed}."
