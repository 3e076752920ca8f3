"""Regions spelled as text: as genome browsers do, from 1, and as the names of peaks do, from 0."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import RegionError, SetupError
from r2mae_bio.dna.regions._regions import read_regions

if TYPE_CHECKING:
    import pandas as pd

_REGION: Final = re.compile(r"^(.+):(\d[\d,]*)-(\d[\d,]*)$")
_PEAK: Final = re.compile(r"^(.+)[:-](\d+)-(\d+)$")
_START_COLUMNS: Final = {"start", "chromstart", "chrom_start"}


def parse_region(region: Any) -> tuple[str, int, int]:
    """Contig, first base from 0, and the base after the last.

    Parameters
    ----------
    region
        Text that counts from 1, or a tuple that counts from 0.

    Returns
    -------
    The three parts, 0-based and half-open.

    Raises
    ------
    RegionError
        It is neither, or holds no base.
    """
    if isinstance(region, str) and (match := _REGION.match(region)):
        first, last = (int(number.replace(",", "")) for number in match.groups()[1:])
        parts = match[1], first - 1, last
    elif isinstance(region, tuple | list) and len(region) == 3 and all(isinstance(n, int | np.integer) for n in region[1:]):
        parts = str(region[0]), int(region[1]), int(region[2])
    else:
        parts = "", 0, 0
    if not 0 <= parts[1] < parts[2]:
        message = (
            f"The region is {region!r}; needed is a text such as 'chr1:1001-1020', which counts from 1 and includes both ends, or a tuple "
            "such as ('chr1', 1000, 1020), which counts from 0 and excludes the end, with at least one base."
        )
        raise RegionError(message)
    return parts


def regions_of_variables(var: pd.DataFrame) -> pd.DataFrame:
    """The regions that the variables of a data set are, such as ATAC peaks.

    Parameters
    ----------
    var
        The variables: columns ``chrom``, ``start`` and ``end``, or else names such as
        ``chr1:100-200`` or ``chr1-100-200``, 0-based and half-open.

    Returns
    -------
    One row per variable; see :func:`r2mae_bio.io.read_regions`.

    Raises
    ------
    BedError
        The columns cannot be read.
    SetupError
        There are no such columns, and a name is that of no region.
    """
    if _START_COLUMNS & {str(name).lower() for name in var.columns}:
        return read_regions(var)
    found = [_PEAK.match(name) for name in var.index]
    if None in found:
        name = var.index[found.index(None)]
        message = (
            f"The variable {name!r} names no region, and .var has no column 'start'. Needed are names such as 'chr1:100-200' or the "
            "columns chrom, start and end, 0-based and half-open; or pass the regions."
        )
        raise SetupError(message)
    return read_regions([(m[1], int(m[2]), int(m[3])) for m in found if m is not None])
