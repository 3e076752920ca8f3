"""A small alignment over a genome, and what its columns are, made without the package."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.io import Alignment

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.io import Genome

SPECIES = {"near": (0.03, 0.0), "middle": (0.15, 0.02), "far": (0.3, 0.05)}
"""Share of replaced bases and of gaps."""
CODES = {ord(letter): code for code, letter in enumerate("ACGTN-.")}
BLOCK, STEP = 180, 200
"""Bases of a block, and from one block to the next: between them nothing is aligned."""
COMPLEMENT = str.maketrans("ACGTN", "TGCAN")


def drawn(text: str, seed: int) -> dict[str, np.ndarray]:
    """Letters of each species under a text, without holes."""
    rng = np.random.default_rng(seed)
    bases = np.frombuffer(text.upper().encode(), np.uint8)
    rows = {}
    for name, (replaced, gaps) in SPECIES.items():
        letters = np.where(rng.random(bases.size) < replaced, rng.choice(np.frombuffer(b"ACGT", np.uint8), bases.size), bases)
        rows[name] = np.where(rng.random(bases.size) < gaps, np.uint8(ord("-")), letters)
    return rows


def write_alignment(
    folder: Path, genome: Genome, *, seed: int = 0, bare: bool = False
) -> tuple[Alignment, dict[str, np.ndarray]]:
    """An alignment over all of a genome, and the expected codes by contig, (length, species).

    Every third block is on the other strand of the reference, and lacks the species ``middle``.
    ``bare`` opens it without the genome.
    """
    blocks, expected = ["##maf version=1\n"], {}
    for i, contig in enumerate(genome.contigs):
        size = int(genome.lengths[i])
        text = genome.fetch(contig)
        rows = drawn(text, seed + i)
        expected[contig] = np.full((size, len(SPECIES)), CODES[ord(".")], np.uint8)
        for k, start in enumerate(range(0, size, STEP)):
            end, back = min(start + BLOCK, size), k % 3 == 2
            present = {"ref": text[start:end].upper()} | {
                s: rows[s][start:end].tobytes().decode() for s in rows if not (back and s == "middle")
            }
            blocks.append("a score=1\n")
            for species, letters in present.items():
                if species != "ref":
                    expected[contig][start:end, list(SPECIES).index(species)] = [CODES[ord(letter)] for letter in letters]
                shown = letters[::-1].translate(COMPLEMENT) if back else letters
                n, at, length = len(letters) - letters.count("-"), 0, 10**6
                if species == "ref":
                    at, length = (size - end if back else start), size
                blocks.append(f"s {species}.{contig} {at} {n} {'-' if back and species == 'ref' else '+'} {length} {shown}\n")
            blocks.append("\n")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.maf").write_text("".join(blocks))
    known = None if bare else genome
    return Alignment(folder / "toy.maf", reference="ref", genome=known, cache_dir=folder / "cache"), expected
