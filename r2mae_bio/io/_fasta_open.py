"""Open a FASTA file: plain, gzip or bgzip, told apart by content."""

from __future__ import annotations

import gzip
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from r2mae_bio._errors import FastaError, NotDNAError, TruncatedFileError
from r2mae_bio.io._lines import DAMAGE, GZIP_START, lacks_bgzf_end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OTHER_TEXT: Final = {
    b"@": "a FASTQ file; convert it to FASTA",
    b";": "old FASTA with ';' comments; remove those lines",
    b"LOCUS": "a GenBank file; convert it to FASTA",
    b"ID   ": "an EMBL file; convert it to FASTA",
    b"##gff": "a GFF file, which holds annotation",
    b"##fileformat=VCF": "a VCF file, which holds variants",
}
_OTHER_BINARY: Final = {
    GZIP_START: "a file compressed twice; decompress it once",
    b"BZh": "a bzip2 file; decompress it",
    b"\xfd7zXZ": "an xz file; decompress it",
    b"\x28\xb5\x2f\xfd": "a zstd file; decompress it",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"\x43\x27\x41\x1a": "a 2bit file; convert it by twoBitToFa",
    b"\xff\xfe": "text in UTF-16; save it as UTF-8",
    b"\xfe\xff": "text in UTF-16; save it as UTF-8",
}


@contextmanager
def open_fasta(path: Path) -> Iterator[Any]:
    """A binary stream of the text of ``path``; errors of the file system and of decompression become :class:`FastaError`."""
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
