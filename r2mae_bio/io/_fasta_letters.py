"""The letters of DNA, and what it means when a file holds others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from r2mae_bio._errors import NotDNAError

if TYPE_CHECKING:
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
    (_ONLY_PROTEIN, "this looks like protein", "Give the DNA sequence instead."),
    (b"U", "this looks like RNA", "Replace U by T and u by t if the DNA is meant."),
    (b"X", "X is no letter of DNA", "If X marks masked bases, replace it by N."),
    (b"-.", "this looks like an alignment with gaps", "Remove the gaps."),
    (b"0123456789", "this looks like a sequence with numbers in it", "Convert it to FASTA."),
)


def has_other_letters(bases: bytes) -> bool:
    """Whether anything but IUPAC letters of DNA is among ``bases``, from which blanks are removed."""
    return bool(bases.translate(None, BASES))


def refuse_binary(text: bytes, path: Path) -> None:
    """Raise :class:`NotDNAError` if ``text`` holds bytes that no text in ASCII has."""
    if text.translate(None, TEXT):
        message = f"{path} is a binary file or not ASCII text; needed is a FASTA file, plain or compressed by gzip or bgzip."
        raise NotDNAError(message)


def refuse_letters(text: bytes, path: Path, line: int, record: str) -> NoReturn:
    """Raise :class:`NotDNAError` for the lines ``text``, which hold other letters and the first of which is number ``line``."""
    refuse_binary(text, path)
    at = text.find(text.translate(None, BASES + BLANK)[:1])
    found_at = line + text.count(b"\n", 0, at)
    upper = text[at:].partition(b"\n")[0].translate(None, BASES + BLANK).upper()
    cause, remedy = next(
        ((cause, remedy) for letters, cause, remedy in _CAUSES if any(letter in letters for letter in upper)),
        ("this is no letter of DNA", "Correct the file."),
    )
    message = (
        f"{path}, line {found_at}, record {record!r}: found {chr(text[at])!r}; {cause}. "
        f"Needed are A, C, G, T, N and the IUPAC codes of DNA. {remedy}"
    )
    raise NotDNAError(message)
