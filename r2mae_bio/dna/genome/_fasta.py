"""DNA from FASTA as a stream, in bounded memory, every letter checked."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from r2mae_bio._errors import FastaError, NotDNAError, TruncatedFileError
from r2mae_bio._lines import BYTE_ORDER_MARK, DAMAGE, GZIP_START, NO_TEXT, lacks_bgzf_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import NoReturn

BLANK: Final = b" \t\r\n\v\f"
"""What is left out between bases."""
BASES: Final = b"ACGTNRYSWKMBDHV" + b"acgtnryswkmbdhv"
"""The IUPAC letters of DNA."""
TEXT: Final = bytes(range(32, 127)) + BLANK
_ONLY_PROTEIN: Final = b"EFILPQZJO*"

# (letters, what they tell, what to do), the first that applies
_CAUSES: Final = (
    (b">", "a new record must start on a new line", "The file is damaged; make or download it again."),
    (b";", "this looks like a comment, which old FASTA has after ';'", "Remove such lines (grep -v '^;')."),
    (_ONLY_PROTEIN, "this looks like protein", "Give the DNA sequence instead."),
    (b"U", "this looks like RNA", "Replace U by T and u by t if the DNA is meant."),
    (b"X", "X is no letter of DNA", "If X marks masked bases, replace it by N."),
    (b"-.", "this looks like an alignment with gaps", "Remove the gaps."),
    (b"0123456789", "this looks like a sequence with numbers in it", "Convert it to FASTA."),
)


def has_other_letters(bases: bytes) -> bool:
    """Whether anything but IUPAC letters of DNA is among ``bases``, from which blanks are
    removed.
    """
    return bool(bases.translate(None, BASES))


def refuse_binary(text: bytes, path: Path) -> None:
    """Raise :class:`NotDNAError` if ``text`` holds bytes that no text in ASCII has."""
    if text.translate(None, TEXT):
        message = f"{path} is a binary file or not ASCII text; needed is a FASTA file, plain or compressed by gzip or bgzip."
        raise NotDNAError(message)


def refuse_letters(text: bytes, path: Path, line: int, record: str) -> NoReturn:
    """Raise :class:`NotDNAError` for the lines ``text``, which hold other letters and the first of
    which is number ``line``.
    """
    refuse_binary(text, path)
    at = text.find(text.translate(None, BASES + BLANK)[:1])
    found_at = line + text.count(b"\n", 0, at)
    upper = text[at:].partition(b"\n")[0].translate(None, BASES + BLANK).upper()
    # what follows a semicolon is words, whose letters tell nothing
    told_by = upper[:1] if upper[:1] == b";" else upper
    cause, remedy = next(
        ((cause, remedy) for letters, cause, remedy in _CAUSES if any(letter in letters for letter in told_by)),
        ("this is no letter of DNA", "Correct the file."),
    )
    message = (
        f"{path}, line {found_at}, record {record!r}: found {chr(text[at])!r}; {cause}. "
        f"Needed are A, C, G, T, N and the IUPAC codes of DNA. {remedy}"
    )
    raise NotDNAError(message)


_OTHER_TEXT: Final = {
    b"@": "a FASTQ file; convert it to FASTA",
    b";": "old FASTA with ';' comments; remove those lines",
    b"LOCUS": "a GenBank file; convert it to FASTA",
    b"ID   ": "an EMBL file; convert it to FASTA",
    b"##gff": "a GFF file, which holds annotation",
    b"##fileformat=VCF": "a VCF file, which holds variants",
}
_OTHER_BINARY: Final = {**NO_TEXT, b"\x43\x27\x41\x1a": "a 2bit file; convert it by twoBitToFa"}


@contextmanager
def open_fasta(path: Path) -> Iterator[Any]:
    """A binary stream of the text of ``path``; errors of the file system and of decompression
    become :class:`FastaError`.
    """
    try:
        with path.open("rb") as raw:
            if not raw.peek(2).startswith(GZIP_START):
                yield raw
                return
            if lacks_bgzf_end(raw):
                message = (
                    f"{path} is a bgzip file without the empty block that ends such files, so it was cut off or written by an unusual "
                    "program. Copy or download it again; if you know it to be whole, compress it again (gzip -dc FILE | bgzip)."
                )
                raise TruncatedFileError(message)
            with gzip.open(raw) as stream:
                yield stream
    except DAMAGE as error:
        message = f"{path} is damaged or truncated: {error}. Needed is a whole gzip file; copy or download it again."
        raise TruncatedFileError(message) from error
    except OSError as error:
        message = (
            f"{path} cannot be read ({error.strerror or error}). Needed is a FASTA file; check the path and its permissions."
        )
        raise FastaError(message) from error


def check_start(start: bytes, path: Path) -> None:
    """Refuse text that starts like a known format which is not FASTA."""
    for kinds, error in ((_OTHER_TEXT, FastaError), (_OTHER_BINARY, NotDNAError)):
        for magic, kind in kinds.items():
            if start.startswith(magic):
                message = f"{path} does not start with '>'; it looks like {kind}. Needed is a FASTA file."
                raise error(message)


BLOCK: Final = 1 << 20
"""Bytes of text read at a time."""
LONGEST_HEADER: Final = 1 << 16
"""A longer header line, in bytes, is taken for a file that is not FASTA."""


class Header(NamedTuple):
    """The first line of a record."""

    name: str
    """What stands between '>' and the first blank."""
    description: str
    """The rest of the line, without blanks at its ends."""
    line: int
    """Number of the line in the file, from 1."""


def stream_fasta(path: Path, *, block: int = BLOCK) -> Iterator[Header | bytes]:
    """Read a FASTA file: a header, the bases of the record in pieces, the next header, and so on.

    Memory is bounded by the block, however long a line or a record is.

    Parameters
    ----------
    path
        Plain, gzip or bgzip FASTA.
    block
        Bytes of text read at a time.

    Yields
    ------
    Headers, and bases in ASCII as in the file: case, N and IUPAC codes kept, line ends and blanks
    removed.

    Raises
    ------
    FastaError
        The file is missing or empty, text stands before the first '>', or a record has no name or
        no bases.
    NotDNAError
        A letter is not an IUPAC code of DNA, or the file is binary.
    TruncatedFileError
        The compressed file is damaged or ends too early.
    """
    with open_fasta(path) as stream:
        yield from _Parser(path).read(stream, block)


class _Parser:
    """Where the reader stands in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line = 1  # number of the line that holds the next byte
        self._at_line_start = True
        self._header: bytes | None = None  # what was read so far of an unfinished header line
        self._record: Header | None = None
        self._n_bases = 0

    def read(self, stream: Any, block: int) -> Iterator[Header | bytes]:
        data = stream.read(max(block, 32)).removeprefix(BYTE_ORDER_MARK)
        if not data:
            self._fail("", "the file is empty. Needed is at least one record: a line that starts with '>', and bases after it.")
        check_start(data, self._path)
        while data:
            yield from self._read_block(data)
            data = stream.read(block)
        if self._header is not None:
            yield self._begin_record()
        self._end_record()
        if self._record is None:
            self._fail("", "the file holds blank lines only. Needed is at least one record that starts with '>'.")

    def _read_block(self, data: bytes) -> Iterator[Header | bytes]:
        at = 0
        while at < len(data):
            if self._header is not None:
                end = data.find(b"\n", at)
                self._extend_header(data[at : end if end >= 0 else None])
                if end < 0:
                    return
                yield self._begin_record()
                self._line, self._at_line_start, at = self._line + 1, True, end + 1
            elif self._at_line_start and data[at] == ord(">"):
                self._end_record()
                self._header, at = b"", at + 1
            else:
                end = data.find(b"\n>", at) + 1 or len(data)
                yield from self._read_bases(data[at:end])
                at = end

    def _extend_header(self, text: bytes) -> None:
        self._header = header = (self._header or b"") + text
        if len(header) > LONGEST_HEADER or b"\0" in header or b"\r" in header[:-1]:
            self._fail(
                f", line {self._line}",
                f"the header starting {header[:40]!r} is longer than {LONGEST_HEADER} bytes, or holds a zero byte or a carriage return. "
                "Needed are lines that end in LF or CR LF; convert old Macintosh line ends.",
            )

    def _begin_record(self) -> Header:
        text = (self._header or b"").decode("utf-8", "backslashreplace").rstrip()
        name, *rest = text.split(maxsplit=1) or [""]
        if not text.startswith(name) or not name:
            self._fail(f", line {self._line}", f"no name right after '>' in {'>' + text[:60]!r}. Give the record a name.")
        self._record = Header(name, rest[0] if rest else "", self._line)
        self._header, self._n_bases = None, 0
        return self._record

    def _end_record(self) -> None:
        if self._record is not None and not self._n_bases:
            name, line = self._record.name, self._record.line
            self._fail(
                f", line {line}, record {name!r}", "no bases follow. Remove the record, or complete the file if it was cut off."
            )

    def _read_bases(self, text: bytes) -> Iterator[bytes]:
        bases = text.translate(None, BLANK)
        if bases and self._record is None:
            self._refuse_preamble(text)
        if has_other_letters(bases):
            refuse_letters(text, self._path, self._line, self._record.name if self._record else "")
        self._line += text.count(b"\n")
        self._at_line_start = text.endswith(b"\n")
        self._n_bases += len(bases)
        if bases:
            yield bases

    def _refuse_preamble(self, text: bytes) -> None:
        refuse_binary(text, self._path)
        blank = len(text) - len(text.lstrip(BLANK))
        found = text[blank : blank + 40].split(b"\n")[0].decode("ascii")
        line = self._line + text.count(b"\n", 0, blank)
        self._fail(f", line {line}", f"text before the first '>': {found!r}. Needed is FASTA; remove what precedes the records.")

    def _fail(self, where: str, what: str) -> NoReturn:
        message = f"{self._path}{where}: {what}"
        raise FastaError(message)
