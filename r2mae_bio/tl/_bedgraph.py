"""``tl.to_bedgraph``: one value per base as a track for genome browsers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from r2mae_bio.dna.tracks._tracks import write_bedgraph

if TYPE_CHECKING:
    import pandas as pd


def to_bedgraph(table: pd.DataFrame, path: str | Path, *, column: str = "information", track: str | None = None) -> Path:
    """Write one column of a table of bases as bedGraph.

    Lines are ``chrom start end value``, separated by tabs, 0-based and half-open, sorted by contig
    (in the order of the bytes) and position, as ``bedGraphToBigWig`` and ``tabix`` want them. Bases
    without a value (NaN) are left out. Whole numbers are written exactly, others with six
    significant digits.

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
        A base occurs twice, a contig is missing or has white space, a position is no whole number
        from 1, a value is infinite or no number, or none is left.
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
    path = Path(path).expanduser()
    write_bedgraph(table, path, column=column, track=track)
    return path
