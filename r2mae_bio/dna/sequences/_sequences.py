"""Named sequences to embed, from a FASTA file or from memory."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

import pandas as pd

from r2mae_bio._errors import FastaError, NotDNAError
from r2mae_bio._warn import warn
from r2mae_bio.dna.genome._fasta import BASES, Header, stream_fasta

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["NamedSequences", "is_fasta_path", "read_sequences"]

_SUFFIXES: Final = (".fa", ".fasta", ".fna", ".ffn", ".fas", ".fsa")
_COMPRESSED: Final = (".gz", ".bgz")
_LETTERS: Final = frozenset(BASES.decode("ascii"))


class NamedSequences(NamedTuple):
    """Sequences and their names."""

    names: list[str]
    """Unique names, (sequences,)."""
    sequences: list[str]
    """Bases in the case they had, (sequences,)."""


def is_fasta_path(source: Any) -> bool:
    """Tell the path of a FASTA file from sequences in memory.

    Parameters
    ----------
    source
        Anything.

    Returns
    -------
    True for a path object, and for a string that ends as FASTA files do or names an existing file.
    """
    if isinstance(source, PathLike):
        return True
    if not isinstance(source, str):
        return False
    name = source.lower()
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    return name.endswith(_SUFFIXES) or (len(source) < 4096 and Path(source).expanduser().is_file())


def read_sequences(source: Path | str | Sequence[str] | pd.Series) -> NamedSequences:
    """Read DNA sequences, all into memory.

    Parameters
    ----------
    source
        A FASTA file, plain or gzip, whose names are the first words of its title lines; a series,
        whose index gives the names; or a list, named ``sequence_0`` and so on.

    Returns
    -------
    Names and sequences. Lower case, N and the other IUPAC codes stay as they are. Repeated names
    get the suffixes ``-1``, ``-2`` ..., with a warning.

    Raises
    ------
    FastaError
        There is no sequence, or one is empty, or the file is not FASTA or was cut.
    NotDNAError
        A sequence holds a letter that is neither a base nor an IUPAC code.

    Warns
    -----
    UserWarning
        Names were repeated and made unique.

    Examples
    --------
    >>> from r2mae_bio.io import read_sequences
    >>> read_sequences(["ACGT", "acgN"])
    NamedSequences(names=['sequence_0', 'sequence_1'], sequences=['ACGT', 'acgN'])
    """
    if is_fasta_path(source):
        pairs = _read_fasta(Path(cast("str", source)))
    elif isinstance(source, str):
        message = f"{source[:60]!r} is neither a FASTA file that exists nor a list; put a single sequence into a list."
        raise FastaError(message)
    elif isinstance(source, pd.Series):
        pairs = [(str(name), sequence) for name, sequence in source.items()]
    else:
        pairs = [(f"sequence_{i}", sequence) for i, sequence in enumerate(cast("Sequence[str]", source))]
    if not pairs:
        message = "There is no sequence; needed is at least one."
        raise FastaError(message)
    for name, sequence in pairs:
        check_sequence(f"The sequence {name}", sequence)
    return NamedSequences(_unique([name for name, _ in pairs]), [sequence for _, sequence in pairs])


def _read_fasta(path: Path) -> list[tuple[str, Any]]:
    names: list[str] = []
    pieces: list[list[bytes]] = []
    for part in stream_fasta(path):
        if isinstance(part, Header):
            names.append(part.name)
            pieces.append([])
        else:
            pieces[-1].append(part)
    return [(name, b"".join(piece).decode("ascii")) for name, piece in zip(names, pieces, strict=True)]


def check_sequence(what: str, sequence: Any) -> None:
    """Refuse what is no DNA: every door by which sequences come in has the same letters.

    Parameters
    ----------
    what
        What messages call the sequence.
    sequence
        Text of at least one base.

    Raises
    ------
    FastaError
        It is not text, or is empty.
    NotDNAError
        It holds a letter that is neither a base nor an IUPAC code.
    """
    if not isinstance(sequence, str) or not sequence:
        message = f"{what} is {sequence!r}; needed is a string of at least one base."
        raise FastaError(message)
    foreign = sorted(set(sequence) - _LETTERS)
    if foreign:
        shown = " ".join(map(repr, foreign[:5]))
        message = f"{what} holds {shown}; needed are A, C, G, T, N and IUPAC codes. Write U of RNA as T."
        raise NotDNAError(message)


def _unique(names: list[str]) -> list[str]:
    """Names as AnnData makes them unique: the first stays, the others get a number."""
    taken = set(names)
    if len(taken) == len(names):
        return names
    counts: dict[str, int] = {}
    unique = []
    for name in names:
        if name in counts:
            counts[name] += 1
            while f"{name}-{counts[name]}" in taken:
                counts[name] += 1
            unique.append(f"{name}-{counts[name]}")
        else:
            counts[name] = 0
            unique.append(name)
    warn(f"{len(names) - len(taken)} of {len(names)} names were repeated and got a number.")
    return unique
