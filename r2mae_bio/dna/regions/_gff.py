"""Stretches that a GFF or GTF file annotates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import pandas as pd

from r2mae_bio._errors import BedError
from r2mae_bio._lines import DAMAGE, open_lines, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_SUFFIXES: Final = {".gff", ".gff3", ".gtf", ".gff2"}
_COLUMNS: Final = 8
"""Columns up to the phase; the attributes behind it may be missing."""
_WHOLE: Final = {"region", "chromosome", "contig", "supercontig", "scaffold", "source", "biological_region", "databank_entry"}
"""Types of rows that speak of a whole sequence, or of none of its parts in particular."""


def is_gff(path: object) -> bool:
    """Whether a name ends as those of GFF and GTF files do.

    Parameters
    ----------
    path
        Any object; only texts and paths are names.
    """
    return isinstance(path, str | Path) and bool(_SUFFIXES & {suffix.lower() for suffix in Path(path).suffixes[-2:]})


def read_features(path: Path | str) -> pd.DataFrame:
    """Read the features of a GFF or GTF file, of any version. Rows that speak of a whole sequence
    (``region``, ``chromosome`` and the like) are passed over, and so is a FASTA part at the end.

    Parameters
    ----------
    path
        The file, plain or gzip.

    Returns
    -------
    Columns ``chrom``, ``start``, ``end`` (0-based and half-open) and ``type``.

    Raises
    ------
    BedError
        The file is missing or cut, a row is no feature, or there is none.
    """
    rows = list(_rows(path))
    if not rows:
        message = f"{path} holds no feature of a part of a sequence; needed are rows such as those of genes."
        raise BedError(message)
    return pd.DataFrame(rows, columns=["chrom", "start", "end", "type"])


def _rows(path: Path | str) -> Iterator[tuple[str, int, int, str]]:
    number = 0
    with open_lines(path, BedError) as stream:
        try:
            for raw in stream:
                number += 1
                line = raw.strip(b"\r\n")
                if line.startswith((b"##FASTA", b">")):
                    return
                if line.strip() and not line.startswith(b"#"):
                    row = _row(line, f"Line {number} of {path}")
                    if row[3] not in _WHOLE:
                        yield row
        except DAMAGE as error:
            message = f"{path} is cut or damaged after line {number} ({error}); copy or compress it again."
            raise BedError(message) from error


def _row(line: bytes, where: str) -> tuple[str, int, int, str]:
    columns = [column.decode("utf-8", "replace") for column in line.split(b"\t")]
    numbers = columns[3:5]
    right = len(columns) >= _COLUMNS and all(text.isascii() and text.isdigit() for text in numbers)
    if not right or not 1 <= int(numbers[0]) <= int(numbers[1]):
        message = (
            f"{where} is {shown(line)}; needed are the columns of GFF or GTF, separated by tabs, with a start from 1 that is not "
            "behind the end. Regions in BED have a name that ends in .bed."
        )
        raise BedError(message)
    return columns[0], int(numbers[0]) - 1, int(numbers[1]), columns[2]
