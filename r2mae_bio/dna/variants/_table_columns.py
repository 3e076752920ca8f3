"""Columns of a table of variants, as other readers make them, as text of a VCF record."""

from __future__ import annotations

import re
from typing import Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import VcfError
from r2mae_bio.dna._columns import read_each, text_of

_NONE: Final = "."
_LISTS: Final = (list, tuple, np.ndarray)
_BASES: Final = re.compile(r"[A-Za-z]+")
_ALT: Final = re.compile(
    r"[A-Za-z]+"  # bases
    r"|\*|\."  # missing because of a deletion upstream; none
    r"|<[^<>,\s]+>"  # symbolic
    r"|[A-Za-z.]*\[[^\[\],\s]+:\d+\[[A-Za-z.]*|[A-Za-z.]*\][^\[\],\s]+:\d+\][A-Za-z.]*"  # breakends
    r"|\.[A-Za-z]+|[A-Za-z]+\."  # single breakends
)
"""What VCF 4.5 takes for an ALT allele."""


def references(column: pd.Series) -> list[str]:
    """REF of each row.

    Parameters
    ----------
    column
        Bases, as text or bytes.

    Returns
    -------
    The text, (rows,).

    Raises
    ------
    VcfError
        A value is not made of letters.
    """
    needed = "bases, at least one (VCF writes an insertion or deletion with the base before it)"
    return read_each(column, lambda value: _matching(_BASES, text_of(value)), needed, error=VcfError)


def alternatives(column: pd.Series) -> list[str]:
    """ALT of each row, several alleles separated by commas.

    Parameters
    ----------
    column
        Text, bytes, or a list, tuple or array of these. An empty list and, in a column of lists, a
        missing value stand for no allele, as cyvcf2 and pysam have it.

    Returns
    -------
    The text, (rows,); ``.`` for no allele.

    Raises
    ------
    VcfError
        A value is no allele of VCF.
    """
    with_lists = any(isinstance(value, _LISTS) for value in column.tolist())
    needed = "bases, <ID>, *, a breakend, or . for no allele; several in a list or separated by commas"

    def read(value: Any) -> str | None:
        if isinstance(value, _LISTS):
            alleles = [_matching(_ALT, text_of(part)) for part in value]
        elif with_lists and pd.isna(value):
            return _NONE
        else:
            alleles = [_matching(_ALT, part) for part in (text_of(value) or "").split(",")]
        return None if None in alleles else ",".join(map(str, alleles)) or _NONE

    return read_each(column, read, needed, error=VcfError)


def identifiers(column: pd.Series) -> list[str]:
    """ID of each row.

    Parameters
    ----------
    column
        Text, bytes, numbers, or lists of these; missing or empty for none.

    Returns
    -------
    The text, (rows,); several separated by semicolons, ``.`` for none.

    Raises
    ------
    VcfError
        An identifier holds white space.
    """

    def read(value: Any) -> str | None:
        if isinstance(value, _LISTS):
            parts = [text_of(part) for part in value]
            return None if None in parts else ";".join(map(str, parts)) or _NONE
        return _NONE if pd.isna(value) or value in ("", b"") else text_of(value)

    return read_each(column, read, "text without white space", error=VcfError)


def _matching(pattern: re.Pattern[str], text: str | None) -> str | None:
    return text if text is not None and pattern.fullmatch(text) else None
