"""Reading VCF files: every record in order, its line kept, memory bounded."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import VcfError
from r2mae_bio._lines import DAMAGE, TextSource, shown
from r2mae_bio.dna.variants._batch import VariantBatch, VariantReader, expand
from r2mae_bio.dna.variants._bcf import bcf_lines, is_bcf
from r2mae_bio.dna.variants._region import index_of, indexed_lines, only
from r2mae_bio.dna.variants._vcf_header import read_header

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.dna.variants._region import WantedRegion

_STEP: Final = 256
_MAX_BATCH_BYTES: Final = 32 << 20
"""A batch ends early beyond this size: lines of files with thousands of samples are long."""
_MAX_POS: Final = 2**31 - 1
_MAX_DIGITS: Final = 12


class VcfReader(VariantReader):
    """A VCF or BCF file, or a region of one, read anew by each call of :meth:`batches`."""

    def __init__(self, path: Path | str, batch_size: int, wanted: WantedRegion | None = None) -> None:
        self._source = TextSource(path, VcfError)
        self.path = self._source.path
        self._batch_size = batch_size
        self._wanted = wanted
        self._is_bcf = is_bcf(self._source)
        self._index = None if wanted is None else index_of(self._source.stored)
        with self._lines() as stream:
            try:
                self.header = read_header(stream, self.path)
            except DAMAGE as error:
                raise _damaged(self.path, 0, error) from error

    def batches(self, skip: int = 0) -> Iterator[VariantBatch]:
        """See :class:`VariantReader`."""
        with self._lines() as stream:
            records = _Records(stream, self.path, n_header=len(self.header.meta) + 1)
            records.skip(len(self.header.meta) + 1, skip)
            while lines := records.take(self._batch_size):
                start = records.n_read - len(lines)
                where = _Where(self.path, records.n_header + start + 1, self._wanted)
                yield _parse(lines, start, where, len(self.header.columns))

    def fingerprint(self) -> str:
        """See :class:`VariantReader`."""
        if self._wanted is None:
            return self._source.sha256()
        digest = hashlib.sha256(str(self._wanted).encode())
        with self._lines() as stream:
            for line in stream:
                digest.update(line)
        return digest.hexdigest()

    @contextmanager
    def _lines(self) -> Iterator[Iterator[bytes]]:
        """Lines of the header and of the records that are wanted."""
        if self._wanted is not None and self._index is not None:
            with indexed_lines(self._source.stored, self._index, self._wanted, bcf=self._is_bcf) as stream:
                yield stream
            return
        with bcf_lines(self._source.stored, self.path) if self._is_bcf else self._source.lines() as stream:
            yield iter(stream) if self._wanted is None else only(stream, self._wanted)


class _Records:
    """Record lines without their ends, counted."""

    def __init__(self, stream: Iterator[bytes], path: Path, n_header: int) -> None:
        self._stream, self._path = stream, path
        self.n_header = n_header
        self.n_read = 0

    def skip(self, n_header: int, n_records: int) -> None:
        self._pull(n_header)
        while n_records > self.n_read:
            if not self.take(min(n_records - self.n_read, 4096)):
                message = f"{self._path} holds {self.n_read} records, of which {n_records} were to be skipped; it has changed."
                raise VcfError(message)

    def take(self, n: int) -> list[bytes]:
        """The next records, ``n`` or fewer; none at the end of the file."""
        lines: list[bytes] = []
        size = 0
        while len(lines) < n and size < _MAX_BATCH_BYTES:
            step = self._pull(min(_STEP, n - len(lines)))
            if not step:
                break
            size += sum(map(len, step))
            lines += [line.rstrip(b"\r\n") for line in step]
        if b"" in lines:
            self._check_blank_to_the_end(lines)
        self.n_read += len(lines)
        return lines

    def _pull(self, n: int) -> list[bytes]:
        lines: list[bytes] = []
        try:
            lines.extend(islice(self._stream, n))
        except DAMAGE as error:
            raise _damaged(self._path, self.n_read + len(lines), error) from error
        return lines

    def _check_blank_to_the_end(self, lines: list[bytes]) -> None:
        """Blank lines may end a file; between records one would be a record lost."""
        first = lines.index(b"")
        if any(lines[first:]) or any(line.strip(b"\r\n") for line in self._stream):
            message = f"Line {self.n_header + self.n_read + first + 1} of {self._path} is blank, and records follow; remove it."
            raise VcfError(message)
        del lines[first:]


def _damaged(path: Path, n_read: int, error: Exception) -> VcfError:
    return VcfError(
        f"{path} is cut or damaged ({error}): {n_read} records could be read, the rest cannot; the output was not finished. "
        "Copy or compress the file again."
    )


class _Where:
    """File and line, for messages; of a region, the line among those of it and the header."""

    def __init__(self, path: Path, first_line: int, wanted: WantedRegion | None) -> None:
        self._path, self._first_line = f"{path}" if wanted is None else f"the part {wanted} of {path}", first_line

    def error(self, i: int, text: str) -> VcfError:
        return VcfError(f"Line {self._first_line + i} of {self._path} {text}")


def _parse(lines: list[bytes], start: int, where: _Where, n_columns: int) -> VariantBatch:
    _check_columns(lines, where, n_columns)
    chrom, pos, ids, ref, alts, _ = zip(*(line.split(b"\t", 5) for line in lines), strict=True)
    alt, record, alt_index = expand(_decode(alts, where))
    texts = (_decode(chrom, where), _positions(pos, where), _decode(ids, where), _decode(ref, where))
    return VariantBatch(start, lines, *texts, alt, record, alt_index)


def _check_columns(lines: list[bytes], where: _Where, n_columns: int) -> None:
    counts = [line.count(b"\t") + 1 for line in lines]
    if counts.count(n_columns) == len(counts):
        return
    bad = next(i for i, count in enumerate(counts) if count != n_columns)
    raise where.error(
        bad, f"has {counts[bad]} columns, the header has {n_columns}: {shown(lines[bad])}. Columns are separated by tabs."
    )


def _positions(column: Sequence[bytes], where: _Where) -> NDArray[np.int64]:
    # int() also takes signs, spaces and underscores, and is slow for thousands of digits
    if all(map(bytes.isdigit, column)) and max(map(len, column)) <= _MAX_DIGITS:
        numbers = np.array(list(map(int, column)), np.int64)
        if numbers.max() <= _MAX_POS:
            return numbers
    bad = next(i for i, text in enumerate(column) if not text.isdigit() or len(text) > _MAX_DIGITS or int(text) > _MAX_POS)
    raise where.error(bad, f"has the position {shown(column[bad])}; needed is a whole number from 0 to {_MAX_POS}, 1-based.")


def _decode(column: Sequence[bytes], where: _Where) -> list[str]:
    try:
        return b"\n".join(column).decode().split("\n")
    except UnicodeDecodeError:
        bad = next(i for i, text in enumerate(column) if not _is_utf8(text))
        raise where.error(bad, f"holds {column[bad]!r}, which is not UTF-8 text.") from None


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True
