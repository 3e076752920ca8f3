"""Values of INFO fields: checked, and written as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import DataError, VcfError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from r2mae_bio.dna.variants._batch import VariantBatch
    from r2mae_bio.dna.variants._vcf_header import InfoField


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
        check_absent(batch, fields)
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


def check_absent(batch: VariantBatch, fields: Sequence[InfoField]) -> None:
    """Refuse records that hold fields which are to be added.

    Parameters
    ----------
    batch
        The records.
    fields
        The fields.

    Raises
    ------
    VcfError
        A record holds one of them.
    """
    for field in fields:
        key = field.name.encode()
        first, later = b"\t" + key + b"=", b";" + key + b"="
        suspects = (i for i, line in enumerate(batch.lines) if later in line or first in line)
        bad = next((i for i in suspects if _has_key(batch.lines[i], key)), None)
        if bad is not None:
            message = (
                f"Record {batch.start + bad + 1} ({batch.chrom[bad]}:{batch.pos[bad]}) has the INFO field {field.name} already, "
                "though the header does not declare it; choose another name (prefix= of tl.score_variants, --prefix of r2mae score), or remove the field from "
                f"the input (bcftools annotate -x INFO/{field.name})."
            )
            raise VcfError(message)


def _has_key(line: bytes, key: bytes) -> bool:
    return any(entry.partition(b"=")[0] == key for entry in line.split(b"\t", 8)[7].split(b";"))


MISSING: Final = "."
_RESERVED: Final = {ord(letter): f"%{ord(letter):02X}" for letter in "%:;=, \t\r\n"}
"""Letters that mean something in VCF, and how they are written there (VCF 4.3, section 1.2)."""
_MAX_INTEGER: Final = 2**31 - 1


def check_values(fields: Sequence[InfoField], values: Mapping[str, Any], n_alleles: int) -> list[list[Any]]:
    """Bring the values of a batch into plain form.

    Parameters
    ----------
    fields
        Declared fields.
    values
        One array per field, (alleles,). Missing are NaN, None, masked entries and, for strings,
        empty ones.
    n_alleles
        Length every array must have.

    Returns
    -------
    For each field, a list of floats (NaN where missing), of integers or of strings (None where
    missing).

    Raises
    ------
    DataError
        A field has no values, values have no field, or their number or type is wrong.
    """
    names = [field.name for field in fields]
    if sorted(names) != sorted(values):
        message = f"Values came for {', '.join(sorted(values)) or 'no field'}; declared are {', '.join(sorted(names)) or 'none'}."
        raise DataError(message)
    return [_check(field, values[field.name], n_alleles) for field in fields]


def _check(field: InfoField, values: Any, n_alleles: int) -> list[Any]:
    if isinstance(values, np.ma.MaskedArray):
        plain = values.data.astype(object)
        plain[np.ma.getmaskarray(values)] = None
        values = plain
    array = np.asarray(values, object) if not isinstance(values, np.ndarray) else values
    if array.shape != (n_alleles,):
        message = f"The values of {field.name} have the shape {array.shape}; needed is one per allele, ({n_alleles},)."
        raise DataError(message)
    if field.type == "String":
        return [_text(value) for value in array.tolist()]
    numbers = _numbers(field, array)
    return numbers.tolist() if field.type == "Float" else _integers(field, numbers)


def _text(value: Any) -> str | None:
    return None if pd.isna(value) or value == "" else str(value)


def _numbers(field: InfoField, array: np.ndarray) -> np.ndarray:
    if array.dtype == object:
        array = np.array([np.nan if pd.isna(value) else value for value in array.tolist()])
    if array.size and array.dtype.kind not in "fiu":
        message = f"The values of {field.name} have the type {array.dtype}; needed are numbers, because its type is {field.type}."
        raise DataError(message)
    return array.astype(np.float64)


def _integers(field: InfoField, numbers: np.ndarray) -> list[int | None]:
    bad = numbers[~np.isnan(numbers) & ((numbers != np.rint(numbers)) | (np.abs(numbers) > _MAX_INTEGER))]
    if bad.size:
        message = f"{field.name} is an Integer field and got {bad[0]}; needed are whole numbers of at most 31 bits."
        raise DataError(message)
    return [None if number != number else int(number) for number in numbers.tolist()]


def format_values(field: InfoField, values: list[Any]) -> list[str]:
    """Values as they stand in a VCF file.

    Parameters
    ----------
    field
        The field.
    values
        From :func:`check_values`.

    Returns
    -------
    One string per allele: floats with six significant digits, reserved letters percent-encoded,
    ``.`` where missing.
    """
    if field.type == "Float":
        # one formatting call for all of them is twice as fast as one for each
        return ("%.6g\n" * len(values) % tuple(values)).replace("nan", MISSING).split("\n")[:-1]
    if field.type == "Integer":
        return [MISSING if value is None else str(value) for value in values]
    return [MISSING if value is None else value.translate(_RESERVED) for value in values]
