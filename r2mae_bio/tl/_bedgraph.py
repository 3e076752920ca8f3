"""``tl.to_bedgraph``: one value per base as a track for genome browsers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._files import BGZF_END, flush_to_disk, publish
from r2mae_bio.dna.variants._sinks import compress_bgzf

if TYPE_CHECKING:
    import pandas as pd


def to_bedgraph(table: pd.DataFrame, path: str | Path, *, column: str = "information", track: str | None = None) -> Path:
    """Write one column of a table of bases as bedGraph.

    Lines are ``chrom start end value``, separated by tabs, 0-based and half-open, sorted by contig
    (in the order of the bytes) and position, as ``bedGraphToBigWig`` and ``tabix`` want them. Bases
    without a value (NaN) are left out.

    Parameters
    ----------
    table
        Columns ``chrom``, ``pos`` (from 1) and the one to write, such as
        :func:`saturation_mutagenesis` returns; tables of several regions may be concatenated.
    path
        The file; bgzip if its name ends in ``.gz``.
    column
        Column to write.
    track
        Name for a ``track`` line above the values; no such line if None, which converters prefer.

    Returns
    -------
    The path. The file appears whole or not at all.

    Raises
    ------
    SetupError
        A column is missing.
    DataError
        A base occurs twice, a value is infinite or no number, or none is left.
    ConfigError
        The name of the track holds a quotation mark or a line break.

    Examples
    --------
    >>> import pandas as pd
    >>> import r2mae_bio as rb
    >>> table = pd.DataFrame({"chrom": "chr1", "pos": [7, 8, 9], "information": [0.5, 0.5, 2]})
    >>> path = rb.tl.to_bedgraph(table, "information.bedgraph")  # or "information.bedgraph.gz"
    >>> print(path.read_text(), end="")
    chr1  6  7  0.5
    chr1  7  8  0.5
    chr1  8  9  2
    """
    path = Path(path)
    text = (_track_line(track) + _lines(_values(table, column))).encode()
    compressed = path.name.lower().endswith(".gz")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".tmp-{path.name}")
    try:
        with temporary.open("wb") as stream:
            stream.write(compress_bgzf(text) + BGZF_END if compressed else text)
            flush_to_disk(stream)
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


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
