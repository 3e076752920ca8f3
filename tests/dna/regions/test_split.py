"""Splits of a genome against a mask of it, one truth value per base."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from r2mae_bio._errors import BedError, ConfigError, RegionError, UnknownContigError
from r2mae_bio.io import (
    Genome,
    GenomeSplit,
    split_genome,
)

from .conftest import LENGTHS, mask_of, naive_mask


def check_parts(genome: Genome, split: GenomeSplit) -> tuple[np.ndarray, np.ndarray]:
    train, held = mask_of(genome, split.train), mask_of(genome, split.validation)
    assert not (train & held).any()
    return train, held


def test_blocks_are_the_ends_of_long_contigs(genome) -> None:
    split = split_genome(genome, validation=0.2, min_block=100)
    train, held = check_parts(genome, split)
    assert (train | held).all()
    rows = [(0, 3200, 4000), (2, 560, 700)]  # a fifth of chr2 is 60 bases, of tiny 4
    np.testing.assert_array_equal(held, naive_mask(genome, rows))
    assert split.rule == "the last 20% of each contig"


def test_a_block_is_a_share_of_the_regions_to_train_on(genome) -> None:
    regions = [("chr1", 0, 100), ("chr1", 500, 600), ("chr1", 3000, 3100), ("chr2", 10, 20)]
    split = split_genome(genome, train=regions, validation=0.5, min_block=20)
    np.testing.assert_array_equal(mask_of(genome, split.validation), naive_mask(genome, [(0, 550, 600), (0, 3000, 3100)]))
    np.testing.assert_array_equal(mask_of(genome, split.train), naive_mask(genome, [(0, 0, 100), (0, 500, 550), (1, 10, 20)]))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.7, 0.95])
def test_drawn_contigs_come_near_the_share_in_each_species(two_species, share) -> None:
    seen = set()
    for seed in range(20):
        split = split_genome(two_species, validation=share, by="contig", min_block=1, seed=seed)
        train, held = check_parts(two_species, split)
        assert (train | held).all()
        held_contigs = np.unique(split.validation.contig)
        np.testing.assert_array_equal(split.validation.lengths, two_species.lengths[held_contigs])
        for first, last in ((0, 5), (5, 7)):
            lengths = two_species.lengths[first:last]
            chosen = lengths[np.isin(np.arange(first, last), held_contigs)]
            assert 0 < chosen.size < lengths.size
            assert abs(chosen.sum() - share * lengths.sum()) <= lengths.max()
        seen.add(tuple(held_contigs))
        again = split_genome(two_species, validation=share, by="contig", min_block=1, seed=seed)
        assert again.to_json() == split.to_json()
    assert len(seen) > 1


def test_named_contigs_and_regions(genome, tmp_path) -> None:
    expected = naive_mask(genome, [(1, 0, 300)])
    for validation in ("chr2", ["2"], [("chr2", 0, 300)]):
        train, held = check_parts(genome, split_genome(genome, validation=validation))
        np.testing.assert_array_equal(held, expected)
        np.testing.assert_array_equal(train, ~expected)
    rows = [("chr1", 5, 50), ("ring", 690, 710)]
    bed = tmp_path / "held.bed"
    bed.write_text("".join(f"{c}\t{s}\t{e}\n" for c, s, e in rows))
    table = pd.DataFrame(rows, columns=["chrom", "start", "end"])
    records = [split_genome(genome, validation=v).to_json() for v in (rows, bed, str(bed), table)]
    assert all(record == records[0] for record in records)
    held = mask_of(genome, split_genome(genome, validation=rows).validation)
    np.testing.assert_array_equal(held, naive_mask(genome, [(0, 5, 50), (2, 690, 710)]))


def test_a_gap_keeps_training_away_also_over_the_origin(genome) -> None:
    rows = [("chr1", 100, 200), ("ring", 680, 700)]
    train, held = check_parts(genome, split_genome(genome, validation=rows, gap=30))
    np.testing.assert_array_equal(held, naive_mask(genome, [(0, 100, 200), (2, 680, 700)]))
    np.testing.assert_array_equal(~train, naive_mask(genome, [(0, 70, 230), (2, 650, 730)]))


def test_held_out_wins_over_regions_to_train_on(genome) -> None:
    split = split_genome(genome, validation=["chr2"], train=[("chr2", 0, 300), ("chr1", 0, 9)])
    np.testing.assert_array_equal(mask_of(genome, split.train), naive_mask(genome, [(0, 0, 9)]))


def test_contigs_to_train_on_may_be_named(genome) -> None:
    split = split_genome(genome, train=["ring", "chr1"], validation=0.2, min_block=100)
    np.testing.assert_array_equal(mask_of(genome, split.train), naive_mask(genome, [(0, 0, 3200), (2, 0, 560)]))
    np.testing.assert_array_equal(mask_of(genome, split.validation), naive_mask(genome, [(0, 3200, 4000), (2, 560, 700)]))


@pytest.mark.parametrize("nothing", [0, 0.0, None])
def test_nothing_may_be_held_out(genome, nothing) -> None:
    split = split_genome(genome, validation=nothing)
    assert len(split.validation) == 0
    assert split.train.n_bases == len(genome)


def test_a_split_survives_json(genome) -> None:
    for validation in (0.2, 0, ["ring"]):
        split = split_genome(genome, validation=validation, min_block=100, gap=7)
        again = GenomeSplit.from_json(genome, json.loads(json.dumps(split.to_json())))
        assert repr(again) == repr(split)
        for part in ("train", "validation"):
            np.testing.assert_array_equal(mask_of(genome, getattr(again, part)), mask_of(genome, getattr(split, part)))


def test_a_split_of_another_genome_is_refused(genome, two_species) -> None:
    with pytest.raises(RegionError):
        GenomeSplit.from_json(two_species, split_genome(genome, validation=["chr2"]).to_json())


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"validation": list(LENGTHS)}, ConfigError, "Nothing is left to train on: 5020 bases"),
        ({"validation": ["chr1"], "train": [("chr1", 0, 9)]}, ConfigError, "Nothing is left"),
        ({"validation": 0.1, "min_block": 401}, ConfigError, r"last 10%.*4000 bases, of which that is 400.*by='contig'"),
        ({"validation": 0.1, "by": "contig", "min_block": 9999}, ConfigError, "No contig can be held out whole"),
        ({"validation": ["chr7"]}, UnknownContigError, "chr7"),
        ({"validation": "chr7"}, UnknownContigError, "chr7"),
        ({"validation": "missing.bed"}, (BedError, FileNotFoundError), "missing.bed"),
        ({"validation": [("chr1", 3990, 4001)]}, RegionError, "4000 bases"),
        ({"train": [("chr1", 3990, 4001)]}, RegionError, "4000 bases"),
        ({"validation": 1.0}, ConfigError, "share"),
        ({"validation": -0.1}, ConfigError, "share"),
        ({"validation": True}, ConfigError, "share"),
        ({"by": "gene"}, ConfigError, "'block' or 'contig'"),
        ({"gap": -1}, ConfigError, "gap=-1"),
    ],
)
def test_splits_that_cannot_be(genome, settings, error, words) -> None:
    with pytest.raises(error, match=words):
        split_genome(genome, **settings)
