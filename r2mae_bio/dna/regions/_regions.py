"""Regions of a genome from a BED file, a table or a list."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from r2mae_bio._errors import BedError
from r2mae_bio.dna.regions._bed import Region, make_region, read_bed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from r2mae_bio._errors import DataError


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


_SYNONYMS: Final = {
    "chrom": ("chrom", "#chrom", "chr", "chromosome", "contig", "seqname", "seqnames"),
    "start": ("start", "chromstart", "chrom_start"),
    "end": ("end", "chromend", "chrom_end", "stop"),
    "name": ("name", "id"),
    "strand": ("strand",),
}
_COLUMNS: Final = tuple(_SYNONYMS)


def read_regions(source: Path | str | pd.DataFrame | Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    """Read regions, 0-based and half-open, in the order given.

    Parameters
    ----------
    source
        A BED file (3 columns or more, plain or gzip; comments, ``track`` and ``browser`` lines are
        passed over), a table with the columns ``chrom``, ``start``, ``end`` and optionally ``name``
        and ``strand`` (these or other usual names, in any case), or a list of tuples in this order.
        Coordinates are 0-based and half-open in all of them.

    Returns
    -------
    Columns ``chrom`` (str), ``start``, ``end`` (int64), ``name`` (str; ``chrom:start-end``,
    0-based, where none is given) and ``strand`` (``+``, ``-`` or ``.``), rows numbered from 0.

    Raises
    ------
    BedError
        There is no region, a coordinate is negative or not a whole number, a start is not before
        its end, a strand is none of the three, or columns are missing. The message names the line
        or row.

    Examples
    --------
    >>> from r2mae_bio.io import read_regions
    >>> read_regions([("chr1", 100, 200), ("chr2", 5, 9, "site", "-")])["name"].tolist()
    ['chr1:100-200', 'site']
    """
    if isinstance(source, pd.DataFrame):
        return _from_table(source)
    if isinstance(source, str | PathLike):
        return _to_table(list(read_bed(Path(source))), f"{source}")
    return _from_list(source)


def _from_table(table: pd.DataFrame) -> pd.DataFrame:
    columns = find_columns(table, _SYNONYMS, optional=("name", "strand"), error=BedError)
    chrom = texts(columns["chrom"], error=BedError)
    start, end = (whole_numbers(columns[name], error=BedError) for name in ("start", "end"))
    rows = []
    for i, (contig, first, last) in enumerate(zip(chrom, start, end, strict=True)):
        name, strand = (_optional(columns.get(key), i) for key in ("name", "strand"))
        rows.append(make_region(contig, first, last, name, strand, where=f"Row {i} (index {table.index[i]!r})"))
    return _to_table(rows, "The table")


def _optional(column: pd.Series | None, row: int) -> str:
    value = None if column is None else column.iloc[row]
    return "." if value is None or pd.isna(value) or value == "" else str(value)


def _from_list(items: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
    rows = []
    for i, item in enumerate(items):
        if isinstance(item, str) or not 3 <= len(item) <= 5:
            message = (
                f"Item {i} of the regions is {item!r}; needed is a tuple (chrom, start, end[, name[, strand]]), 0-based and half-open. "
                "Strings such as 'chr1:100-200' are not read, because programs disagree on whether they count from 0 or 1."
            )
            raise BedError(message)
        rows.append(item)
    table = pd.DataFrame([(*row, *(None,) * (5 - len(row))) for row in rows], columns=list(_COLUMNS), dtype=object)
    return _from_table(table)


def _to_table(rows: list[Region], origin: str) -> pd.DataFrame:
    if not rows:
        message = f"{origin} holds no region; needed is at least one."
        raise BedError(message)
    table = pd.DataFrame(rows, columns=list(_COLUMNS))
    return table.astype({"start": "int64", "end": "int64"})
