"""A genome as the reference of variants, by other names."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from r2mae_bio.io import (
    Genome,
    GenomeReference,
    classify_alleles,
    read_variants,
)

if TYPE_CHECKING:
    from pathlib import Path


def _batch(rows: list[tuple]):
    (batch,) = read_variants(pd.DataFrame(rows, columns=["chrom", "pos", "ref", "alt"]))
    return batch


def test_a_genome_knows_contigs_by_other_names(tmp_path: Path) -> None:
    (tmp_path / "genome.fa").write_text(">chr1\nACGTNacgtRAC\n>chrM\nGG\n")
    reference = GenomeReference(Genome(tmp_path / "genome.fa", cache_dir=tmp_path / "cache"))
    assert dict(reference.contig_lengths) == {"chr1": 12, "chrM": 2}
    batch = _batch([("1", 6, "A", "C"), ("chr1", 5, "A", "C"), ("MT", 1, "GG", "G"), ("2", 1, "A", "C"), ("1", 12, "A", "C")])
    for fast in (reference.bases, None):
        found = classify_alleles(batch, reference.fetch, contig_lengths=reference.contig_lengths, reference_bases=fast)
        assert found.tolist() == ["ok", "ambiguous_base", "ok", "off_contig", "ref_mismatch"]
