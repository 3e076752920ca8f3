"""A MAF file as columns: seconds to convert it, memory, and columns read at random.

python -m benchmarks.alignment FILE --reference SPECIES [--windows 20000] [--length 128]
    [--biopython]

Prints seconds of wall clock and of the processor to convert the file, the largest resident memory
meanwhile (beside that of importing), the size of the cache, coverage by species, and how many
windows and columns are read per processor second by ``columns`` and ``frequencies``, and how many
bases in batches of training, with and without what other species have; with
``--biopython`` the processor seconds that ``Bio.Align`` needs to read the first thousand blocks,
beside ours for the same.

Alignments to try, installed and not part of the repository: the Debian package
``maffilter-examples`` (``apt-get download``, ``dpkg-deb -x``), 13 genomes of *Zymoseptoria* in
``Ztritici/tba_refIPO323.maf.gz`` (``--reference Ztritici_IPO323``).
"""

from __future__ import annotations

import argparse
import io
import itertools
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from Bio import Align

from benchmarks.memory import resident
from r2mae_bio._lines import open_lines
from r2mae_bio._rng import derive_generator
from r2mae_bio.dna.alignment._index import COLUMNS
from r2mae_bio.dna.alignment._maf import read_blocks
from r2mae_bio.dna.alignment._over_genome import AlignedColumns
from r2mae_bio.dna.fit._batch import WindowReader
from r2mae_bio.errors import MafError
from r2mae_bio.io import Alignment, Genome

if TYPE_CHECKING:
    from collections.abc import Callable

MIB = 1 << 20
N_COMPARED = 1000
BATCH = 64


def convert(path: Path, reference: str, folder: Path) -> Alignment:
    """Convert a file and print what it took."""
    before, wall, cpu = resident(), time.perf_counter(), time.process_time()
    alignment = Alignment(path, reference=reference, cache_dir=folder)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    stored = (alignment.cache / COLUMNS).stat()
    print(alignment)
    print(f"converted in {wall:.1f} s ({cpu:.1f} s of the processor), largest memory {resident() / MIB:.0f} MiB")
    print(f"  of which importing took {before / MIB:.0f} MiB")
    print(f"cache {stored.st_size / MIB:,.0f} MiB, on the disk {512 * stored.st_blocks / MIB:,.0f} MiB")
    wall = time.perf_counter()
    Alignment(path, reference=reference, cache_dir=folder)
    print(f"opened again in {1000 * (time.perf_counter() - wall):.1f} ms")
    print(alignment.coverage.round(4).to_string())
    return alignment


def read(alignment: Alignment, n: int, length: int) -> None:
    """Print how fast windows around positions in blocks are read, all of them in the page cache."""
    rng = derive_generator(0, "alignment benchmark")
    covered = np.flatnonzero(alignment._columns[:, 0])
    ends = np.cumsum(alignment.lengths)
    chosen = rng.choice(covered, n)
    contigs = np.searchsorted(ends, chosen, side="right")
    starts = (chosen - (ends - alignment.lengths)[contigs]).clip(0, (alignment.lengths - length)[contigs])
    names = [alignment.contigs[i] for i in contigs.tolist()]
    for name, function in (("columns", alignment.columns), ("frequencies", alignment.frequencies)):
        seconds = _seconds(function, names, starts.tolist(), length)
        print(f"{name}: {n / seconds:,.0f} windows/s of {length} bases, {n * length / seconds:,.0f} columns/s")


def _seconds(function: Callable, names: list[str], starts: list[int], length: int) -> float:
    begin = time.process_time()
    for name, start in zip(names, starts, strict=True):
        function(name, start, start + length)
    return time.process_time() - begin


def batches(alignment: Alignment, folder: Path, n: int, length: int) -> None:
    """Print how fast batches of training are read, on a genome of the letters of the reference."""
    letters, ends = alignment._columns[:, 0].copy(), np.cumsum(alignment.lengths)
    letters[letters == 0] = ord("N")
    parts = np.split(letters, ends[:-1])
    (folder / "reference.fa").write_bytes(
        b"".join(b">%s\n%s\n" % (c.encode(), p.tobytes()) for c, p in zip(alignment.contigs, parts, strict=True))
    )
    genome = Genome(folder / "reference.fa", cache_dir=folder)
    rng = derive_generator(0, "batches of an alignment")
    contig = rng.integers(0, len(genome.contigs), n)
    starts = genome.offsets[contig] + rng.integers(0, np.maximum(genome.lengths[contig] - length, 1))
    for name, columns in (("bases alone", None), ("with columns", AlignedColumns(alignment, genome))):
        reader = WindowReader(genome, length, columns=columns)
        for part in (starts, starts):  # the first brings the pages into memory
            begin = time.process_time()
            for first in range(0, n, BATCH):
                some = part[first : first + BATCH]
                reader.read(some, np.arange(some.size) % 2 == 1)
            seconds = time.process_time() - begin
        print(
            f"batches of {BATCH} windows of {length} bases, half of them turned, {name}: {n * length / seconds / 1e6:.1f} million bases/s"
        )


def compare(path: Path) -> None:
    """Print what reading the first blocks takes, by Biopython and by us."""
    begin = time.process_time()
    n = sum(len(block.rows) for block in itertools.islice(read_blocks(path), N_COMPARED))
    ours = time.process_time() - begin
    with open_lines(path, MafError) as lines:
        blocks = itertools.islice(lines, 5 * n)  # more lines than that many rows need; what follows is not read
        text = io.StringIO(b"".join(blocks).decode())
    begin = time.process_time()
    theirs = 0
    for alignment in itertools.islice(Align.parse(text, "maf"), N_COMPARED):
        theirs += len(alignment.sequences)
    seconds = time.process_time() - begin
    if theirs != n:
        raise SystemExit(f"Biopython reads {theirs} rows, we read {n}")
    print(f"{N_COMPARED} blocks of {n} rows: Biopython {seconds:.2f} s, ours {ours:.2f} s, {seconds / ours:.1f} times faster")


def main(arguments: list[str] | None = None) -> None:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path)
    parser.add_argument("--reference", required=True, help="species that the others are aligned to")
    parser.add_argument("--windows", type=int, default=20_000)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--biopython", action="store_true", help="compare with Bio.Align")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        alignment = convert(options.file, options.reference, Path(folder))
        read(alignment, options.windows, options.length)
        batches(alignment, Path(folder), options.windows, options.length)
    if options.biopython:
        compare(options.file)


if __name__ == "__main__":
    main()
