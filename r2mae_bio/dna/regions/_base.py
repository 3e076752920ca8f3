"""From where the coordinates of a table count: told by the columns beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import BedError
from r2mae_bio._warn import warn

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEATURE: Final = {"feature", "type"}
_OF_GFF: Final = {"frame", "phase", "source", "attribute", "attributes"}
_FROM_1: Final = {"seqname", "seqnames", "seqid"}
"""What GTF, GFF and GRanges call the contig."""
_PYRANGES: Final = {"Chromosome", "Start", "End"}
"""PyRanges keeps the other columns of a GTF, but counts as BED does."""
_WIDTH: Final = ("width", "length")


def check_base(table: pd.DataFrame, contig: str, start: Sequence[int], end: Sequence[int]) -> None:
    """Refuse coordinates that count from 1 and include the end.

    Parameters
    ----------
    table
        The table, with all its columns.
    contig
        Name of its column of contigs.
    start, end
        Coordinates as they stand there, (rows,).

    Raises
    ------
    BedError
        A column of widths says that the end is included, or the other columns are those of GTF or
        GFF.

    Warns
    -----
    UserWarning
        The contigs are called as there, and nothing else says how coordinates count.
    """
    if set(map(str, table.columns)) >= _PYRANGES:
        return
    names = {str(name).lower() for name in table.columns}
    extra = _extra_in_width(table, start, end)
    if extra == 1:
        _refuse(table, "the widths are end - start + 1, so ends are included, as GRanges has them")
    if extra is None and names & _FEATURE and names & _OF_GFF:
        _refuse(table, "these are the columns of GTF or GFF")
    if extra is None and contig.lower() in _FROM_1:
        warn(
            f"The contigs are in the column {contig!r}, a name that GTF and GRanges use, which count from 1 and include the end. The "
            "coordinates were taken as 0-based and half-open; if they are not, subtract 1 from each start. "
            "Call the column 'chrom' to silence this."
        )


def _extra_in_width(table: pd.DataFrame, start: Sequence[int], end: Sequence[int]) -> int | None:
    """What a column of widths adds to end - start in every row: 0, 1, or None where there is no
    such column or it says something else.
    """
    column = next((i for i, name in enumerate(table.columns) if str(name).lower() in _WIDTH), None)
    if column is None or not len(start):
        return None
    widths = pd.to_numeric(table.iloc[:, column], errors="coerce").to_numpy(dtype=float, na_value=np.nan)
    extra = widths - (np.array(end) - np.array(start))
    return int(extra[0]) if extra[0] in (0, 1) and (extra == extra[0]).all() else None


def _refuse(table: pd.DataFrame, reason: str) -> None:
    message = (
        f"The table has the columns {', '.join(map(str, table.columns))}: {reason}, and counts from 1; needed are 0-based starts and ends "
        "that are not included. Subtract 1 from each start, then pass the columns chrom, start, end, name and strand alone."
    )
    raise BedError(message)
