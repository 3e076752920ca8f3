"""Variants given as a table in memory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import VcfError
from r2mae_bio.io._columns import find_columns, texts, whole_numbers
from r2mae_bio.io._variant_batch import VariantBatch, VariantReader, expand
from r2mae_bio.io._vcf_header import FIXED_COLUMNS, VcfHeader

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd

_SYNONYMS: Final = {
    "chrom": ("chrom", "#chrom", "chr", "chromosome", "contig", "seqname"),
    "pos": ("pos", "position"),
    "id": ("id", "rsid"),
    "ref": ("ref", "reference", "ref_allele", "refallele", "reference_allele"),
    "alt": ("alt", "alternate", "alt_allele", "altallele", "alternate_allele"),
}


class TableReader(VariantReader):
    """A table whose rows become the records of a VCF file without annotation."""

    def __init__(self, table: pd.DataFrame, batch_size: int) -> None:
        columns = find_columns(table, _SYNONYMS, optional=("id",), error=VcfError)
        self._chrom, self._ref, self._alt = (texts(columns[name], error=VcfError) for name in ("chrom", "ref", "alt"))
        self._pos = whole_numbers(columns["pos"], error=VcfError)
        self._id = texts(columns["id"].fillna("."), error=VcfError) if "id" in columns else ["."] * len(table)
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
