"""BED files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from r2mae_bio._errors import BedError
from r2mae_bio._lines import DAMAGE, open_lines, shown
from r2mae_bio._warn import warn

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STRANDS: Final = ("+", "-", ".")
_NO_STRAND: Final = ("", ".", "*")
"""What stands for no strand: nothing, a dot, and the star of R."""
_SKIPPED: Final = (b"track", b"browser")
_MAX_DIGITS: Final = 18
_OTHER_FORMATS: Final = {
    b"##fileformat=VCF": ("VCF", "bcftools query -f '%CHROM\\t%POS0\\t%END\\t%ID\\n'"),
    b"#CHROM\tPOS\t": ("VCF", "bcftools query -f '%CHROM\\t%POS0\\t%END\\t%ID\\n'"),
    b"##gff-version": ("GFF", "awk, $4 - 1 being the start and $5 the end"),
    b"@HD\t": ("an interval list of Picard or SAM", "picard IntervalListToBed"),
    b"@SQ\t": ("an interval list of Picard or SAM", "picard IntervalListToBed"),
    b"fixedStep ": ("wiggle", "wig2bed"),
    b"variableStep ": ("wiggle", "wig2bed"),
}
"""First bytes of lines that formats of other coordinates have, and what makes BED of them."""
_GFF_COLUMNS: Final = 8


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
        The start is not before the end, or the strand is none of ``+``, ``-``, ``.`` and ``*``,
        which is the same.
    """
    if start >= end:
        message = f"{where} has the start {start} and the end {end}; the start must be smaller (0-based, the end not included)."
        raise BedError(message)
    strand = "." if strand in _NO_STRAND else strand
    if strand not in _STRANDS:
        message = f"{where} has the strand {strand!r}; needed is one of {' '.join(_STRANDS)}."
        raise BedError(message)
    return Region(chrom, start, end, f"{chrom}:{start}-{end}" if name == "." else name, strand)


def read_bed(path: Path | str) -> Iterator[Region]:
    """Read the regions of a BED file; columns beyond the sixth are not looked at. In the sixth, any
    other text than ``+`` and ``-`` means no strand: files of three or four columns and further
    values are BED, too.

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
        The file is missing, a line is no region, it is of another format, or the file is cut.

    Warns
    -----
    UserWarning
        The sixth column holds something that is not known to stand for a strand or for none.
    """
    number, odd = 0, ""
    with open_lines(path, BedError) as stream:
        try:
            for raw in stream:
                number += 1
                line = raw.strip(b"\r\n")
                if not line.strip() or _is_comment(line, f"Line {number} of {path}"):
                    continue
                columns = _columns(line, f"Line {number} of {path}")
                if len(columns) > 5 and columns[5] not in (*_STRANDS, *_NO_STRAND):
                    odd, columns[5] = odd or f"{columns[5]!r} in line {number}", "."
                yield _region(columns, f"Line {number} of {path}")
        except DAMAGE as error:
            message = f"{path} is cut or damaged after line {number} ({error}); copy or compress it again."
            raise BedError(message) from error
    if odd:
        warn(f"The sixth column of {path} is no strand everywhere ({odd}); such regions have none.")


def _is_comment(line: bytes, where: str) -> bool:
    """Whether a line is no region; a contig may well be called track."""
    for start, (name, remedy) in _OTHER_FORMATS.items():
        if line.startswith(start):
            message = (
                f"{where} is {shown(line)}, the beginning of {name}, which counts in another way; make BED of it ({remedy})."
            )
            raise BedError(message)
    if line.startswith(b"#"):
        return True
    word, *rest = line.split(None, 3)
    return word in _SKIPPED and not (len(rest) > 1 and rest[0].isdigit() and rest[1].isdigit())


def _columns(line: bytes, where: str) -> list[str]:
    columns = [c.decode("utf-8", "replace") for c in (line.split(b"\t", 12) if b"\t" in line else line.split(None, 12))]
    if len(columns) < 3:
        message = (
            f"{where} has {len(columns)} columns, {shown(line)}; needed are at least chrom, start and end, separated by tabs."
        )
        raise BedError(message)
    if not columns[0]:
        message = f"{where} names no contig: {shown(line)}."
        raise BedError(message)
    if len(columns) >= _GFF_COLUMNS and not columns[1].isdigit() and columns[3].isdigit() and columns[4].isdigit():
        message = (
            f"{where} is {shown(line)}, which looks like GTF or GFF: their starts count from 1. Make BED of it (awk, $4 - 1 being the "
            "start and $5 the end)."
        )
        raise BedError(message)
    return columns


def _region(columns: list[str], where: str) -> Region:
    chrom, start, end = columns[:3]
    name = columns[3] if len(columns) > 3 and columns[3] else "."
    strand = columns[5] if len(columns) > 5 else "."
    return make_region(chrom, _coordinate(start, where), _coordinate(end, where), name, strand, where=where)


def _coordinate(text: str, where: str) -> int:
    if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS:
        return int(text)
    message = (
        f"{where} has the coordinate {text!r}; needed is a whole number that is not negative. "
        "A line of column names must begin with #."
    )
    raise BedError(message)
