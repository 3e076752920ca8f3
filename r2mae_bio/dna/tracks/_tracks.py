"""One value per base as a track for genome browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._files import whole_file
from r2mae_bio._lines import BGZF_END, compress_bgzf
from r2mae_bio.dna._columns import texts, whole_numbers

if TYPE_CHECKING:
    from pathlib import Path

_MAX_POS: Final = 2**31 - 1
"""Programs that read such files keep positions in 31 bits."""
_EXACT: Final = 2**63
"""Beyond it, digits say nothing of a floating-point number."""


def write_bedgraph(table: pd.DataFrame, path: Path, *, column: str, track: str | None) -> None:
    """Write one column of a table of bases as bedGraph, whole or not at all.

    Parameters
    ----------
    table
        Columns ``chrom``, ``pos`` (from 1) and the one to write; NaN for no value.
    path
        The file; bgzip if its name ends in ``.gz``.
    column
        Column to write.
    track
        Name for a ``track`` line; no such line if None.

    Raises
    ------
    SetupError
        A column is missing.
    DataError
        A base occurs twice, a contig is missing or has white space, a position is no whole number
        from 1, a value is infinite or no number, or none is left.
    ConfigError
        The name of the track holds a quotation mark or a line break.
    """
    text = (track_line(track) + _lines(_values(table, column))).encode()
    compressed = path.name.lower().endswith(".gz")
    with whole_file(path) as temporary:
        temporary.write_bytes(compress_bgzf(text) + BGZF_END if compressed else text)


def track_line(name: str | None) -> str:
    """The first line of a named track.

    Parameters
    ----------
    name
        The name; there is no such line if None.

    Raises
    ------
    ConfigError
        It holds a quotation mark or a line break.
    """
    if name is None:
        return ""
    if '"' in name or len(name.splitlines()) > 1:
        message = f"The name of the track is {name!r}; needed is one line without quotation marks."
        raise ConfigError(message)
    return f'track type=bedGraph name="{name}"\n'


def _values(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Columns ``chrom``, ``pos`` and ``value``, sorted, without missing values."""
    wanted = ("chrom", "pos", column)
    missing = [name for name in wanted if name not in table.columns]
    if missing:
        message = f"The table has the columns {list(map(str, table.columns))}; missing are {missing}. Call tl.saturation_mutagenesis first."
        raise SetupError(message)
    twice = [name for name in wanted if isinstance(table[name], pd.DataFrame)]
    if twice:
        message = f"The table has several columns named {twice[0]!r}; keep one of them."
        raise DataError(message)
    values = table[column]
    if values.dtype.kind not in "iuf" or np.isinf(values).any():
        message = (
            f"The column {column!r} has dtype {values.dtype} or infinite values; needed are finite numbers, or NaN for none."
        )
        raise DataError(message)
    table = table[values.notna().to_numpy(bool)]
    if table.empty:
        message = f"The column {column!r} holds no value; needed is at least one that is not NaN."
        raise DataError(message)
    sites = {"chrom": texts(table["chrom"], error=DataError), "pos": _positions(table["pos"])}
    return _sorted_once(pd.DataFrame({**sites, "value": table[column].array}))


def _positions(column: pd.Series) -> list[int]:
    positions = whole_numbers(column, error=DataError)
    bad = next((i for i, pos in enumerate(positions) if not 1 <= pos <= _MAX_POS), None)
    if bad is not None:
        message = f"Row {bad} (index {column.index[bad]!r}) has the position {positions[bad]}; needed is one from 1 to {_MAX_POS}, 1-based."
        raise DataError(message)
    return positions


def _sorted_once(values: pd.DataFrame) -> pd.DataFrame:
    values = values.sort_values(["chrom", "pos"], kind="stable")
    repeated = values.duplicated(["chrom", "pos"])
    if repeated.any():
        chrom, pos = values.loc[repeated, ["chrom", "pos"]].iloc[0]
        message = f"The base {chrom}:{pos} occurs more than once; needed is one row per base. Drop what overlaps."
        raise DataError(message)
    return values


def _lines(values: pd.DataFrame) -> str:
    rows = zip(values["chrom"], values["pos"], values["value"], strict=True)
    return "".join(f"{chrom}\t{pos - 1}\t{pos}\t{as_number(value)}\n" for chrom, pos, value in rows)


def as_number(value: Any) -> str:
    """Whole numbers exactly, others with six significant digits."""
    return str(int(value)) if value == value // 1 and abs(value) < _EXACT else f"{value:.6g}"
