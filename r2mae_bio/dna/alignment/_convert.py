"""Convert MAF to columns that can be mapped into memory; memory does not grow with the genome."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Final

import numpy as np

from r2mae_bio._errors import MafError
from r2mae_bio.dna.alignment._index import COLUMNS, AlignmentIndex, write_index
from r2mae_bio.dna.alignment._maf import GAP, read_blocks
from r2mae_bio.dna.alignment._place import ReferenceContigs
from r2mae_bio.dna.genome._bases import UNKNOWN, encode_bases, reverse_complement

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.dna.alignment._maf import Block
    from r2mae_bio.dna.alignment._place import Place
    from r2mae_bio.dna.genome._genome import Genome

OVERLAPS: Final = ("first", "last", "error")
"""What may happen where several blocks lie over a position."""
_AT_ONCE: Final = 1 << 16
"""Columns of a block that are handled together, whatever its length."""


def convert(paths: Sequence[Path], folder: Path, *, reference: str, genome: Genome | None, overlaps: str) -> AlignmentIndex:
    """Write the columns of all files, and the index.

    The files are read twice: how many species there are must be known before the first column has
    its place, and so errors are found before anything is written.

    Parameters
    ----------
    paths
        The files.
    folder
        Where to write; not yet a cache that others look at.
    reference
        The species that others are aligned to.
    genome
        Its genome, if letters and lengths are to be compared.
    overlaps
        One of ``OVERLAPS``.

    Returns
    -------
    The index.

    Raises
    ------
    MafError
        A file cannot be used, does not fit the genome, or blocks overlap and must not.
    """
    contigs, species = ReferenceContigs(reference, genome), dict[str, int]()
    n_blocks = 0
    for path in paths:
        for block in read_blocks(path):
            contigs.place(block)
            n_blocks += 1
            for row in block.rows:
                species.setdefault(contigs.species_of(row.source), len(species))
    if not n_blocks:
        message = f"{paths[0]} holds no block of an alignment; needed is a MAF file with rows of {reference!r}."
        raise MafError(message)
    names = [name for name in species if name != reference]
    with (folder / COLUMNS).open("w+b") as file:
        writer = _Writer(file, contigs, [reference, *names], genome, overlaps)
        for path in paths:
            for block in read_blocks(path):
                writer.add(block)
    index = writer.finish(n_blocks)
    write_index(folder, index)
    return index


class _Tally:
    """What is counted of columns, by species; the reference is the first."""

    def __init__(self, n_rows: int) -> None:
        self.aligned, self.gaps, self.identical = np.zeros((3, n_rows), np.int64)

    def add(self, columns: NDArray[np.uint8], times: int = 1) -> None:
        """Count columns, (rows, positions); ``times`` is -1 for those that are replaced."""
        for i, row in enumerate(columns):  # counting whole rows is ten times faster than along an axis
            letter = row > GAP
            self.aligned[i] += times * np.count_nonzero(letter)
            self.gaps[i] += times * np.count_nonzero(row == GAP)
            self.identical[i] += times * np.count_nonzero(letter & (row == columns[0]))


class _Writer:
    """Puts blocks in their place.

    Parameters
    ----------
    file
        The columns, new and open to write and to read.
    contigs
        All contigs.
    rows
        The reference and the species, in the order of the bytes of a column.
    genome, overlaps
        See :func:`convert`.
    """

    def __init__(self, file: IO[bytes], contigs: ReferenceContigs, rows: list[str], genome: Genome | None, overlaps: str) -> None:
        self._file, self._contigs, self._genome, self._overlaps = file, contigs, genome, overlaps
        self._rows = {name: i for i, name in enumerate(rows)}
        lengths = [contig.length for contig in contigs.contigs]
        self._offsets = np.cumsum([0, *lengths]).tolist()
        self._file.truncate(self._offsets[-1] * len(rows))
        self._tally = _Tally(len(rows))
        self._repeated: NDArray[np.int64] = np.zeros(len(rows), np.int64)
        self._n_overlapping = 0

    def add(self, block: Block) -> None:
        """Write a block, a part of its columns at a time."""
        place = self._contigs.place(block)
        texts = self._texts(block, place)
        width, at = len(place.row.text), place.start
        for first in range(0, width, _AT_ONCE):
            columns = np.zeros((len(self._rows), min(_AT_ONCE, width - first)), np.uint8)
            for row, text in texts.items():
                columns[row] = np.frombuffer(text, np.uint8, columns.shape[1], first)
            columns = columns[:, columns[0] != GAP]
            if columns.size:
                self._check_letters(columns[0], place.contig, at, block)
                self._write(columns, place.contig, at, block)
                at += columns.shape[1]

    def finish(self, n_blocks: int) -> AlignmentIndex:
        """What there is to know of the columns."""
        counted = (self._tally.aligned, self._tally.gaps, self._tally.identical, self._repeated)
        aligned, gaps, identical, repeated = (tuple(counts[1:].tolist()) for counts in counted)
        n_covered = int(self._tally.aligned[0])
        contigs, species = tuple(self._contigs.contigs), tuple(self._rows)[1:]
        return AlignmentIndex(contigs, species, aligned, gaps, identical, repeated, n_blocks, n_covered, self._n_overlapping)

    def _texts(self, block: Block, place: Place) -> dict[int, bytes]:
        """The first row of each species, on the plus strand of the reference."""
        texts: dict[int, bytes] = {}
        for row in block.rows:
            i = self._rows[self._contigs.species_of(row.source)]
            if i in texts:
                self._repeated[i] += 1
            else:
                texts[i] = reverse_complement(row.text) if place.row.reverse else row.text
        return texts

    def _check_letters(self, letters: NDArray[np.uint8], contig: int, at: int, block: Block) -> None:
        """Compare with the genome; what is unknown to one of them says nothing."""
        if self._genome is None:
            return
        name = self._genome.contigs[contig]
        text = self._genome.fetch(name, at, at + letters.size)
        ours, theirs = encode_bases(letters), encode_bases(text)
        differs = (ours != theirs) & (ours < UNKNOWN) & (theirs < UNKNOWN)
        if differs.any():
            first = int(np.argmax(differs))
            block.refuse(
                f"at {name}:{at + first + 1:,} the reference row has {chr(letters[first])}, the genome has {text[first]} "
                f"({int(differs.sum()):,} of {letters.size:,} bases differ); needed is the genome that the alignment was made of."
            )

    def _write(self, columns: NDArray[np.uint8], contig: int, at: int, block: Block) -> None:
        place = (self._offsets[contig] + at) * len(self._rows)
        self._file.seek(place)
        before = np.frombuffer(self._file.read(columns.size), np.uint8).reshape(columns.T.shape).T
        taken = before[0] != 0
        if taken.any():
            columns = self._settle(columns, before, taken, contig, at, block)
        else:
            self._tally.add(columns)
        self._file.seek(place)
        self._file.write(np.ascontiguousarray(columns.T).data)

    def _settle(
        self, columns: NDArray[np.uint8], before: NDArray[np.uint8], taken: NDArray[np.bool_], contig: int, at: int, block: Block
    ) -> NDArray[np.uint8]:
        """What is to stand where some positions are in a block before."""
        if self._overlaps == "error":
            first = at + int(np.argmax(taken))
            block.refuse(
                f"position {first + 1:,} of {self._contigs.contigs[contig].name} is in a block before; needed are blocks that do not "
                "overlap, or overlaps='first' or 'last' to keep one of them."
            )
        self._n_overlapping += int(taken.sum())
        if self._overlaps == "first":
            self._tally.add(columns[:, ~taken])
            return np.where(taken, before, columns)
        self._tally.add(columns)
        self._tally.add(before[:, taken], -1)
        return columns
