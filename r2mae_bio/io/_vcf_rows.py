"""VCF records with INFO added, all other bytes unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import VcfError
from r2mae_bio.io._info_values import format_values

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from r2mae_bio.io._variant_batch import VariantBatch
    from r2mae_bio.io._vcf_header import InfoField


def annotate(batch: VariantBatch, fields: Sequence[InfoField], values: Sequence[list[Any]]) -> bytes:
    """The records of a batch as text, with fields added at the end of INFO.

    Parameters
    ----------
    batch
        The records.
    fields
        Fields to add; none leaves the records as they are.
    values
        From ``check_values``: one list per field, (alleles,).

    Returns
    -------
    Lines, each with its end.

    Raises
    ------
    VcfError
        A record holds one of the fields already.
    """
    lines: Iterable[bytes] = batch.lines
    if fields:
        _check_absent(batch, fields)
        columns = [_per_record(batch, format_values(field, column)) for field, column in zip(fields, values, strict=True)]
        template = ";".join(f"{field.name}=%s" for field in fields)
        lines = map(_add, batch.lines, [(template % row).encode() for row in zip(*columns, strict=True)])
    return b"".join([line + b"\n" for line in lines])


def _add(line: bytes, added: bytes) -> bytes:
    columns = line.split(b"\t", 8)
    info = columns[7]
    separator = b"" if info.endswith(b";") else b";"
    columns[7] = added if info in (b".", b"") else info + separator + added
    return b"\t".join(columns)


def _per_record(batch: VariantBatch, texts: list[str]) -> list[str]:
    if batch.n_alleles == batch.n_records:
        return texts
    lists: list[list[str]] = [[] for _ in range(batch.n_records)]
    for record, text in zip(batch.record.tolist(), texts, strict=True):
        lists[record].append(text)
    return [",".join(texts) for texts in lists]


def _check_absent(batch: VariantBatch, fields: Sequence[InfoField]) -> None:
    for field in fields:
        key = field.name.encode()
        first, later = b"\t" + key + b"=", b";" + key + b"="
        suspects = (i for i, line in enumerate(batch.lines) if later in line or first in line)
        bad = next((i for i in suspects if _has_key(batch.lines[i], key)), None)
        if bad is not None:
            message = (
                f"Record {batch.start + bad + 1} ({batch.chrom[bad]}:{batch.pos[bad]}) has the INFO field {field.name} already, "
                "though the header does not declare it; choose another name, or remove the field from the input."
            )
            raise VcfError(message)


def _has_key(line: bytes, key: bytes) -> bool:
    return any(entry.partition(b"=")[0] == key for entry in line.split(b"\t", 8)[7].split(b";"))
