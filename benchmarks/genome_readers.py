"""What :mod:`benchmarks.genome_io` measures: genomes, and all ways to read windows of them."""

from __future__ import annotations

import bisect
import gzip
import sys
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from Bio import SeqIO, bgzf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from r2mae_bio.io import Genome

LENGTH, BATCH = 512, 256


# ---------------------------------------------------------------- genomes


class Files(NamedTuple):
    name: str
    plain: Path
    bgzip: Path
    truth: dict[str, np.ndarray]
    """Sequences in memory, parsed by Biopython."""


def prepare(name: str, text: bytes, folder: Path) -> Files:
    plain, packed = folder / f"{name}.fa", folder / f"{name}.fa.gz"
    plain.write_bytes(text)
    with bgzf.BgzfWriter(str(packed)) as out:
        out.write(text)
    with plain.open() as handle:
        truth = {record.id: np.frombuffer(bytes(record.seq), np.uint8) for record in SeqIO.parse(handle, "fasta")}
    return Files(name, plain, packed, truth)


def synthetic(n_contigs: int = 4, n_bases: int = 5_000_000, width: int = 60) -> bytes:
    """Lines of 60 bases, 45% of them in lower case in stretches of about 300, and runs of 1,000 N
    that make up 2%.
    """
    rng = np.random.default_rng(0)
    parts = []
    for i in range(n_contigs):
        bases = np.frombuffer(b"ACGT", np.uint8)[rng.integers(0, 4, n_bases)]
        lower = np.repeat(rng.random(n_bases // 300 + 1) < 0.45, 300)[:n_bases]
        bases = bases | (lower.astype(np.uint8) << 5)
        for start in rng.integers(0, n_bases - 1000, n_bases // 50_000):
            bases[start : start + 1000] = ord("N")
        lines = bases[: n_bases // width * width].reshape(-1, width)
        ends = np.full((len(lines), 1), ord("\n"), np.uint8)
        parts.append(f">chr{i + 1}\n".encode() + np.hstack([lines, ends]).tobytes() + bases[lines.size :].tobytes() + b"\n")
    return b"".join(parts)


def genomes(data: Path, folder: Path) -> Iterator[Files]:
    coli = data / "dna" / "ecoli_k12" / "genome.fa.gz"
    if coli.is_file():
        yield prepare("E. coli", gzip.decompress(coli.read_bytes()), folder)
    else:
        print(f"no {coli}; only the synthetic genome is measured", file=sys.stderr)
    yield prepare("synthetic", synthetic(), folder)


def draw(files: Files, n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Contig numbers and starts, uniform over all windows that lie on a contig."""
    rng = np.random.default_rng(seed)
    room = np.array([bases.size - LENGTH + 1 for bases in files.truth.values()])
    position = rng.integers(0, room.sum(), n)
    ends = np.cumsum(room)
    contig = np.searchsorted(ends, position, side="right")
    return contig, position - (ends - room)[contig]


def expected(files: Files, contig: np.ndarray, start: np.ndarray) -> np.ndarray:
    sequences = list(files.truth.values())
    return np.stack([sequences[c][s : s + LENGTH] for c, s in zip(contig.tolist(), start.tolist(), strict=True)])


# -------------------------------- readers: (contigs, starts) -> arrays of rows, or a str each


def in_batches(genome: Genome) -> Callable:
    def read(contig: np.ndarray, start: np.ndarray) -> list[np.ndarray]:
        n = start.size
        return [genome.windows(start[i : i + BATCH], LENGTH, contigs=contig[i : i + BATCH]) for i in range(0, n, BATCH)]

    return read


def one_by_one(files: Files, fetch: Callable[[str, int], str]) -> Callable:
    names = list(files.truth)

    def read(contig: np.ndarray, start: np.ndarray) -> list[str]:
        return [fetch(names[c], s) for c, s in zip(contig.tolist(), start.tolist(), strict=True)]

    return read


def bio_bgzf(files: Files, stack: ExitStack) -> Callable[[str, int], str]:
    """Seek by the place of a base in the text and by the place of each block."""
    with files.bgzip.open("rb") as raw:
        blocks = [(text, block) for block, _, text, size in bgzf.BgzfBlocks(raw) if size]
    texts = [text for text, _ in blocks]
    begin, at = {}, 0
    for line in files.plain.read_bytes().splitlines(keepends=True):
        if line.startswith(b">"):
            begin[line[1:].split()[0].decode()] = at + len(line)
        at += len(line)
    width = int((files.plain.parent / f"{files.plain.name}.fai").read_text().split("\t")[3])
    reader = stack.enter_context(bgzf.BgzfReader(str(files.bgzip)))

    def fetch(name: str, start: int) -> str:
        first, last = (begin[name] + p + p // width for p in (start, start + LENGTH - 1))
        i = bisect.bisect_right(texts, first) - 1
        reader.seek(bgzf.make_virtual_offset(blocks[i][1], first - texts[i]))
        return reader.read(last - first + 1).replace("\n", "")

    return fetch


def readers(files: Files, genome: Genome, stack: ExitStack) -> dict[str, Callable]:
    """All readers, opened; the stack closes them."""
    import pyfaidx

    opened = [
        (files.plain, {"as_raw": True}),
        (files.plain, {}),
        (files.bgzip, {"as_raw": True}),
    ]
    raw, sequences, packed = (stack.enter_context(pyfaidx.Fasta(str(path), **options)) for path, options in opened)
    index = stack.enter_context(closing(SeqIO.index(str(files.plain), "fasta")))
    fetchers = {
        "Genome.fetch, one by one": lambda name, s: genome.fetch(name, s, s + LENGTH),
        "pyfaidx plain, as_raw": lambda name, s: raw[name][s : s + LENGTH],
        "pyfaidx plain": lambda name, s: sequences[name][s : s + LENGTH].seq,
        "pyfaidx bgzip": lambda name, s: packed[name][s : s + LENGTH],
        "Bio.bgzf": bio_bgzf(files, stack),
        "SeqIO.index": lambda name, s: str(index[name].seq[s : s + LENGTH]),
    }
    return {"Genome.windows, batches": in_batches(genome), **{k: one_by_one(files, v) for k, v in fetchers.items()}}


def as_rows(read: list) -> np.ndarray:
    if isinstance(read[0], str):
        return np.frombuffer("".join(read).encode(), np.uint8).reshape(len(read), LENGTH)
    return np.concatenate(read)
