"""Regions of a genome from a BED file, a table or a list."""

from __future__ import annotations

from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from r2mae_bio._errors import BedError
from r2mae_bio.dna._columns import find_columns, texts, whole_numbers
from r2mae_bio.dna.regions._base import check_base
from r2mae_bio.dna.regions._bed import Region, make_region, read_bed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


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
        A BED file (3 columns or more, plain or gzip, or a pipe, ``-`` being standard input;
        comments, ``track`` and ``browser`` lines are passed over), a table with the columns
        ``chrom``, ``start``, ``end`` and optionally ``name`` and ``strand`` (these or other usual
        names, in any case), or a list of tuples in this order. Coordinates are 0-based and
        half-open in all of them; a table that looks like GTF, GFF or GRanges, which count from 1
        and include the end, is refused.

    Returns
    -------
    Columns ``chrom`` (str), ``start``, ``end`` (int64), ``name`` (str; ``chrom:start-end``,
    0-based, where none is given) and ``strand`` (``+``, ``-`` or ``.``), rows numbered from 0.

    Raises
    ------
    BedError
        The file is missing, there is no region, a coordinate is negative or not a whole number, a
        start is not before its end, a strand of a table is none of the three, columns are missing,
        or coordinates count from 1. The message names the line or row.

    Warns
    -----
    UserWarning
        Coordinates may count from 1, or the sixth column of a file is no strand.

    Examples
    --------
    >>> from r2mae_bio.io import read_regions
    >>> read_regions([("chr1", 100, 200), ("chr2", 5, 9, "site", "-")])["name"].tolist()
    ['chr1:100-200', 'site']
    """
    if isinstance(source, pd.DataFrame):
        return _from_table(source)
    if isinstance(source, str | PathLike):
        return _to_table(list(read_bed(fspath(source))), f"{source}")
    return _from_list(source)


def _from_table(table: pd.DataFrame) -> pd.DataFrame:
    columns = find_columns(table, _SYNONYMS, optional=("name", "strand"), error=BedError)
    chrom = texts(columns["chrom"], error=BedError)
    start, end = (whole_numbers(columns[name], error=BedError) for name in ("start", "end"))
    check_base(table, str(columns["chrom"].name), start, end)
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
