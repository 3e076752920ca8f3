"""Every change of one base in the coding sequence of genes, by what it does to the protein."""

from __future__ import annotations

import gzip
import re
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from Bio.Data.CodonTable import standard_dna_table

from r2mae_bio._rng import derive_generator

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.io import Genome

COMPLEMENT = str.maketrans("ACGT", "TGCA")
PROTEIN = dict(standard_dna_table.forward_table) | dict.fromkeys(standard_dna_table.stop_codons, "*")
UNKNOWN = "?"
KINDS = ("nonsense", "missense", "synonymous")
_ID = re.compile(r"(?:proteinId |protein_id=|Parent=|transcript_id )\"?([^;\"]+)")


def coding_positions(path: Path, chromosomes: set[str]) -> dict[str, tuple[str, str, list[int]]]:
    """Chromosome, strand and positions (from 0, in the order of translation) of the coding sequence
    of each gene of a GFF or GTF file, or of each transcript, by its name. Names of chromosomes may
    begin with "chr"; GTF files have stop codons beside the coding sequence, which they end.
    """
    pieces = defaultdict(set)
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt") as stream:
        for line in stream:
            fields = line.rstrip("\n").split("\t")
            if len(fields) < 9 or fields[2] not in ("CDS", "stop_codon") or not (found := _ID.search(fields[8])):
                continue
            chrom = fields[0] if fields[0] in chromosomes else fields[0].removeprefix("chr")
            if chrom in chromosomes:
                pieces[chrom, fields[6], found[1]].update(range(int(fields[3]) - 1, int(fields[4])))
    return {
        f"{chrom} {name}": (chrom, strand, sorted(positions, reverse=strand == "-"))
        for (chrom, strand, name), positions in pieces.items()
    }


def reads_through(codons: list[str]) -> bool:
    """Whether codons run from a start to a stop with none between, as far as they are known."""
    acids = [PROTEIN.get(codon, UNKNOWN) for codon in codons]
    return acids[0] in ("M", UNKNOWN) and acids[-1] in ("*", UNKNOWN) and "*" not in acids[:-1]


def codons_of(genome: Genome, chrom: str, strand: str, positions: list[int]) -> list[str]:
    """Codons at positions in the order of translation; none if they do not divide by three."""
    if len(positions) < 9 or len(positions) % 3:
        return []
    first = min(positions)
    text = genome.fetch(chrom, first, max(positions) + 1).upper()
    bases = "".join(text[at - first] for at in positions)
    bases = bases if strand == "+" else bases.translate(COMPLEMENT)
    return [bases[i : i + 3] for i in range(0, len(bases), 3)]


def changes(genome: Genome, genes: dict[str, tuple[str, str, list[int]]], *, whole: bool = True) -> pd.DataFrame:
    """All changes of one base within the genes that read through, without start and stop codons;
    one that does different things to two genes is left out.

    ``whole=False`` also takes the known codons of genes of which some are not.
    """
    rows = []
    for chrom, strand, positions in genes.values():
        codons = codons_of(genome, chrom, strand, positions)
        if codons and reads_through(codons) and not (whole and any(codon not in PROTEIN for codon in codons)):
            rows += _changes_of(chrom, strand, positions, codons)
    table = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "kind"]).drop_duplicates()
    return table[~table.duplicated(["chrom", "pos", "ref", "alt"], keep=False)].reset_index(drop=True)


def _changes_of(chrom: str, strand: str, positions: list[int], codons: list[str]) -> list[tuple[str, int, str, str, str]]:
    rows = []
    for c, codon in enumerate(codons[1:-1], 1):
        for i in range(3 if codon in PROTEIN else 0):
            for base in "ACGT".replace(codon[i], ""):
                before, after = PROTEIN[codon], PROTEIN[codon[:i] + base + codon[i + 1 :]]
                kind = "synonymous" if before == after else "nonsense" if after == "*" else "missense"
                ref, alt = (codon[i], base) if strand == "+" else (codon[i].translate(COMPLEMENT), base.translate(COMPLEMENT))
                rows.append((chrom, positions[3 * c + i] + 1, ref, alt, kind))
    return rows


def sample(table: pd.DataFrame, n: int, *, seed: int) -> pd.DataFrame:
    """As many of each kind, drawn at random, in the order of the genome."""
    rng = derive_generator(seed, "coding variants")
    drawn = [rng.choice(np.flatnonzero(table["kind"] == kind), n, replace=False) for kind in KINDS]
    return table.iloc[np.sort(np.concatenate(drawn))].reset_index(drop=True)
