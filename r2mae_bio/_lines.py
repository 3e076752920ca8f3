"""Lines of a text file, plain, gzip or bgzip; compression is told by the content, not by the
name.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import stat
import tempfile
import zlib
from contextlib import ExitStack, contextmanager
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
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BUFFER_BYTES: Final = 1 << 18
_BLOCK_BYTES: Final = 0xFF00
"""Text in one bgzip block, as htslib has it: even what does not compress fits into the 64 KiB a
block may have.
"""
NO_TEXT: Final = {
    GZIP_START: "a file compressed twice; decompress it once",
    b"BZh": "a bzip2 file; decompress it",
    b"\xfd7zXZ": "an xz file; decompress it",
    b"\x28\xb5\x2f\xfd": "a zstd file; decompress it",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}
"""First bytes of files that hold no text once gzip is undone, and what they are."""
_LONGEST_MAGIC: Final = max(map(len, NO_TEXT))


class TextSource:
    """A text file that can be read again and again. What comes from a pipe can be read only once,
    so it is copied to a temporary file, which goes with this object.

    Parameters
    ----------
    path
        The file; ``-`` is standard input, and ``~`` the folder of the user.
    error
        Class to raise.

    Raises
    ------
    DataError
        The file does not exist or cannot be read.
    """

    def __init__(self, path: Path | str, error: type[DataError]) -> None:
        self.path = Path("/dev/stdin") if str(path) == "-" else Path(path).expanduser()
        """Where it was found, for messages."""
        self._error = error
        with self._failures():
            mode = self.path.stat().st_mode
            self._copy = None if stat.S_ISREG(mode) or stat.S_ISDIR(mode) else _copied(self.path)

    @property
    def stored(self) -> Path:
        """Where its bytes are, for readers that open files themselves."""
        return Path(self._copy.name) if self._copy else self.path

    @contextmanager
    def open(self) -> Iterator[io.BufferedReader]:
        """Open it as it is stored, from its beginning."""
        with ExitStack() as stack:
            with self._failures():
                raw = stack.enter_context(self.stored.open("rb"))
                raw.seek(0)  # some systems open /dev/stdin where it was left
            yield raw

    @contextmanager
    def lines(self) -> Iterator[BinaryIO]:
        """Open it as text, whose lines are then iterated as bytes, line ends included, without the
        mark some editors put before the first.

        Raises
        ------
        DataError
            It cannot be read, it is a bgzip file without its last block, which was cut, and that is
            known before hours of work; or its first bytes are those of another compression.
        """
        with self.open() as raw:
            if not raw.peek(2).startswith(GZIP_START):
                yield self._begin(raw)
                return
            if lacks_bgzf_end(raw):
                message = (
                    f"{self.path} is a bgzip file without the block that ends one, so it was cut; no record was read and no output "
                    "made. Copy it again; if it is meant to end here, compress it anew (zcat FILE | bgzip > NEW)."
                )
                raise self._error(message)
            with gzip.GzipFile(fileobj=raw) as unzipped:
                # the buffer iterates in C, three times faster than GzipFile alone
                yield self._begin(io.BufferedReader(_Steps(unzipped), _BUFFER_BYTES))

    def sha256(self) -> str:
        """SHA-256 of the file as it is stored, 64 hexadecimal digits."""
        with self.open() as raw:
            return hashlib.file_digest(raw, "sha256").hexdigest()

    def _begin(self, stream: io.BufferedReader) -> BinaryIO:
        try:
            first = stream.peek(_LONGEST_MAGIC)
        except DAMAGE:  # whoever reads on says how far it is good
            return stream
        for magic, what in NO_TEXT.items():
            if first.startswith(magic):
                message = f"{self.path} looks like {what}. Needed is text, plain or compressed by gzip or bgzip."
                raise self._error(message)
        if first.startswith(BYTE_ORDER_MARK):
            stream.read(len(BYTE_ORDER_MARK))
        return stream

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            message = f"{self.path} cannot be read ({error.strerror or error}); check the path and its permissions."
            raise self._error(message) from error


def _copied(path: Path) -> Any:
    """A temporary file with all that a pipe gives."""
    copy = tempfile.NamedTemporaryFile(prefix="r2mae_bio-")  # noqa: SIM115 - lives as long as the source
    with path.open("rb") as pipe:
        shutil.copyfileobj(pipe, copy)
    copy.flush()
    return copy


@contextmanager
def open_lines(path: Path | str, error: type[DataError]) -> Iterator[BinaryIO]:
    """Open a file that is read once; see :meth:`TextSource.lines`.

    Parameters
    ----------
    path
        The file.
    error
        Class to raise.
    """
    with TextSource(path, error).lines() as stream:
        yield stream


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
