"""BED files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from r2mae_bio._errors import BedError
from r2mae_bio._lines import DAMAGE, open_lines, shown

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STRANDS: Final = ("+", "-", ".")
_SKIPPED: Final = (b"#", b"track", b"browser")
_MAX_DIGITS: Final = 18


class Region(NamedTuple):
    """A stretch of a contig."""

    chrom: str
    """Contig."""
    start: int
    """First base, 0-based."""
    end: int
    """Base behind the last one."""
    name: str
    """Name, ``chrom:start-end`` where none was given."""
    strand: str
    """``+``, ``-`` or ``.``."""


def make_region(chrom: str, start: int, end: int, name: str, strand: str, *, where: str) -> Region:
    """A region whose parts were checked.

    Parameters
    ----------
    chrom, start, end, name, strand
        The parts; a name ``.`` stands for none.
    where
        Line or row, for messages.

    Returns
    -------
    The region.

    Raises
    ------
    BedError
        The start is not before the end, or the strand is none of ``+``, ``-`` and ``.``.
    """
    if start >= end:
        message = f"{where} has the start {start} and the end {end}; the start must be smaller (0-based, the end not included)."
        raise BedError(message)
    if strand not in _STRANDS:
        message = f"{where} has the strand {strand!r}; needed is one of {' '.join(_STRANDS)}."
        raise BedError(message)
    return Region(chrom, start, end, f"{chrom}:{start}-{end}" if name == "." else name, strand)


def read_bed(path: Path) -> Iterator[Region]:
    """Read the regions of a BED file; columns beyond the sixth are not looked at.

    Parameters
    ----------
    path
        The file, plain or gzip.

    Yields
    ------
    Regions in the order of the file.

    Raises
    ------
    BedError
        The file is missing, a line is no region, or the file is cut.
    """
    number = 0
    with open_lines(path, BedError) as stream:
        try:
            for raw in stream:
                number += 1
                line = raw.strip(b"\r\n")
                if line.strip() and not _is_comment(line):
                    yield _region(line, f"Line {number} of {path}")
        except DAMAGE as error:
            message = f"{path} is cut or damaged after line {number} ({error}); copy or compress it again."
            raise BedError(message) from error


def _is_comment(line: bytes) -> bool:
    """Whether a line is no region; a contig may well be called track1."""
    return line.startswith(b"#") or line.split(None, 1)[0] in _SKIPPED


def _region(line: bytes, where: str) -> Region:
    columns = [c.decode("utf-8", "replace") for c in (line.split(b"\t", 12) if b"\t" in line else line.split(None, 12))]
    if len(columns) < 3:
        message = (
            f"{where} has {len(columns)} columns, {shown(line)}; needed are at least chrom, start and end, separated by tabs."
        )
        raise BedError(message)
    chrom, start, end = columns[:3]
    name = columns[3] if len(columns) > 3 and columns[3] else "."
    strand = columns[5] if len(columns) > 5 else "."
    if not chrom:
        message = f"{where} names no contig: {shown(line)}."
        raise BedError(message)
    return make_region(chrom, _coordinate(start, where), _coordinate(end, where), name, strand, where=where)


def _coordinate(text: str, where: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    message = (
        f"{where} has the coordinate {text!r}; needed is a whole number that is not negative. "
        "A line of column names must begin with #."
    )
    raise BedError(message)
