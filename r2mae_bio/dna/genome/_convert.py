"""Convert FASTA to bases that can be mapped into memory, and to an index of them."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import DuplicateContigsError
from r2mae_bio.dna.genome._contigs import Contig
from r2mae_bio.dna.genome._fasta import Header, stream_fasta
from r2mae_bio.dna.genome._index import BASES, GenomeIndex, write_index

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.dna.genome._sources import Source

__all__ = ["convert"]

_ACGT: Final = list(b"ACGTacgt")
_N: Final = list(b"Nn")
_LOWER: Final = list(range(ord("a"), ord("z") + 1))


def convert(sources: Sequence[Source], folder: Path) -> GenomeIndex:
    """Write the bases of all files, one contig after the other, and the index; memory does not grow
    with the bases.

    Parameters
    ----------
    sources
        The files.
    folder
        Where to write; not yet a cache that others look at.

    Returns
    -------
    The index.

    Raises
    ------
    FastaError
        A file cannot be used as DNA, or a name is repeated.
    """
    table = _ContigTable()
    with (folder / BASES).open("wb") as out:
        for number, source in enumerate(sources):
            for piece in stream_fasta(source.path):
                if isinstance(piece, Header):
                    table.begin(piece, source, number)
                else:
                    table.add(piece)
                    out.write(piece)
    index = table.finish()
    write_index(folder, index)
    return index


class _ContigTable:
    """Counts letters contig by contig."""

    def __init__(self) -> None:
        self._contigs: list[Contig] = []
        self._seen: dict[tuple[str, str], tuple[Path, int]] = {}
        self._current: dict[str, Any] | None = None
        self._counts: NDArray[np.int64] = np.zeros(256, np.int64)
        self._offset = 0
        self._crc32 = 0

    def begin(self, header: Header, source: Source, number: int) -> None:
        self._close()
        self._refuse_duplicate(header, source)
        self._current = {"name": header.name, "species": source.species, "source": number, "description": header.description}

    def add(self, bases: bytes) -> None:
        self._counts += np.bincount(np.frombuffer(bases, np.uint8), minlength=256)
        self._crc32 = zlib.crc32(bases, self._crc32)

    def finish(self) -> GenomeIndex:
        self._close()
        return GenomeIndex(tuple(self._contigs), self._crc32)

    def _close(self) -> None:
        if self._current is None:
            return
        length, n_acgt, n_unknown = (int(n) for n in (self._counts.sum(), self._counts[_ACGT].sum(), self._counts[_N].sum()))
        contig = Contig(
            **self._current,
            offset=self._offset,
            length=length,
            n_acgt=n_acgt,
            n_unknown=n_unknown,
            n_iupac=length - n_acgt - n_unknown,
            n_soft_masked=int(self._counts[_LOWER].sum()),
        )
        self._contigs.append(contig)
        self._offset += length
        self._counts[:] = 0

    def _refuse_duplicate(self, header: Header, source: Source) -> None:
        name = (source.species, header.name)
        if name in self._seen:
            path, line = self._seen[name]
            message = (
                f"{source.path}, line {header.line}: the name {header.name!r} was given before, in {path}, line {line}. Needed is one record of "
                "each name; rename or remove one, or pass each file once. Files of several species may share names if passed as {species: path}."
            )
            raise DuplicateContigsError(message)
        self._seen[name] = (source.path, header.line)
