"""The header of a VCF file, kept as it is, and the INFO fields added to it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from r2mae_bio._errors import ConfigError, VcfError
from r2mae_bio._lines import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["InfoField", "VcfHeader"]

FIXED_COLUMNS: Final = ("#CHROM", "POS", "ID", "REF", "ALT", "QUAL", "FILTER", "INFO")
"""Columns every VCF file has, in order."""
_TYPES: Final = ("Float", "Integer", "String")
_NAME = re.compile(r"[A-Za-z_][0-9A-Za-z_.]*")
_ENTRY: Final = re.compile(r'[<,]\s*([^\s=<>,"]+)\s*=\s*("(?:[^"\\]|\\.)*"?|[^,>"]*)')
"""One ``key=value`` of a structured header line; what stands between quotation marks is passed over
as one value.
"""


@dataclass(frozen=True)
class InfoField:
    """An INFO field with one value per ALT allele (``Number=A``)."""

    name: str
    """Key in the INFO column, and column of a parquet file."""
    type: str
    """``Float``, ``Integer`` or ``String``."""
    description: str
    """What the value means, its unit and its sign."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            message = f"{self.name!r} is no name for an INFO field: a letter or _ comes first, then letters, digits, _ and dots."
            raise ConfigError(message)
        if self.type not in _TYPES:
            message = f"The type of INFO field {self.name} is {self.type!r}; it must be one of {', '.join(_TYPES)}."
            raise ConfigError(message)
        if "\n" in self.description or "\r" in self.description:
            message = f"The description of INFO field {self.name} spans several lines; a VCF header holds one."
            raise ConfigError(message)

    @property
    def declaration(self) -> bytes:
        """The header line, without line end."""
        text = self.description.replace("\\", "\\\\").replace('"', '\\"')
        return f'##INFO=<ID={self.name},Number=A,Type={self.type},Description="{text}">'.encode()


@dataclass(frozen=True)
class VcfHeader:
    """Header lines as they were read."""

    meta: tuple[bytes, ...]
    """The lines that begin with ``##``, without line ends."""
    columns: tuple[bytes, ...]
    """Names of the columns; the first is ``#CHROM``."""

    @property
    def n_samples(self) -> int:
        """Number of genotype columns."""
        return max(len(self.columns) - 9, 0)

    @property
    def contigs(self) -> dict[str, int | None]:
        """Length in bases of each contig the header declares; None where it gives no length."""
        return dict(filter(None, map(_contig, self.meta)))

    def encode(self, fields: Sequence[InfoField] = (), extra: Iterable[str] = ()) -> bytes:
        """The header as text, declarations of new fields and further lines added before the column
        names.

        Parameters
        ----------
        fields
            INFO fields to declare.
        extra
            Further lines, each beginning with ``##``.

        Returns
        -------
        The bytes, with a line end after each line.

        Raises
        ------
        ConfigError
            A field is declared already, twice here or in the header, or a further line cannot stand
            in a header.
        """
        _check_undeclared(fields, self.meta)
        lines = [*self.meta, *(field.declaration for field in fields), *map(_extra_line, extra), b"\t".join(self.columns)]
        return b"".join(line + b"\n" for line in lines)


def structured(line: bytes, kind: str) -> dict[str, str]:
    """Keys and values of a header line such as ``##INFO=<ID=AC,Number=A>``, which may come in any
    order. Quotation marks are kept.

    Parameters
    ----------
    line
        The line.
    kind
        ``INFO``, ``FORMAT``, ``contig`` ...

    Returns
    -------
    Nothing if the line is of another kind.
    """
    text = line.decode("utf-8", "replace")
    if not text.startswith(f"##{kind}=<"):
        return {}
    return {match[1]: match[2].strip() for match in _ENTRY.finditer(text, len(kind) + 3)}


def _contig(line: bytes) -> tuple[str, int | None] | None:
    entries = structured(line, "contig")
    length = entries.get("length", "").strip('"')
    return (entries["ID"], int(length) if length.isdecimal() else None) if "ID" in entries else None


def _check_undeclared(fields: Sequence[InfoField], meta: Iterable[bytes]) -> None:
    names = [field.name for field in fields]
    declared = {structured(line, "INFO").get("ID") for line in meta}
    clash = sorted({name for name in names if name in declared or names.count(name) > 1})
    if clash:
        message = (
            f"The INFO fields {', '.join(clash)} exist already; choose other names (prefix= of tl.score_variants, --prefix of r2mae score), or remove the old "
            f"ones from the input (bcftools annotate -x {','.join(f'INFO/{name}' for name in clash)})."
        )
        raise ConfigError(message)


def _extra_line(line: str) -> bytes:
    if not line.startswith("##") or "\n" in line or "\r" in line:
        message = f"{line!r} cannot stand in a VCF header; each line must begin with ## and hold no line end."
        raise ConfigError(message)
    return line.encode()


def read_header(lines: Iterable[bytes], path: Path) -> VcfHeader:
    """Read the header, up to and including the line of column names.

    Parameters
    ----------
    lines
        The file from its first line on; what follows the header is left in it.
    path
        The file, for messages.

    Returns
    -------
    The header.

    Raises
    ------
    VcfError
        The file is empty or has no header, or its columns are not those of a VCF file.
    """
    meta: list[bytes] = []
    for raw in lines:
        line = raw.rstrip(b"\r\n")
        if line.startswith(b"##"):
            meta.append(line)
        elif line.startswith(b"#"):
            return VcfHeader(tuple(meta), _columns(line, len(meta) + 1, path))
        else:
            _refuse(line, len(meta) + 1, path)
    message = f"{path} {'ends before the line #CHROM POS ...' if meta else 'is empty'}; needed is a VCF file with its header."
    raise VcfError(message)


def _columns(line: bytes, number: int, path: Path) -> tuple[bytes, ...]:
    columns = tuple(line.split(b"\t"))
    wanted = tuple(name.encode() for name in FIXED_COLUMNS)
    if columns[:8] != wanted or len(columns) == 9:
        message = (
            f"Line {number} of {path} names the columns {shown(line)}; needed are {', '.join(FIXED_COLUMNS)}, separated by tabs, "
            "and FORMAT only together with samples."
        )
        raise VcfError(message)
    return columns


def _refuse(line: bytes, number: int, path: Path) -> None:
    message = (
        f"Line {number} of {path} is {shown(line)}; needed is a header that ends in the line #CHROM POS ID REF ALT QUAL FILTER "
        "INFO. For a table without one, read it with pandas and pass the DataFrame."
    )
    raise VcfError(message)
