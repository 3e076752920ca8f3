"""Columns by where windows lie on a genome, against those written into the file."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.dna.alignment._over_genome import AlignedColumns
from r2mae_bio.errors import SetupError
from r2mae_bio.io import Genome

from ..toy_alignment import SPECIES, write_alignment

L, UNALIGNED, A, T = 30, 6, 0, 3


def write_genome(folder, contigs, **options):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "genome.fa").write_text("".join(f">{name}\n{text}\n" for name, text in contigs.items()))
    return Genome(folder / "genome.fa", cache_dir=folder / "cache", **options)


@pytest.fixture(scope="module")
def texts():
    rng = np.random.default_rng(1)
    return {name: "".join(rng.choice(list("ACGT"), n)) for name, n in (("chr1", 1500), ("chr2", 700))}


@pytest.fixture(scope="module")
def case(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("aligned")
    genome = write_genome(folder, texts)
    return genome, *write_alignment(folder, genome)


def test_windows_are_the_columns_of_their_places(case):
    genome, alignment, expected = case
    columns = AlignedColumns(alignment, genome)
    assert columns.species == tuple(SPECIES)
    everything = np.concatenate([expected[name] for name in genome.contigs])
    starts = np.array([0, 170, 1470, 1500, 2170])
    found = columns.windows(starts, L)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, [everything[s : s + L] for s in starts])
    np.testing.assert_array_equal(columns.windows(np.array([40]), L, contigs=1)[0], expected["chr2"][40 : 40 + L])
    assert (everything == UNALIGNED).any(), "else the case says nothing of what is not aligned"


def test_the_other_strand_is_turned_round_and_complemented(case):
    genome, alignment, expected = case
    found = AlignedColumns(alignment, genome).windows(np.array([100, 400]), L, reverse=np.array([True, False]))
    forward = expected["chr1"]
    turned = forward[100 : 100 + L][::-1]
    np.testing.assert_array_equal(found[0], np.where(turned <= T, T - turned, turned))
    np.testing.assert_array_equal(found[1], forward[400 : 400 + L])


def test_beyond_the_ends_nothing_is_aligned(case):
    genome, alignment, expected = case
    columns = AlignedColumns(alignment, genome)
    found = columns.windows(np.array([-10, 5, 1490]), L, contigs=np.array([0, 0, 0]))
    np.testing.assert_array_equal(found[0, 10:], expected["chr1"][: L - 10])
    np.testing.assert_array_equal(found[1], expected["chr1"][5 : 5 + L])
    np.testing.assert_array_equal(found[2, :10], expected["chr1"][1490:])
    assert (found[0, :10] == UNALIGNED).all()
    assert (found[2, 10:] == UNALIGNED).all()
    at = columns.at(np.array([[0, 1], [0, 1]]), np.array([[3, 4], [-1, 700]]))
    np.testing.assert_array_equal(at[0], [expected["chr1"][3], expected["chr2"][4]])
    assert (at[1] == UNALIGNED).all()


def test_a_circle_goes_round(tmp_path, texts):
    genome = write_genome(tmp_path, texts, circular=["chr2"])
    alignment, expected = write_alignment(tmp_path, genome)
    found = AlignedColumns(alignment, genome).windows(np.array([690]), L, contigs=1)[0]
    np.testing.assert_array_equal(found, np.concatenate([expected["chr2"][690:], expected["chr2"][: L - 10]]))


def test_species_are_chosen_by_name(case):
    genome, alignment, expected = case
    columns = AlignedColumns(alignment, genome, ["far", "near"])
    np.testing.assert_array_equal(columns.windows(np.array([7]), L)[0], expected["chr1"][7 : 7 + L][:, [2, 0]])
    assert AlignedColumns(alignment, genome).nearness().tolist() == [0, 1, 2]
    assert columns.nearness().tolist() == [1, 0]
    with pytest.raises(SetupError, match="1 of 2 species are not in .* mouse; it has near, middle, far"):
        AlignedColumns(alignment, genome, ["near", "mouse"])


def test_contigs_are_found_by_name_and_others_are_not_aligned(case, tmp_path, texts):
    """A genome with a further contig, another order and other names."""
    _, alignment, expected = case
    more = write_genome(tmp_path, {"2": texts["chr2"], "3": texts["chr1"][::-1], "1": texts["chr1"]})
    columns = AlignedColumns(alignment, more)
    found = columns.windows(np.array([12, 12, 12]), L, contigs=np.arange(3))
    np.testing.assert_array_equal(found[0], expected["chr2"][12 : 12 + L])
    assert (found[1] == UNALIGNED).all()
    np.testing.assert_array_equal(found[2], expected["chr1"][12 : 12 + L])


def test_of_a_genome_of_several_species_the_reference_is_meant(tmp_path, texts, case):
    _, alignment, expected = case
    paths = {}
    for species in ("mouse", "ref"):
        paths[species] = tmp_path / f"{species}.fa"
        paths[species].write_text("".join(f">{name}\n{text}\n" for name, text in texts.items()))
    both = Genome(paths, cache_dir=tmp_path / "cache")
    found = AlignedColumns(alignment, both).windows(np.full(4, 20), L, contigs=np.arange(4))
    assert (found[:2] == UNALIGNED).all()
    np.testing.assert_array_equal(found[2], expected["chr1"][20 : 20 + L])


def test_another_assembly_is_refused(case, tmp_path, texts):
    _, alignment, _ = case
    longer = write_genome(tmp_path / "longer", {"chr1": texts["chr1"] + "A"})
    with pytest.raises(SetupError, match="has 1,501 bases in the genome and 1,500"):
        AlignedColumns(alignment, longer)
    other = write_genome(tmp_path / "other", {"chr1": texts["chr1"][::-1]})
    with pytest.raises(SetupError, match="letters of the reference"):
        AlignedColumns(alignment, other)
    elsewhere = write_genome(tmp_path / "elsewhere", {"plasmid": texts["chr1"]})
    with pytest.raises(SetupError, match="None of the contigs"):
        AlignedColumns(alignment, elsewhere)


def test_an_alignment_without_a_genome_serves_as_well(case, tmp_path):
    genome, _, expected = case
    bare, _ = write_alignment(tmp_path, genome, bare=True)
    np.testing.assert_array_equal(AlignedColumns(bare, genome).windows(np.array([1510]), L)[0], expected["chr2"][10 : 10 + L])
