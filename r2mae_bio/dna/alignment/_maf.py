"""Blocks of a MAF file as a stream, every row checked.

Not by ``Bio.Align``: its reader makes a record of each row, an array of coordinates of each block,
and takes the dots of ``mafDot``, which stand for a letter of the reference, for gaps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from r2mae_bio._errors import MafError
from r2mae_bio._lines import DAMAGE, open_lines, shown
from r2mae_bio.dna.genome._fasta import BASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import NoReturn

GAP: Final = ord("-")
"""What stands in a row where it has no base and another row of the block has one."""
_LETTERS: Final = BASES + b"-"
_UPPER: Final = bytes(range(256)).upper()
_STRANDS: Final = (b"+", b"-")
_HEADS: Final = (b"##maf", b"track")
_N_FIELDS: Final = 7


class Row(NamedTuple):
    """One row of a block."""

    source: str
    """Name in the file, ``species.contig``."""
    start: int
    """First base, counted from 0 on the strand of the row."""
    size: int
    """Bases."""
    reverse: bool
    """Whether the row is of the minus strand."""
    length: int
    """Bases of the contig."""
    text: bytes
    """Upper-case letters and gaps, as many as the block has columns."""


class Block(NamedTuple):
    """Rows that are aligned with one another."""

    path: Path
    number: int
    """Number in the file, from 1."""
    line: int
    """Line it begins at, from 1."""
    rows: list[Row]

    def refuse(self, problem: str) -> NoReturn:
        """Raise :class:`MafError` with the place of the block in front."""
        message = f"{self.path}, block {self.number} (line {self.line}): {problem}"
        raise MafError(message)


def read_blocks(path: Path) -> Iterator[Block]:
    """Read a file block by block.

    Parameters
    ----------
    path
        MAF, plain or compressed by gzip or bgzip.

    Yields
    ------
    The blocks that have rows.

    Raises
    ------
    MafError
        The file is cut, damaged or no MAF; the message names file, block and line.
    """
    block = Block(path, 0, 0, [])
    with open_lines(path, MafError) as stream:
        try:
            lines = enumerate(stream, 1)
            _check_head(next((line for _, line in lines if line.strip()), b""), path)
            for at, line in lines:
                kind = line[:2].strip()
                if kind == b"s":
                    if not block.line:
                        block.refuse(f"line {at} is a row outside of a block; needed is a line 'a' before it.")
                    block.rows.append(_row(line, block))
                elif kind == b"a" or not kind:
                    if block.rows:
                        yield block
                    block = Block(path, block.number + (kind == b"a"), at if kind else 0, [])
        except DAMAGE as error:
            block.refuse(f"the file is cut or damaged after this block began ({error}); copy it again.")
    if block.rows:
        yield block


def _check_head(line: bytes, path: Path) -> None:
    if not line.startswith(_HEADS):
        found = f"begins with {shown(line)}" if line else "is empty"
        message = f"{path} {found}; needed is a MAF file, which begins with '##maf'."
        raise MafError(message)


def _row(line: bytes, block: Block) -> Row:
    fields = line.split()
    if len(fields) != _N_FIELDS:
        block.refuse(
            f"the row {shown(line)} has {len(fields)} fields; needed are {_N_FIELDS}: s, name, start, size, strand, length of the "
            "contig and text. If it is the last row, the file was cut."
        )
    _, name, start, size, strand, length, text = fields
    source = name.decode("utf-8", "replace")
    if strand not in _STRANDS or not all(number.isdigit() for number in (start, size, length)):
        block.refuse(
            f"the row of {source} is {shown(line)}; needed are whole numbers for start, size and length, and a strand + or -."
        )
    row = Row(source, int(start), int(size), strand == b"-", int(length), text.translate(_UPPER))
    _check_row(row, block)
    return row


def _check_row(row: Row, block: Block) -> None:
    if other := row.text.translate(None, _LETTERS):
        hint = "Write the file without mafDot, with all its letters." if other[:1] == b"." else "Correct the file."
        block.refuse(
            f"the row of {row.source} holds {chr(other[0])!r}; needed are A, C, G, T, N, the IUPAC codes and '-'. {hint}"
        )
    n_columns = len(block.rows[0].text) if block.rows else len(row.text)
    if len(row.text) != n_columns:
        block.refuse(
            f"the row of {row.source} has {len(row.text)} columns, the first row {n_columns}; the file was cut or damaged."
        )
    n_bases = len(row.text) - row.text.count(b"-")
    if n_bases != row.size:
        block.refuse(f"the row of {row.source} has {n_bases} bases, its size says {row.size}; the file was cut or edited.")
    if row.start + row.size > row.length:
        block.refuse(
            f"the row of {row.source} lies at {row.start} to {row.start + row.size} of a contig of {row.length} bases; needed are "
            "coordinates on the contig."
        )
