"""Numbers that BCF does not hold: htslib replaces them, and says nothing of most."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from r2mae_bio._warn import warn
from r2mae_bio.dna.variants._vcf_header import structured

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["NumbersInBcf"]

_INTEGER: Final = re.compile(rb"[+-]?\d+")
_INTEGERS: Final = re.compile(rb"(?:\.|-?\d{1,9})(?:,(?:\.|-?\d{1,9}))*")
"""What most lists of integers look like, which hold nothing to be looked at."""
_FLOAT: Final = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf(?:inity)?)", re.IGNORECASE)
_LONG: Final = re.compile(rb"\d{10}")
_SMALLEST_INTEGER, _LARGEST_INTEGER = -(2**31) + 8, 2**31 - 1
_SMALLEST_FLOAT, _LARGEST_FLOAT = 2.0**-126, (2 - 2.0**-24) * 2.0**127
"""In single precision; what is smaller loses digits or becomes 0, what is larger infinite."""


class NumbersInBcf:
    """Counts records with numbers that would be others in BCF: in fields declared as Integer what
    is no whole number or has more than 32 bits; in QUAL and fields declared as Float what is no
    number or beyond single precision.

    Fewer digits are not counted. Nor are samples whose numbers cannot be read, as htslib refuses
    their records.

    Parameters
    ----------
    meta
        Lines of the header.
    """

    def __init__(self, meta: Iterable[bytes]) -> None:
        self._types: dict[str, dict[bytes, str]] = {"INFO": {}, "FORMAT": {}}
        for line in meta:
            for kind, types in self._types.items():
                entries = structured(line, kind)
                if entries.get("Type") in ("Integer", "Float"):
                    types[entries.get("ID", "").encode()] = entries["Type"]
        self.n_records = 0
        """Records so far."""
        self.n_changed = 0
        """Those of them that hold such a number."""
        self._first = ""

    def add(self, lines: Iterable[bytes]) -> None:
        """Look at records.

        Parameters
        ----------
        lines
            Records as text.
        """
        for line in lines:
            self.n_records += 1
            columns = line.rstrip(b"\r\n").split(b"\t", 9)
            found = self._found(columns)
            if found:
                self.n_changed += 1
                place = b":".join(columns[:2]).decode(errors="replace")
                self._first = self._first or f"record {self.n_records} ({place}) with {found}"

    def report(self) -> None:
        """Warn if there is one.

        Warns
        -----
        UserWarning
            Records hold numbers that BCF does not.
        """
        if self.n_changed:
            warn(
                f"{self.n_changed:,} of {self.n_records:,} records hold numbers that BCF cannot, which become missing or others there; "
                f"the first is {self._first}. Write .vcf.gz, which keeps records as they are, or correct their types in the header."
            )

    def _found(self, columns: list[bytes]) -> str:
        """The first such number of a record; empty if there is none."""
        if columns[5] != b"." and not _is_held("Float", columns[5]):
            return f"QUAL={_shown(columns[5])}"
        types = self._types["INFO"]
        for entry in columns[7].split(b";"):
            key, _, value = entry.partition(b"=")
            kind = types.get(key)
            if kind is None or not value or (kind == "Integer" and _INTEGERS.fullmatch(value)):
                continue
            if not all(_is_held(kind, one) for one in value.split(b",")):
                return f"{_shown(key)}={_shown(value)}"
        return self._found_in_samples(columns) if len(columns) > 9 and _LONG.search(columns[9]) else ""

    def _found_in_samples(self, columns: list[bytes]) -> str:
        kinds = [(key, self._types["FORMAT"].get(key)) for key in columns[8].split(b":")]
        for sample in columns[9].split(b"\t"):
            for (key, kind), value in zip(kinds, sample.split(b":"), strict=False):
                if kind == "Integer" and not all(_is_held(kind, one) for one in value.split(b",")):
                    return f"{_shown(key)}={_shown(value)} of a sample"
        return ""


def _is_held(kind: str, value: bytes) -> bool:
    """Whether a value is the same in BCF, but for digits."""
    if value in (b".", b""):
        return True
    if kind == "Integer":
        return bool(_INTEGER.fullmatch(value)) and _SMALLEST_INTEGER <= int(value) <= _LARGEST_INTEGER
    if not _FLOAT.fullmatch(value):
        return False
    number = abs(float(value))
    return number != number or number == 0 or _SMALLEST_FLOAT <= number < _LARGEST_FLOAT or b"inf" in value.lower()


def _shown(value: bytes) -> str:
    return value[:40].decode(errors="replace")
