"""Columns over the reference: gaps, overlaps, several rows, and the same as Biopython reads."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.dna.alignment import _convert
from r2mae_bio.dna.alignment._maf import read_blocks
from r2mae_bio.errors import ConfigError, MafError
from r2mae_bio.io import Alignment

from .conftest import N_POSITIONS, block, columns_by_biopython, drawn_maf, shown

TWICE = (
    block("ref.1 2 4 + 12 ACGT", "b.1 0 4 + 9 CCCC"),
    block("ref.1 4 5 + 12 GTAAA", "c.1 0 4 + 9 G-GGG"),
)


def test_gaps_and_what_is_not_aligned_are_told_apart(opened) -> None:
    alignment = opened(block("ref.1 2 4 + 12 AC--GT", "b.1 0 5 + 9 a-ttgN"), block("ref.1 8 2 + 12 AC", "c.1 0 2 + 9 AC"))
    assert alignment.species == ("b", "c")
    assert shown(alignment, "1", 0, 12) == ["..A-GN......", "........AC.."]


@pytest.mark.parametrize(
    ("overlaps", "b", "c"), [("first", "..CCCC......", "......GGG..."), ("last", "..CC........", "....G-GGG...")]
)
def test_overlapping_blocks(opened, overlaps, b, c) -> None:
    alignment = opened(*TWICE, overlaps=overlaps)
    assert shown(alignment, "1", 0, 12) == [b, c]
    coverage = alignment.coverage
    assert coverage.attrs == {"positions": 12, "in_blocks": 7, "blocks": 2, "overlapping": 2}
    assert coverage["aligned"].tolist() == [sum(x.isalpha() for x in text) for text in (b, c)]
    assert coverage["gaps"].tolist() == [b.count("-"), c.count("-")]
    reference = "..ACGTAAA..."
    assert coverage["identical"].tolist() == [
        sum(x == y and x.isalpha() for x, y in zip(text, reference, strict=True)) for text in (b, c)
    ]


def test_overlaps_may_be_an_error(opened) -> None:
    with pytest.raises(MafError, match=r"block 2 \(line 6\): position 5 of 1 is in a block before"):
        opened(*TWICE, overlaps="error")
    with pytest.raises(ConfigError, match="needed is 'first', 'last' or 'error'"):
        opened(*TWICE, overlaps="both")


def test_several_files_and_overlaps_between_them(write, tmp_path) -> None:
    paths = [write(text, name=f"{i}.maf") for i, text in enumerate(TWICE)]
    for order, b, c in ((paths, "..CCCC...", "......GGG"), (paths[::-1], "..CC.....", "....G-GGG")):
        alignment = Alignment(order, reference="ref", cache_dir=tmp_path)
        assert dict(zip(alignment.species, shown(alignment, "1", 0, 9), strict=True)) == {"b": b, "c": c}


def test_the_first_of_several_rows_is_kept_and_the_others_counted(opened) -> None:
    alignment = opened(
        block("ref.1 2 2 + 12 AC", "b.1 0 2 + 9 GG", "b.2 0 2 + 9 TT", "ref.1 6 2 + 12 AC", "c.1 0 2 + 9 TT"),
        block("ref.1 8 2 + 12 AC", "b.2 0 2 + 9 TT"),
    )
    assert shown(alignment, "1", 0, 12) == ["..GG....TT..", "..TT........"]
    assert alignment.coverage["repeated_rows"].tolist() == [1, 0]


def test_a_reference_alone_covers(opened) -> None:
    alignment = opened(block("ref.1 2 2 + 12 AC"), block("ref.1 0 9 + 12 ACGTACGTA", "b.1 0 9 + 9 ACGTACGTA"))
    assert shown(alignment, "1", 0, 9) == ["AC..ACGTA"]


def test_a_file_without_blocks(opened) -> None:
    with pytest.raises(MafError, match=r"toy\.maf holds no block.*rows of 'ref'"):
        opened()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("at_once", [7, _convert._AT_ONCE])
def test_the_same_as_biopython_reads(write, tmp_path, monkeypatch, seed, at_once) -> None:
    """Either strand, blocks written in parts or whole."""
    monkeypatch.setattr(_convert, "_AT_ONCE", at_once)
    path = write(head=drawn_maf(seed))
    alignment = Alignment(path, reference="ref.1", cache_dir=tmp_path / str(at_once))
    assert sorted(alignment.species) == ["a", "b", "c"]
    columns = alignment.columns("chr1", 0, N_POSITIONS)
    for row, name in zip(columns, alignment.species, strict=True):
        assert np.array_equal(row, columns_by_biopython(path, "ref.1.chr1", name, N_POSITIONS))
    letters = columns > ord(".")
    assert alignment.coverage["aligned"].tolist() == letters.sum(axis=1).tolist()
    assert alignment.coverage["gaps"].tolist() == (columns == ord("-")).sum(axis=1).tolist()


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "reference", "contig"),
    [("ENr334-100k", "hg18", "chr6"), ("chr1_100k_4way", "hg18", "chr1"), ("sol1", "sol1", "chr2")],
)
def test_real_alignments_agree_with_biopython(shared_data, tmp_path, name, reference, contig) -> None:
    path = shared_data / "dna" / "maf_encode" / f"{name}.maf.gz"
    alignment = Alignment(path, reference=reference, cache_dir=tmp_path)
    assert alignment.contigs == (contig,)
    first = next(read_blocks(path)).rows[0].start
    n_positions = min(100_000, int(alignment.lengths[0]) - first)
    truth = np.stack(
        [columns_by_biopython(path, f"{reference}.{contig}", name, n_positions, first) for name in alignment.species]
    )
    assert np.isin(truth, list(b".-ACGTN")).all()
    for start in np.random.default_rng(1).integers(0, n_positions - 100, 500).tolist():
        assert np.array_equal(alignment.columns(contig, first + start, first + start + 100), truth[:, start : start + 100])
