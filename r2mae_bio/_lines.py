"""Lines of a text file, plain, gzip or bgzip; compression is told by the content, not by the
name.
"""

from __future__ import annotations

import gzip
import io
import zlib
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from Bio.bgzf import BgzfWriter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from r2mae_bio._errors import DataError

BGZF_END: Final = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
"""The empty block that ends every bgzip file (SAM specification, section 4.1.2)."""
DAMAGE: Final = (EOFError, zlib.error, gzip.BadGzipFile)
"""What the standard library raises where a compressed file is cut or damaged."""
GZIP_START: Final = b"\x1f\x8b"
_BUFFER_BYTES: Final = 1 << 18
_BLOCK_BYTES: Final = 0xFF00
"""Text in one bgzip block, as htslib has it: even what does not compress fits into the 64 KiB a
block may have.
"""


@contextmanager
def open_lines(path: Path | str, error: type[DataError]) -> Iterator[BinaryIO]:
    """Open a file whose lines are then iterated as bytes, line ends included.

    Parameters
    ----------
    path
        The file.
    error
        Class to raise for a bgzip file without its last block: it was cut, and that is known before
        hours of work.
    """
    with Path(path).open("rb") as raw:
        if not raw.peek(2).startswith(GZIP_START):
            yield raw
            return
        if raw.seekable() and lacks_bgzf_end(raw):
            message = (
                f"{path} is a bgzip file without the block that ends one, so it was cut; no record was read and no output made. "
                "Copy it again; if it is meant to end here, compress it anew (zcat FILE | bgzip > NEW)."
            )
            raise error(message)
        with gzip.GzipFile(fileobj=raw) as unzipped:
            # the buffer iterates in C, three times faster than GzipFile alone
            yield io.BufferedReader(_Steps(unzipped), _BUFFER_BYTES)


class _Steps(io.RawIOBase):
    """Hands over what one step of decompression gives, so that nothing before a damaged place is
    lost.
    """

    def __init__(self, unzipped: gzip.GzipFile) -> None:
        self._unzipped = unzipped

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._unzipped.read1(len(buffer))
        buffer[: len(data)] = data
        return len(data)


def lacks_bgzf_end(raw: BinaryIO) -> bool:
    """Whether a bgzip file was cut: between two blocks it is valid gzip, and only the empty block
    at its end is missing.

    Parameters
    ----------
    raw
        The compressed file, seekable; it is left at its beginning.
    """
    raw.seek(0)
    head = raw.read(18)
    is_bgzf = len(head) == 18 and bool(head[3] & 4) and head[12:14] == b"BC"
    size = raw.seek(0, io.SEEK_END)
    raw.seek(max(size - len(BGZF_END), 0))
    complete = raw.read() == BGZF_END
    raw.seek(0)
    return is_bgzf and not complete


def shown(line: bytes) -> str:
    """The beginning of a line, for messages."""
    return repr(line[:60].decode("utf-8", "replace")) + ("..." if len(line) > 60 else "")


def compress_bgzf(data: bytes) -> bytes:
    """Complete bgzip blocks; blocks of several calls may follow each other.

    Parameters
    ----------
    data
        Text of any length.

    Returns
    -------
    The blocks, without the empty one that ends a file.
    """
    packed = io.BytesIO()
    writer = BgzfWriter(fileobj=packed)  # type: ignore[no-untyped-call]
    for start in range(0, len(data), _BLOCK_BYTES):
        writer.write(data[start : start + _BLOCK_BYTES])  # type: ignore[no-untyped-call]
        writer.flush()  # type: ignore[no-untyped-call]
    return packed.getvalue()
