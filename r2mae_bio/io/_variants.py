"""Variants from a VCF file or a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio.io._variant_table import TableReader
from r2mae_bio.io._vcf import VcfReader

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.io._variant_batch import VariantReader

__all__ = ["read_variants"]


def read_variants(source: Path | str | pd.DataFrame, *, batch_size: int = 4096) -> VariantReader:
    """Read variants in batches that keep every record, in order, with its line.

    Parameters
    ----------
    source
        A VCF file, plain, gzip or bgzip, or a table with the columns ``chrom``, ``pos``, ``ref`` and ``alt``, by these or other
        usual names in any case (``#CHROM``, ``chr``, ``position`` ...), and optionally ``id``. Positions are 1-based in both.
        ALT may list several alleles, separated by commas.
    batch_size
        Largest number of records in a batch.

    Returns
    -------
    A reader: its header is there, its batches come when it is iterated.

    Raises
    ------
    ConfigError
        ``batch_size`` is not positive.
    VcfError
        The file has no valid header or was cut, or the table lacks a column or has values that are no variants. The batches
        raise it for records that cannot be read, with the number of the line.

    Notes
    -----
    Windows line ends are accepted and not repeated on output. REF and ALT keep the case they were written in. Nothing is
    normalised, filtered or compared with a genome here; see :func:`classify_alleles`.

    Examples
    --------
    >>> import pandas as pd
    >>> from r2mae_bio.io import read_variants
    >>> table = pd.DataFrame({"chrom": ["chr1"], "pos": [100], "ref": ["A"], "alt": ["G,T"]})
    >>> [(batch.n_records, batch.alt) for batch in read_variants(table)]
    [(1, ['G', 'T'])]
    """
    if batch_size < 1:
        message = f"batch_size is {batch_size}; it must be at least 1."
        raise ConfigError(message)
    return TableReader(source, batch_size) if isinstance(source, pd.DataFrame) else VcfReader(source, batch_size)
