"""Variants given as a table in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import VcfError
from r2mae_bio.config._settings import check_batch_size
from r2mae_bio.dna._columns import find_columns, texts, whole_numbers
from r2mae_bio.dna.variants._batch import VariantBatch, VariantReader, expand
from r2mae_bio.dna.variants._table_columns import alternatives, identifiers, references
from r2mae_bio.dna.variants._vcf_header import FIXED_COLUMNS, VcfHeader
from r2mae_bio.dna.variants._vcf_read import VcfReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def read_variants(source: Path | str | pd.DataFrame, *, batch_size: int = 4096) -> VariantReader:
    """Read variants in batches that keep every record, in order, with its line.

    Parameters
    ----------
    source
        A VCF file, plain, gzip or bgzip, or a pipe, which is copied to a temporary file (``-`` is
        standard input); or a table with the columns ``chrom``, ``pos``, ``ref`` and ``alt``, by
        these or other usual names in any case (``#CHROM``, ``chr``, ``position`` ...), and
        optionally ``id``. Positions are 1-based in both. ALT may list several alleles, separated by
        commas or, in a table, as a list, tuple or array; text may be bytes.
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
        The file is missing, has no valid header or was cut, or the table lacks a column or has
        values that are no variants. The batches raise it for records that cannot be read, with the
        number of the line.

    Notes
    -----
    Windows line ends are accepted and not repeated on output. REF and ALT keep the case they were
    written in. Nothing is normalised, filtered or compared with a genome here; see
    :func:`classify_alleles`.

    Examples
    --------
    >>> import pandas as pd
    >>> from r2mae_bio.io import read_variants
    >>> table = pd.DataFrame({"chrom": ["chr1"], "pos": [100], "ref": ["A"], "alt": ["G,T"]})
    >>> [(batch.n_records, batch.alt) for batch in read_variants(table)]
    [(1, ['G', 'T'])]
    """
    check_batch_size(batch_size, "records")
    return TableReader(source, batch_size) if isinstance(source, pd.DataFrame) else VcfReader(source, batch_size)


_SYNONYMS: Final = {
    "chrom": ("chrom", "#chrom", "chr", "chromosome", "contig", "seqname"),
    "pos": ("pos", "position"),
    "id": ("id", "rsid"),
    "ref": ("ref", "reference", "ref_allele", "refallele", "reference_allele"),
    "alt": ("alt", "alts", "alternate", "alt_allele", "altallele", "alternate_allele"),
}


class TableReader(VariantReader):
    """A table whose rows become the records of a VCF file without annotation."""

    def __init__(self, table: pd.DataFrame, batch_size: int) -> None:
        columns = find_columns(table, _SYNONYMS, optional=("id",), error=VcfError)
        self._chrom = texts(columns["chrom"], error=VcfError)
        self._pos = whole_numbers(columns["pos"], error=VcfError)
        self._ref, self._alt = references(columns["ref"]), alternatives(columns["alt"])
        self._id = identifiers(columns["id"]) if "id" in columns else ["."] * len(table)
        self._batch_size = batch_size
        self.header = VcfHeader((b"##fileformat=VCFv4.3",), tuple(name.encode() for name in FIXED_COLUMNS))

    def batches(self, skip: int = 0) -> Iterator[VariantBatch]:
        """See :class:`VariantReader`."""
        for start in range(skip, len(self._pos), self._batch_size):
            rows = slice(start, start + self._batch_size)
            alt, record, alt_index = expand(self._alt[rows])
            pos = np.array(self._pos[rows], np.int64)
            yield VariantBatch(
                start, self._lines(rows), self._chrom[rows], pos, self._id[rows], self._ref[rows], alt, record, alt_index
            )

    def fingerprint(self) -> str:
        """See :class:`VariantReader`."""
        return hashlib.sha256(b"\n".join(self._lines(slice(None)))).hexdigest()

    def _lines(self, rows: slice) -> list[bytes]:
        columns = (self._chrom[rows], self._pos[rows], self._id[rows], self._ref[rows], self._alt[rows])
        return [f"{c}\t{p}\t{i}\t{r}\t{a}\t.\t.\t.".encode() for c, p, i, r, a in zip(*columns, strict=True)]
