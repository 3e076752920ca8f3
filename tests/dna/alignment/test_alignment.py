"""Columns and frequencies of regions, coverage, and a state that travels."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from r2mae_bio.dna.alignment import _alignment
from r2mae_bio.dna.alignment._index import COLUMNS
from r2mae_bio.errors import CacheError, ConfigError, RegionError, UnknownContigError
from r2mae_bio.io import Alignment, Genome

from .conftest import block, shown

BLOCKS = (
    block("ref.chr1 1 4 + 8 ACGT", "a.1 0 4 + 4 ACGA", "b.1 0 3 + 4 A-GN", "c.1 0 4 + 4 TCGR"),
    block("ref.chr2 0 2 + 3 GG", "a.1 0 2 + 4 GG"),
)


@pytest.fixture
def alignment(opened) -> Alignment:
    return opened(*BLOCKS)


def test_columns_are_rows_of_species(alignment) -> None:
    columns = alignment.columns("chr1", 0, 6)
    assert (columns.dtype, columns.shape) == (np.uint8, (3, 6))
    assert columns.flags.owndata
    assert columns.flags.writeable
    assert shown(alignment, "chr1", 0, 6) == [".ACGA.", ".A-GN.", ".TCGR."]
    assert shown(alignment, "chr2", 0, 3) == ["GG.", "...", "..."]


def test_names_of_contigs(alignment) -> None:
    assert alignment.contigs == ("chr1", "chr2")
    assert alignment.lengths.tolist() == [8, 3]
    assert shown(alignment, "2", 0, 1) == shown(alignment, "chr2", 0, 1)
    with pytest.raises(UnknownContigError, match="no contig 'chr3'.*Did you mean"):
        alignment.columns("chr3", 0, 1)


@pytest.mark.parametrize(("start", "end"), [(-1, 2), (0, 9), (3, 3), (4, 2)])
@pytest.mark.parametrize("read", ["columns", "frequencies"])
def test_regions_off_the_contig(alignment, read, start, end) -> None:
    with pytest.raises(RegionError, match=rf"{start} to {end} does not lie on the contig 'chr1' of 8 bases"):
        getattr(alignment, read)("1", start, end)


def test_frequencies_count_letters_of_species_alone(alignment) -> None:
    found = alignment.frequencies("chr1", 0, 6, pseudo=0.25)
    counts = np.array([[0, 0, 0, 0], [2, 0, 0, 1], [0, 2, 0, 0], [0, 0, 3, 0], [1, 0, 0, 0], [0, 0, 0, 0]]) + 0.25
    assert found.dtype == np.float32
    assert np.allclose(found, counts / counts.sum(axis=1, keepdims=True), atol=1e-7)


def test_frequencies_of_long_regions_are_counted_in_parts(alignment, monkeypatch) -> None:
    whole = alignment.frequencies("chr1", 0, 8)
    monkeypatch.setattr(_alignment, "_AT_ONCE", 3)
    assert np.array_equal(alignment.frequencies("chr1", 0, 8), whole)


def test_a_reference_alone_says_nothing(opened) -> None:
    alignment = opened(block("ref.1 0 2 + 4 AC"))
    assert alignment.columns("1", 0, 4).shape == (0, 4)
    assert np.array_equal(alignment.frequencies("1", 0, 4), np.full((4, 4), 0.25, np.float32))
    assert alignment.coverage.empty


@pytest.mark.parametrize("pseudo", [0, -1, float("nan"), float("inf")])
def test_frequencies_need_a_pseudocount(alignment, pseudo) -> None:
    with pytest.raises(ConfigError, match="needed is a finite number above 0"):
        alignment.frequencies("chr1", 0, 2, pseudo=pseudo)


def test_coverage_by_species(alignment) -> None:
    table = alignment.coverage
    assert table.index.tolist() == ["a", "b", "c"]
    assert table["aligned"].tolist() == [6, 3, 4]
    assert table["gaps"].tolist() == [0, 1, 0]
    assert table["identical"].tolist() == [5, 2, 2]
    assert np.allclose(table["of_reference"], np.array([6, 3, 4]) / 11)
    assert np.allclose(table["of_blocks"], np.array([6, 3, 4]) / 6)
    assert np.allclose(table["identity"], [5 / 6, 2 / 3, 1 / 2])
    assert table.attrs == {"positions": 11, "in_blocks": 6, "blocks": 2, "overlapping": 0}
    assert repr(alignment) == "Alignment(ref with 3 species: 6 of 11 bases in 2 blocks)"


def test_the_state_is_small_and_plain(opened, tmp_path) -> None:
    (tmp_path / "ref.fa").write_text(">1\nNACGTNNN\n>2\nGGN\n")
    genome = Genome(tmp_path / "ref.fa", cache_dir=tmp_path / "genomes", aliases={"x": "1"})
    alignment = opened(*BLOCKS, genome=genome)
    before = alignment.__getstate__()
    text = shown(alignment, "x", 0, 8)
    assert alignment.__getstate__() == before
    assert set(map(type, before.values())) <= {str, list, Genome}
    again = copy.deepcopy(alignment)  # by the state, as in pickles
    assert again._map is None
    assert shown(again, "x", 0, 8) == text
    assert (again.sources, again.reference, again.contigs, again.cache) == (
        alignment.sources,
        "ref",
        ("1", "2"),
        alignment.cache,
    )
    assert again.coverage.equals(alignment.coverage)


def test_columns_that_went_after_opening(alignment) -> None:
    (alignment.cache / COLUMNS).unlink()
    with pytest.raises(CacheError, match=r"columns\.u8 cannot be read .*Open the alignment again"):
        alignment.columns("chr1", 0, 1)
