"""Regions of a genome as windows of one length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import DataError, RegionError, SetupError
from r2mae_bio.dna.genome._windows import check_window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._genome import Genome

__all__ = ["extract_loci"]


def extract_loci(genome: Genome, regions: Any, length: int | None = None, *, outside: str = "error") -> NDArray[np.uint8]:
    """Sequences of regions, as read from their own strand.

    Parameters
    ----------
    genome
        The genome.
    regions
        A table with the columns ``chrom`` (or ``contig``), ``start``, ``end`` and, if wanted,
        ``strand``; or tuples of these. Positions count from 0, ends are excluded, as in BED. A
        strand is ``+``, ``-`` or ``.``, which is read as ``+``.
    length
        Length of the windows, centred on the regions; the middle of a region is
        ``(start + end) // 2``. If None, the regions as they are, which must then be equally long.
    outside
        What to do with windows that leave their contig: ``"error"``, or ``"N"`` to fill up with N.

    Returns
    -------
    ASCII bytes as in the file, uint8 (regions, length).

    Raises
    ------
    RegionError
        A region is empty or negative, not on its contig, or the window about it is not and
        ``outside="error"``.
    UnknownContigError, AmbiguousContigError
        A contig cannot be found.
    DataError
        The regions are not of one length and none is given, or a strand is not known.
    SetupError
        The table lacks a column.
    """
    contig, start, end, strand = _columns(regions)
    positions = {name: genome.contig_index(name) for name in dict.fromkeys(contig)}
    index = np.array([positions[name] for name in contig], np.int64)
    _check_regions(genome, index, start, end, clipped=outside == "N")
    if length is None:
        length = _common_length(end - start)
    else:
        check_window(length, outside)
        start = (start + end) // 2 - length // 2
    return genome.windows(start, length, contigs=index, reverse=_is_reverse(strand), outside=outside)


def _columns(regions: Any) -> tuple[list[str], NDArray[np.int64], NDArray[np.int64], list[str]]:
    if hasattr(regions, "columns"):
        contig = "chrom" if "chrom" in regions.columns else "contig"
        names = [contig, "start", "end", *(["strand"] if "strand" in regions.columns else [])]
        missing = [name for name in names if name not in regions.columns]
        if missing:
            message = f"The regions have the columns {list(map(str, regions.columns))}; missing are {missing}. Needed are chrom, start and end."
            raise SetupError(message)
        regions = zip(*(regions[name].tolist() for name in names), strict=True)
    rows = [tuple(row) for row in regions]
    if any(len(row) not in (3, 4) for row in rows):
        message = "A region does not have three or four parts; needed are (contig, start, end) or (contig, start, end, strand)."
        raise DataError(message)
    strand = [row[3] if len(row) == 4 else "+" for row in rows]
    return [row[0] for row in rows], _integers(row[1] for row in rows), _integers(row[2] for row in rows), strand


def _integers(values: Iterable[Any]) -> NDArray[np.int64]:
    array = np.array(list(values))
    if array.size and array.dtype.kind not in "iu":
        message = f"The starts and ends have dtype {array.dtype}; needed are whole numbers."
        raise DataError(message)
    return array.astype(np.int64)


def _check_regions(
    genome: Genome, contig: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64], *, clipped: bool
) -> None:
    wrong = start >= end
    if not clipped:
        wrong |= (start < 0) | (start >= genome.lengths[contig])
    if wrong.any():
        i = int(np.argmax(wrong))
        message = (
            f"Region {i} goes from {start[i]} to {end[i]} on {genome.contigs[contig[i]]!r} of {genome.lengths[contig[i]]} bases; needed is "
            "0 <= start < end <= length, counted from 0 with the end excluded."
        )
        raise RegionError(message)


def _common_length(lengths: NDArray[np.int64]) -> int:
    found = np.unique(lengths)
    if found.size != 1:
        message = (
            f"The regions have {found.size} different lengths"
            + (f", from {found[0]} to {found[-1]} bases" if found.size else "")
            + "; needed is one. Pass length=, that of windows about their middles."
        )
        raise DataError(message)
    return int(found[0])


def _is_reverse(strand: list[str]) -> NDArray[np.bool_]:
    unknown = sorted({repr(s) for s in strand if s not in ("+", "-", ".")})
    if unknown:
        message = f"Strands {', '.join(unknown)} are not known; needed are '+', '-' or '.'."
        raise DataError(message)
    return np.array([s == "-" for s in strand], bool)
