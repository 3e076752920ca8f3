"""Variants given as a table in memory."""

from __future__ import annotations

import hashlib
from itertools import compress
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import VcfError
from r2mae_bio.config._settings import check_batch_size
from r2mae_bio.dna._columns import find_columns, texts, whole_numbers
from r2mae_bio.dna.variants._batch import VariantBatch, VariantReader, expand
from r2mae_bio.dna.variants._region import WantedRegion
from r2mae_bio.dna.variants._table_columns import alternatives, identifiers, references
from r2mae_bio.dna.variants._vcf_header import FIXED_COLUMNS, VcfHeader
from r2mae_bio.dna.variants._vcf_read import VcfReader

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from r2mae_bio.dna.genome._genome import Genome


def read_variants(
    source: Path | str | pd.DataFrame,
    *,
    batch_size: int = 4096,
    region: str | tuple[str, int, int] | None = None,
    genome: Genome | None = None,
) -> VariantReader:
    """Read variants in batches that keep every record, in order, with its line.

    Parameters
    ----------
    source
        A VCF file, plain, gzip or bgzip, a BCF file (needs pysam: ``pip install
        "r2mae_bio[bcf]"``), or a pipe, which is copied to a temporary file (``-`` is
        standard input); or a table with the columns ``chrom``, ``pos``, ``ref`` and ``alt``, by
        these or other usual names in any case (``#CHROM``, ``chr``, ``position`` ...), and
        optionally ``id``. Positions are 1-based in both. ALT may list several alleles, separated by
        commas or, in a table, as a list, tuple or array; text may be bytes.
    batch_size
        Largest number of records in a batch.
    region
        Only records that overlap it, by POS and the length of REF or INFO/END: a text such as
        ``"chr20:1-1000000"`` counts from 1 and includes both ends, a tuple counts from 0 and
        excludes the end. An index beside the file (``.tbi``, ``.csi``) is used where pysam is
        installed and the index is not older; else the file is read through, with equal records.
    genome
        Genome whose equivalent names of contigs are understood in ``region``; by default it must
        name the contig as the variants do.

    Returns
    -------
    A reader: its header is there, its batches come when it is iterated.

    Raises
    ------
    ConfigError
        ``batch_size`` is not positive, or pysam is missing.
    RegionError, UnknownContigError, AmbiguousContigError
        ``region`` is no region, or not one of ``genome``.
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
    wanted = None if region is None else WantedRegion.of(region, genome)
    return (TableReader if isinstance(source, pd.DataFrame) else VcfReader)(source, batch_size, wanted)


_SYNONYMS: Final = {
    "chrom": ("chrom", "#chrom", "chr", "chromosome", "contig", "seqname"),
    "pos": ("pos", "position"),
    "id": ("id", "rsid"),
    "ref": ("ref", "reference", "ref_allele", "refallele", "reference_allele"),
    "alt": ("alt", "alts", "alternate", "alt_allele", "altallele", "alternate_allele"),
}


class TableReader(VariantReader):
    """A table whose rows become the records of a VCF file without annotation."""

    def __init__(self, table: pd.DataFrame, batch_size: int, wanted: WantedRegion | None = None) -> None:
        columns = find_columns(table, _SYNONYMS, optional=("id",), error=VcfError)
        self._chrom = texts(columns["chrom"], error=VcfError)
        self._pos = whole_numbers(columns["pos"], error=VcfError)
        self._ref, self._alt = references(columns["ref"]), alternatives(columns["alt"])
        self._id = identifiers(columns["id"]) if "id" in columns else ["."] * len(table)
        if wanted is not None:
            self._keep([wanted.overlaps(*row) for row in zip(self._chrom, self._pos, map(len, self._ref), strict=True)])
        self._batch_size = batch_size
        self.header = VcfHeader((b"##fileformat=VCFv4.3",), tuple(name.encode() for name in FIXED_COLUMNS))

    def _keep(self, kept: list[bool]) -> None:
        for name in ("_chrom", "_pos", "_ref", "_alt", "_id"):
            setattr(self, name, list(compress(getattr(self, name), kept)))

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
