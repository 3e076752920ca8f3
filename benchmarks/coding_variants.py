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
KINDS = ("nonsense", "missense", "synonymous")
_ID = re.compile(r"(?:proteinId |protein_id=|Parent=)\"?([^;\"]+)")


def coding_positions(path: Path, chromosomes: set[str]) -> dict[str, tuple[str, str, list[int]]]:
    """Chromosome, strand and positions (from 0, in the order of translation) of the coding sequence
    of each gene of a GFF file, by its name."""
    pieces = defaultdict(list)
    with gzip.open(path, "rt") as stream:
        for line in stream:
            fields = line.rstrip("\n").split("\t")
            if len(fields) > 8 and fields[2] == "CDS" and fields[0] in chromosomes and (found := _ID.search(fields[8])):
                pieces[fields[0], fields[6], found[1]].append((int(fields[3]) - 1, int(fields[4])))
    genes = {}
    for (chrom, strand, name), spans in pieces.items():
        positions = [at for start, end in sorted(spans) for at in range(start, end)]
        genes[f"{chrom} {name}"] = chrom, strand, positions if strand == "+" else positions[::-1]
    return genes


def whole(codons: list[str]) -> bool:
    """Whether codons run from a start to a stop, with none between and no unknown base."""
    return (
        codons[0] == "ATG"
        and [PROTEIN.get(codon, "*") for codon in codons].index("*") == len(codons) - 1
        and codons[-1] in PROTEIN
    )


def changes(genome: Genome, genes: dict[str, tuple[str, str, list[int]]]) -> pd.DataFrame:
    """All changes of one base within the genes that are whole, without start and stop codons; one
    that does different things to two genes is left out."""
    rows = []
    for chrom, strand, positions in genes.values():
        if len(positions) < 9 or len(positions) % 3:
            continue
        first = min(positions)
        text = genome.fetch(chrom, first, max(positions) + 1).upper()
        bases = "".join(text[at - first] for at in positions)
        bases = bases if strand == "+" else bases.translate(COMPLEMENT)
        codons = [bases[i : i + 3] for i in range(0, len(bases), 3)]
        if set(bases) <= set("ACGT") and PROTEIN[codons[-1]] == "*" and whole(codons):
            rows += _changes_of(chrom, strand, positions, codons)
    table = pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt", "kind"]).drop_duplicates()
    return table[~table.duplicated(["chrom", "pos", "ref", "alt"], keep=False)].reset_index(drop=True)


def _changes_of(chrom: str, strand: str, positions: list[int], codons: list[str]) -> list[tuple[str, int, str, str, str]]:
    rows = []
    for c, codon in enumerate(codons[1:-1], 1):
        for i in range(3):
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
