"""One value per base as a track for genome browsers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._files import whole_file
from r2mae_bio._lines import BGZF_END, compress_bgzf

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd


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
        A base occurs twice, a value is infinite or no number, or none is left.
    ConfigError
        The name of the track holds a quotation mark or a line break.
    """
    text = (_track_line(track) + _lines(_values(table, column))).encode()
    compressed = path.name.lower().endswith(".gz")
    with whole_file(path) as temporary:
        temporary.write_bytes(compress_bgzf(text) + BGZF_END if compressed else text)


def _track_line(name: str | None) -> str:
    if name is None:
        return ""
    if '"' in name or len(name.splitlines()) > 1:
        message = f"The name of the track is {name!r}; needed is one line without quotation marks."
        raise ConfigError(message)
    return f'track type=bedGraph name="{name}"\n'


def _values(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Columns ``chrom``, ``pos`` and ``value``, sorted, without missing values."""
    missing = [name for name in ("chrom", "pos", column) if name not in table.columns]
    if missing:
        message = f"The table has the columns {list(map(str, table.columns))}; missing are {missing}. Call tl.saturation_mutagenesis first."
        raise SetupError(message)
    values = table[["chrom", "pos", column]].set_axis(["chrom", "pos", "value"], axis=1)
    if values["value"].dtype.kind not in "iuf" or np.isinf(values["value"]).any():
        message = f"The column {column!r} has dtype {values['value'].dtype} or infinite values; needed are finite numbers, or NaN for none."
        raise DataError(message)
    values = values.dropna(subset="value").astype({"chrom": str}).sort_values(["chrom", "pos"], kind="stable")
    if values.empty:
        message = f"The column {column!r} holds no value; needed is at least one that is not NaN."
        raise DataError(message)
    repeated = values.duplicated(["chrom", "pos"])
    if repeated.any():
        chrom, pos = values.loc[repeated, ["chrom", "pos"]].iloc[0]
        message = f"The base {chrom}:{pos} occurs more than once; needed is one row per base. Drop what overlaps."
        raise DataError(message)
    return values


def _lines(values: pd.DataFrame) -> str:
    rows = zip(values["chrom"], values["pos"], values["value"], strict=True)
    return "".join(f"{chrom}\t{pos - 1}\t{pos}\t{value:.6g}\n" for chrom, pos, value in rows)
