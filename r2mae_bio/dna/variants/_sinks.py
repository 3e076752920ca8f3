"""The forms a table of scored variants is written in: VCF, bgzip VCF, BCF, parquet."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final, Protocol

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import publish, whole_file
from r2mae_bio._lines import BGZF_END, compress_bgzf
from r2mae_bio.dna.variants._bcf import load_pysam, write_bcf
from r2mae_bio.dna.variants._info import annotate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from r2mae_bio.dna.variants._batch import VariantBatch
    from r2mae_bio.dna.variants._vcf_header import InfoField, VcfHeader

_ROW_GROUP: Final = 1 << 17
_SUFFIXES: Final = (".vcf", ".vcf.gz", ".vcf.bgz", ".bcf", ".parquet")


class Sink(Protocol):
    """Turns batches into bytes that are appended to a part file, and a complete part file into the
    output.
    """

    def begin(self) -> bytes: ...
    def rows(self, batch: VariantBatch, values: Sequence[list[Any]]) -> bytes: ...
    def end(self) -> bytes: ...
    def finish(self, part: Path, path: Path) -> None: ...


def make_sink(path: Path, header: VcfHeader, fields: Sequence[InfoField], extra: Iterable[str]) -> Sink:
    """The sink for a path, told by its suffix.

    Parameters
    ----------
    path
        The output.
    header
        Header of the input.
    fields
        Fields to add.
    extra
        Further header lines.

    Returns
    -------
    The sink.

    Raises
    ------
    ConfigError
        The suffix is unknown, pysam is missing for BCF, or the header cannot take the fields.
    """
    suffix = next((s for s in _SUFFIXES if path.name.lower().endswith(s)), None)
    if suffix is None:
        message = f"The form of {path.name} is unknown; its name must end in one of {', '.join(_SUFFIXES)}."
        raise ConfigError(message)
    text = header.encode(fields, extra)
    if suffix == ".bcf":
        load_pysam()  # that it is missing is found here, not after hours
        return _BcfSink(text, fields, compressed=False)
    return _ParquetSink(text, fields) if suffix == ".parquet" else _VcfSink(text, fields, compressed=suffix != ".vcf")


class _VcfSink:
    def __init__(self, header: bytes, fields: Sequence[InfoField], *, compressed: bool) -> None:
        self._header, self._fields = header, fields
        self._pack: Callable[[bytes], bytes] = compress_bgzf if compressed else bytes
        self._end = BGZF_END if compressed else b""

    def begin(self) -> bytes:
        return self._pack(self._header)

    def rows(self, batch: VariantBatch, values: Sequence[list[Any]]) -> bytes:
        return self._pack(annotate(batch, self._fields, values))

    def end(self) -> bytes:
        return self._end

    def finish(self, part: Path, path: Path) -> None:
        publish(part, path)


class _BcfSink(_VcfSink):
    """The part file is text, which can be cut after any record."""

    def finish(self, part: Path, path: Path) -> None:
        write_bcf(part, path)
        part.unlink()


class _ParquetSink:
    """One row per allele. The part file is an Arrow stream, which can be appended to as parquet
    cannot.
    """

    def __init__(self, header: bytes, fields: Sequence[InfoField]) -> None:
        import pyarrow as pa

        types = {"Float": pa.float32(), "Integer": pa.int32(), "String": pa.string()}
        columns = [("record", pa.int64()), ("alt_index", pa.int32()), ("chrom", pa.string()), ("pos", pa.int64())]
        columns += [(name, pa.string()) for name in ("id", "ref", "alt")]
        clash = sorted({name for name, _ in columns} & {field.name for field in fields})
        if clash:
            message = f"The fields {', '.join(clash)} are columns of the table already; choose other names."
            raise ConfigError(message)
        described = [pa.field(f.name, types[f.type], metadata={"description": f.description}) for f in fields]
        self._schema = pa.schema([*(pa.field(*column) for column in columns), *described], {"vcf_header": header})

    def begin(self) -> bytes:
        return self._schema.serialize().to_pybytes()

    def rows(self, batch: VariantBatch, values: Sequence[list[Any]]) -> bytes:
        import pyarrow as pa

        site = [batch.start + batch.record, batch.alt_index, batch.allele_chrom, batch.allele_pos]
        names = [[batch.id[r] for r in batch.record.tolist()], batch.allele_ref, batch.alt]
        columns = [*site, *names, *values]
        arrays = [pa.array(c, type=t, from_pandas=True) for c, t in zip(columns, self._schema.types, strict=True)]
        return pa.record_batch(arrays, schema=self._schema).serialize().to_pybytes()

    def end(self) -> bytes:
        return b""

    def finish(self, part: Path, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # whoever holds the part is alone, so one name does for what a killed run leaves
        with (
            whole_file(path, temporary=path.with_name(path.name + ".tmp")) as temporary,
            pa.OSFile(str(part)) as source,
            temporary.open("wb") as stream,
            pq.ParquetWriter(stream, self._schema, compression="zstd") as writer,
        ):
            for table in _regroup(pa.ipc.open_stream(source), self._schema):
                writer.write_table(table, row_group_size=_ROW_GROUP)
        part.unlink()


def _regroup(batches: Iterable[Any], schema: Any) -> Iterable[Any]:
    """Tables of equal size from batches of any size."""
    import pyarrow as pa

    waiting = pa.Table.from_batches([], schema)
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([batch], schema)])
        while waiting.num_rows >= _ROW_GROUP:
            yield waiting.slice(0, _ROW_GROUP)
            waiting = waiting.slice(_ROW_GROUP)
    if waiting.num_rows:
        yield waiting


def describe(header: VcfHeader, fields: Sequence[InfoField], extra: Iterable[str]) -> str:
    """Digest of everything above the first row.

    Parameters
    ----------
    header
        Header of the input.
    fields
        Fields to add.
    extra
        Further header lines.

    Returns
    -------
    SHA-256, 64 hexadecimal digits.
    """
    return hashlib.sha256(header.encode(fields, extra)).hexdigest()
