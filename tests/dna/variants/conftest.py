"""A small VCF, values that depend on the allele alone, and a run that can be stopped."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from r2mae_bio.io import InfoField, VariantWriter, read_variants

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from r2mae_bio.io import VariantBatch, VariantReader


HEADER = (
    b'##fileformat=VCFv4.2\n##INFO=<ID=AC,Number=A,Type=Integer,Description="x">\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n'
)


FIELDS = [
    InfoField("LLR", "Float", "log-likelihood ratio, nats"),
    InfoField("RANK", "Integer", "rank"),
    InfoField("STATUS", "String", "status"),
]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """157 records, some multi-allelic."""
    rows = [b"1\t%d\t.\tA\t%s\t.\t.\tAC=%d" % (i + 1, b",".join([b"C", b"G", b"T"][: 1 + i % 3]), i) for i in range(157)]
    path = tmp_path / "in.vcf"
    path.write_bytes(HEADER + b"\n".join(rows) + b"\n")
    return path


def score(batch: VariantBatch) -> dict[str, Any]:
    """Values that depend on the allele alone; some are missing."""
    pairs = zip(batch.allele_pos.tolist(), batch.alt, strict=True)
    number = np.array([zlib.crc32(f"{pos} {alt}".encode()) / 2**32 for pos, alt in pairs])
    llr = np.where(number < 0.1, np.nan, number * 20 - 15).astype(np.float32)
    return {
        "LLR": llr,
        "RANK": np.ma.array((number * 99).astype(int), mask=number < 0.2),
        "STATUS": ["ok" if x > 0.3 else None for x in number],
    }


def open_writer(path: Path, reader: VariantReader, **options: Any) -> VariantWriter:
    options = {"fingerprint": reader.fingerprint(), "settings": {"seed": 1}, "commit_seconds": 0, **options}
    return VariantWriter(path, reader.header, FIELDS, **options)


def run(path: Path, source: Path, *, stop: int | None = None, batch_size: int = 25, **options: Any) -> None:
    """Score and write; with ``stop``, leave after so many batches as a crash would, by an
    exception.
    """
    reader = read_variants(source, batch_size=batch_size)
    with open_writer(path, reader, **options) as writer:
        for i, batch in enumerate(reader.batches(skip=writer.n_records)):
            if i == stop:
                raise InterruptedError
            writer.write(batch, score(batch))


def leftovers(path: Path) -> list[str]:
    return sorted(p.name for p in path.parent.iterdir() if p.name.startswith(path.name) and p != path)


@pytest.fixture
def first(source: Path, tmp_path: Path) -> Iterator[tuple[VariantWriter, VariantBatch]]:
    reader = read_variants(source, batch_size=2)
    writer = open_writer(tmp_path / "out.vcf", reader)
    yield writer, next(iter(reader))
    writer.close()
