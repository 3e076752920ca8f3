"""Plain readers of text formats: they read all at once and trust nothing that the package does."""

from __future__ import annotations

import gzip
import re
import zlib
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.damage.judging import InvalidInputError

if TYPE_CHECKING:
    from pathlib import Path

_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
_COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"


def plain_text(path: Path) -> bytes:
    """What a file holds, decompressed if need be."""
    data = path.read_bytes()
    if data[:2] == b"\x1f\x8b":
        is_bgzip = len(data) >= 18 and data[3] & 4 and data[12:14] == b"BC"
        if is_bgzip and not data.endswith(_END):
            raise InvalidInputError("a bgzip file lacks its last block")
        try:
            data = gzip.decompress(data)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidInputError(f"it does not decompress: {error}") from error
    return data.removeprefix(b"\xef\xbb\xbf")


def plain_fasta(path: Path) -> dict[str, str]:
    """Sequences by name, letters as they are."""
    found: dict[str, list[bytes]] = {}
    name = None
    for line in plain_text(path).split(b"\n"):
        if line.startswith(b">"):
            header = line[1:].removesuffix(b"\r")
            if b"\r" in header or b"\0" in header or len(header) > 1 << 16:
                raise InvalidInputError("a header holds a carriage return or a zero byte, or is very long")
            text = header.decode("utf-8", "backslashreplace")
            name = next(iter(text.split()), "")
            if not name or not text.startswith(name) or name in found:
                raise InvalidInputError(f"the name {name!r} is none or repeated")
            found[name] = []
            continue
        bases = re.sub(rb"[ \t\r\n\v\f]", b"", line)
        if not re.fullmatch(rb"[ACGTNRYSWKMBDHVacgtnryswkmbdhv]*", bases) or (bases and name is None):
            raise InvalidInputError(f"{bases[:20]!r} is no DNA, or before the first record")
        if bases:
            found[str(name)].append(bases)
    if not found or not all(found.values()):
        raise InvalidInputError("there is no record, or one without bases")
    return {name: b"".join(pieces).decode() for name, pieces in found.items()}


class Record(NamedTuple):
    """A record of a VCF file."""

    fields: list[bytes]
    chrom: str
    pos: int
    id: str
    ref: str
    alts: list[str]


class PlainVcf(NamedTuple):
    """A VCF file."""

    meta: list[bytes]
    columns: bytes
    records: list[Record]


def plain_vcf(path: Path) -> PlainVcf:
    """Header and records."""
    lines = [line.rstrip(b"\r\n") for line in plain_text(path).split(b"\n")]
    n_meta = next((i for i, line in enumerate(lines) if not line.startswith(b"##")), len(lines))
    columns = lines[n_meta] if n_meta < len(lines) else b""
    names = columns.split(b"\t")
    if not columns.startswith(_COLUMNS) or names[:8] != _COLUMNS.split(b"\t") or len(names) == 9:
        raise InvalidInputError("the line of column names is missing or another")
    body = lines[n_meta + 1 :]
    while body and not body[-1]:
        body.pop()
    return PlainVcf(lines[:n_meta], columns, [_record(line, len(names)) for line in body])


def _record(line: bytes, n_columns: int) -> Record:
    fields = line.split(b"\t")
    if len(fields) != n_columns:
        raise InvalidInputError(f"a record has {len(fields)} columns")
    if not re.fullmatch(rb"[0-9]{1,12}", fields[1]) or int(fields[1]) > 2**31 - 1:
        raise InvalidInputError(f"the position {fields[1]!r} is none")
    try:
        chrom, name, ref, alt = (fields[i].decode() for i in (0, 2, 3, 4))
    except UnicodeDecodeError as error:
        raise InvalidInputError("a record is not UTF-8") from error
    return Record(fields, chrom, int(fields[1]), name, ref, alt.split(","))


def plain_bed(path: Path) -> list[tuple[str, int, int, str, str]]:
    """Regions."""
    found = []
    for line in plain_text(path).split(b"\n"):
        text = line.strip(b"\r").decode("utf-8", "replace")
        words = text.split("\t") if "\t" in text else text.split()
        if not text.strip() or text.startswith("#") or _is_track(text.split()):
            continue
        if len(words) < 3 or not words[0] or not all(re.fullmatch(r"[0-9]{1,18}", word) for word in words[1:3]):
            raise InvalidInputError(f"{text[:40]!r} is no region")
        start, end = int(words[1]), int(words[2])
        if start >= end:
            raise InvalidInputError(f"{text[:40]!r} ends before it begins")
        name = words[3] if len(words) > 3 and words[3] not in (".", "") else f"{words[0]}:{start}-{end}"
        found.append((words[0], start, end, name, words[5] if len(words) > 5 and words[5] in "+-" and words[5] else "."))
    if not found:
        raise InvalidInputError("there is no region")
    return found


def _is_track(words: list[str]) -> bool:
    return bool(words) and words[0] in ("track", "browser") and not (len(words) > 2 and words[1].isdigit() and words[2].isdigit())
