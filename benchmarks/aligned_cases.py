"""Two alignments with genes: a fungus beside its relatives, and human chr22 beside three apes."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.coding_variants import changes, coding_positions, sample
from r2mae_bio.io import Alignment, Genome, split_genome

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = Path("/usr/share/doc/maffilter/examples")
Stretch = tuple[str, int, int]


class Setting(NamedTuple):
    """The files of a case, and what is held out."""

    data: Path
    """Folder where the alignment lies if no other is named."""
    maf: str
    """Pattern of the name of the alignment."""
    genes: str | None
    """Pattern of the name of the genes beside it; None if they come from elsewhere."""
    reference: str
    """Species that is read and changed."""
    validated: tuple[str, int, int | None]
    """Contig, start and end, None for that of the contig; what models are validated on."""
    scored: list[tuple[str, int, int | None]]
    """Where changes are drawn."""
    whole: bool
    """Changes in genes alone of which every base is known."""


SETTINGS = {
    "ztritici": Setting(
        EXAMPLES / "Ztritici", "tba_refIPO323.maf.gz", "*.gff.gz", "Ztritici_IPO323",
        ("chr_11", 0, None), [("chr_10", 0, None), ("chr_13", 0, None)], whole=True,
    ),
    "chr22": Setting(
        EXAMPLES / "Gorilla", "*.chr22.*.maf.gz", None, "Hsap",
        ("22", 32_000_000, 34_000_000), [("22", 24_000_000, 28_000_000), ("22", 38_000_000, 42_000_000)], whole=False,
    ),
}  # fmt: skip


class Case(NamedTuple):
    """What is trained on and asked."""

    genome: Genome
    alignment: Alignment
    split: Any
    table: pd.DataFrame
    own: np.ndarray
    """Which of the aligned are of the reference's own species, bool (S,)."""
    validated: Stretch
    scored: list[Stretch]

    @property
    def others(self) -> list[str]:
        """Aligned species that are not the reference's own."""
        return [name for name, own in zip(self.alignment.species, self.own, strict=True) if not own]

    @property
    def contigs(self) -> np.ndarray:
        """Contig of each change, as its position in the genome, (n,)."""
        return np.array([self.genome.contig_index(name) for name in self.table["chrom"]])


def write_reference(maf: Path, path: Path, reference: str) -> Path:
    """The sequence of the reference, case kept, N where no block lies; all its rows are of the plus
    strand."""
    contigs: dict[str, np.ndarray] = {}
    with gzip.open(maf, "rt") as stream:
        for line in stream:
            if line.startswith(f"s {reference}."):
                _, source, start, size, strand, length, text = line.split()
                assert strand == "+", line[:60]
                bases = contigs.setdefault(source.removeprefix(f"{reference}."), np.full(int(length), ord("N"), np.uint8))
                bases[int(start) : int(start) + int(size)] = np.frombuffer(text.replace("-", "").encode(), np.uint8)
    path.write_text("".join(f">{name}\n{bases.tobytes().decode()}\n" for name, bases in contigs.items()))
    return path


def open_case(setting: Setting, data: Path, genes: Path | None, folder: Path, n: int, *, gap: int) -> Case:
    """Split the genome, without ``gap`` bases beside what is held out, and draw ``n`` changes of
    each kind.
    """
    maf, genes = _first(data, setting.maf), genes or _first(data, setting.genes or "*.gff.gz")
    folder.mkdir(parents=True, exist_ok=True)
    fasta = folder / "reference.fa"
    genome = Genome(fasta if fasta.exists() else write_reference(maf, fasta, setting.reference), cache_dir=folder / "cache")
    alignment = Alignment(maf, reference=setting.reference, genome=genome, cache_dir=folder / "cache")
    validated, *scored = (
        (name, start, int(genome.lengths[genome.contig_index(name)]) if end is None else end)
        for name, start, end in [setting.validated, *setting.scored]
    )
    rest = split_genome(genome, validation=scored, gap=gap).to_json()["train"]
    split = split_genome(genome, train=rest, validation=[validated], gap=gap)
    every = changes(genome, coding_positions(genes, {name for name, _, _ in scored}), whole=setting.whole)
    every = every[np.any([inside(every, stretch) for stretch in scored], axis=0)].reset_index(drop=True)
    print(f"{len(every):,} changes: {every['kind'].value_counts().to_dict()}, {n} of each kind drawn", flush=True)
    own = np.array([name.split("_")[0] == setting.reference.split("_")[0] for name in alignment.species])
    return Case(genome, alignment, split, sample(every, n, seed=0), own, validated, scored)


def inside(table: pd.DataFrame, stretch: Stretch) -> np.ndarray:
    """Which rows lie on a stretch."""
    contig, start, end = stretch
    return ((table["chrom"] == contig) & (table["pos"] > start) & (table["pos"] <= end)).to_numpy()


def _first(data: Path, pattern: str) -> Path:
    """The first file of a name; without one, say where the data come from."""
    found = sorted(data.glob(pattern))
    if not found:
        message = (
            f"{data} holds no {pattern}; --data names the folder of the alignment, see python -m benchmarks.aligned_dna --help."
        )
        raise FileNotFoundError(message)
    return found[0]
