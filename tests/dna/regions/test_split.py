"""Intervals, splits and windows against a mask of the genome, one truth value per base."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from r2mae_bio._errors import BedError, ConfigError, DataError, RegionError, UnknownContigError
from r2mae_bio.dna.genome._kmers import canonical_words, known_words, word_numbers
from r2mae_bio.dna.regions._pieces import iter_codes
from r2mae_bio.io import (
    Genome,
    GenomeSplit,
    Intervals,
    WindowSampler,
    encode_bases,
    reverse_complement,
    shared_kmers,
    split_genome,
)

if TYPE_CHECKING:
    from pathlib import Path

LENGTHS = {"chr1": 4000, "chr2": 300, "ring": 700, "tiny": 20}
many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, bases: dict[str, str], name: str = "genome.fa") -> Path:
    path = folder / name
    path.write_text("".join(f">{contig}\n{letters}\n" for contig, letters in bases.items()))
    return path


def random_bases(rng: np.random.Generator, n: int, letters: str = "ACGT") -> str:
    return "".join(rng.choice(list(letters), n))


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng, folder = np.random.default_rng(5), tmp_path_factory.mktemp("plain")
    path = write(folder, {name: random_bases(rng, n) for name, n in LENGTHS.items()})
    return Genome(path, cache_dir=folder / "cache", circular=["ring"])


@pytest.fixture(scope="module")
def two_species(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    rng, folder = np.random.default_rng(6), tmp_path_factory.mktemp("species")
    big = write(folder, {f"c{i}": random_bases(rng, n) for i, n in enumerate((900, 500, 800, 300, 700))}, "big.fa")
    small = write(folder, {f"c{i}": random_bases(rng, n) for i, n in enumerate((200, 150))}, "small.fa")
    return Genome({"big": big, "small": small}, cache_dir=folder / "cache")


def mask_of(genome: Genome, intervals: Intervals) -> np.ndarray:
    mask = np.zeros(len(genome), bool)
    for contig, start, end in zip(intervals.contig, intervals.start, intervals.end, strict=True):
        mask[genome.offsets[contig] + start : genome.offsets[contig] + end] = True
    return mask


def naive_mask(genome: Genome, rows: list[tuple[int, int, int]]) -> np.ndarray:
    mask = np.zeros(len(genome), bool)
    for contig, start, end in rows:
        length = int(genome.lengths[contig])
        for position in range(start, end):
            if genome.is_circular[contig]:
                mask[genome.offsets[contig] + position % length] = True
            elif 0 <= position < length:
                mask[genome.offsets[contig] + position] = True
    return mask


# ---------------------------------------------------------------- intervals

stretches = st.lists(st.tuples(st.integers(0, 3), st.integers(-900, 1500), st.integers(0, 900)), max_size=6)


def made(genome: Genome, rows: list[tuple[int, int, int]]) -> tuple[Intervals, np.ndarray]:
    full = [(contig, start, start + n) for contig, start, n in rows]
    return Intervals.of(genome, *np.array(full, np.int64).reshape(-1, 3).T), naive_mask(genome, full)


@many
@example([(0, 5, 5), (0, 0, 5), (2, 690, 20), (2, 10, 5)])
@example([(2, -1, 700)])
@given(stretches)
def test_intervals_cover_their_bases_sorted_and_apart(genome, rows) -> None:
    intervals, mask = made(genome, rows)
    np.testing.assert_array_equal(mask_of(genome, intervals), mask)
    assert intervals.n_bases == mask.sum()
    assert (intervals.lengths > 0).all()
    assert (intervals.start >= 0).all()
    assert (intervals.end <= genome.lengths[intervals.contig]).all()
    same = np.diff(intervals.contig) == 0
    assert (np.diff(intervals.contig) >= 0).all()
    assert (intervals.start[1:] > intervals.end[:-1])[same].all()


@many
@given(stretches, stretches, st.integers(0, 50))
def test_set_operations_are_those_of_masks(genome, rows, others, by) -> None:
    (a, in_a), (b, in_b) = made(genome, rows), made(genome, others)
    np.testing.assert_array_equal(mask_of(genome, a.intersect(b)), in_a & in_b)
    np.testing.assert_array_equal(mask_of(genome, a.subtract(b)), in_a & ~in_b)
    wide = list(zip(a.contig.tolist(), (a.start - by).tolist(), (a.end + by).tolist(), strict=True))
    np.testing.assert_array_equal(mask_of(genome, a.widen(genome, by)), naive_mask(genome, wide))


def test_neighbouring_contigs_stay_apart(genome) -> None:
    whole = Intervals.whole(genome)
    assert whole.lengths.tolist() == list(LENGTHS.values())
    assert repr(whole) == "Intervals(4 intervals, 5,020 bases)"


def test_regions_lie_on_their_contigs(genome) -> None:
    ring = Intervals.from_regions(genome, [("ring", 650, 750), ("chr2", 0, 300)])
    assert [*zip(ring.contig, ring.start, ring.end, strict=True)] == [(1, 0, 300), (2, 0, 50), (2, 650, 700)]
    with pytest.raises(RegionError, match=r"Region 1, 250 to 301, .*'chr2' of 300 bases"):
        Intervals.from_regions(genome, [("chr1", 0, 4000), ("chr2", 250, 301)])
    with pytest.raises(RegionError, match="'ring' of 700"):
        Intervals.from_regions(genome, [("ring", 100, 801)])
    with pytest.raises(UnknownContigError, match="chr9"):
        Intervals.from_regions(genome, [("chr9", 0, 1)])


@pytest.mark.parametrize(("before", "piece"), [(0, 64), (7, 64), (63, 64), (100, 1), (3, 10_000)])
def test_pieces_hold_every_base_once_after_its_context(genome, before, piece) -> None:
    intervals = Intervals.from_regions(genome, [("chr1", 30, 400), ("ring", 600, 800), ("tiny", 0, 20)])
    read = [np.zeros(0, np.uint8) for _ in range(len(intervals))]
    for i, at, codes in iter_codes(genome, intervals, before=before, piece=piece):
        assert at == intervals.start[i] + read[i].size
        context = np.concatenate([np.full(before, 4, np.uint8), read[i]])[read[i].size :]
        np.testing.assert_array_equal(codes[:before], context)
        assert 0 < codes.size - before <= piece
        read[i] = np.concatenate([read[i], codes[before:]])
    for contig, start, end, codes in zip(intervals.contig, intervals.start, intervals.end, read, strict=True):
        np.testing.assert_array_equal(codes, encode_bases(genome.fetch(genome.contigs[contig], int(start), int(end))))


# ---------------------------------------------------------------- splits


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


# ---------------------------------------------------------------- words


@many
@given(st.text("ACGTN", min_size=1, max_size=80), st.integers(1, 32))
@example("T" * 33, 32)
def test_words_are_numbers_of_their_letters(bases, k) -> None:
    codes = encode_bases(bases)
    if len(bases) < k:
        return
    words = [bases[i : i + k] for i in range(len(bases) - k + 1)]
    known = ["N" not in word for word in words]
    np.testing.assert_array_equal(known_words(codes, k), known)

    def number(word: str) -> int:
        return int(word.translate(str.maketrans("ACGT", "0123")), 4)

    expected = [min(number(w), number(reverse_complement(w))) for w, ok in zip(words, known, strict=True) if ok]
    assert canonical_words(codes, k)[known].tolist() == expected


@given(st.lists(st.integers(0, 4), min_size=9, max_size=40), st.integers(1, 9))
def test_words_of_another_alphabet(letters, k) -> None:
    numbers = word_numbers(np.array([letters, letters[::-1]], np.uint8), k, base=5, dtype=np.int32)
    for row, source in zip(numbers, (letters, letters[::-1]), strict=True):
        assert row.tolist() == [int("".join(map(str, source[i : i + k])), 5) for i in range(len(source) - k + 1)]


def naive_shared(genome: Genome, split: GenomeSplit, k: int) -> dict[str, tuple[int, int]]:
    def words(part: Intervals):
        for contig, start, end in zip(part.contig, part.start, part.end, strict=True):
            text = genome.fetch(genome.contigs[contig], int(start), int(end)).upper()
            yield from (
                (genome.contigs[contig], text[i : i + k]) for i in range(len(text) - k + 1) if set(text[i : i + k]) <= set("ACGT")
            )

    known = {w for _, word in words(split.train) for w in (word, reverse_complement(word))}
    counts: dict[str, tuple[int, int]] = {}
    for contig, word in words(split.validation):
        n, shared = counts.get(contig, (0, 0))
        counts[contig] = n + 1, shared + (word in known)
    return counts


@pytest.mark.parametrize("k", [1, 4, 5, 6, 24])
@pytest.mark.parametrize("validation", [0.2, ["chr2", "ring"], [("chr1", 100, 130), ("chr1", 140, 900), ("tiny", 0, 3)]])
def test_shared_words_are_those_of_sets(genome, validation, k) -> None:
    split = split_genome(genome, validation=validation, min_block=50)
    report = shared_kmers(genome, split, k=k)
    expected = naive_shared(genome, split, k)
    assert report.by_contig == expected
    assert report.n_kmers == sum(n for n, _ in expected.values())
    assert report.share == sum(s for _, s in expected.values()) / report.n_kmers
    assert json.loads(json.dumps(report.to_json()))["share"] == report.share


def test_copies_are_found_on_either_strand_and_n_breaks_words(tmp_path) -> None:
    rng = np.random.default_rng(0)
    a, b, c = (random_bases(rng, 400) for _ in range(3))
    path = write(tmp_path, {"train": a + "N" + b, "same": a.lower(), "turned": reverse_complement(b), "new": c + "NN" + a[:23]})
    genome = Genome(path, cache_dir=tmp_path / "cache")
    report = shared_kmers(genome, split_genome(genome, validation=["same", "turned", "new"]))
    assert report.by_contig == {"same": (377, 377), "turned": (377, 377), "new": (377, 0)}
    sampled = shared_kmers(genome, split_genome(genome, validation=["same", "turned", "new"]), sample=100)
    assert 80 <= sampled.n_kmers <= 100
    assert sampled.share == pytest.approx(2 / 3, abs=0.05)


def test_a_sample_is_every_so_many_places(genome) -> None:
    sizes = [10, 9, 12, 9, 10, 11, 9, 13] * 4
    regions = [("chr1", 50 * i, 50 * i + n) for i, n in enumerate(sizes)]
    split = split_genome(genome, validation=regions)
    for step in (2, 5, 7, 11):
        ends = np.concatenate([np.arange(n) for n in sizes])[::step]  # of words, counted along all held-out bases
        assert shared_kmers(genome, split, k=9, sample=-(-sum(sizes) // step)).n_kmers == (ends >= 8).sum()


def test_words_that_cannot_be_looked_up(genome) -> None:
    split = split_genome(genome, validation=["chr2"])
    for k in (0, 33, 2.0, True):
        with pytest.raises(ConfigError, match="from 1 to 32"):
            shared_kmers(genome, split, k=k)
    with pytest.raises(ConfigError, match="sample=0"):
        shared_kmers(genome, split, sample=0)
    with pytest.raises(DataError, match="no word of 24"):
        shared_kmers(genome, split_genome(genome, validation=["tiny"]))


# ---------------------------------------------------------------- windows


def naive_starts(genome: Genome, intervals: Intervals, length: int) -> list[int]:
    text = "".join(genome.fetch(c) for c in genome.contigs)
    return [
        int(genome.offsets[contig]) + start
        for contig, first, last in zip(intervals.contig, intervals.start, intervals.end, strict=True)
        for start in range(first, last - length + 1)
        if 2 * sum(text[genome.offsets[contig] + start + i] in "ACGTacgt" for i in range(length)) >= length
    ]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from("ACGTaNRn"), st.integers(1, 12)), min_size=1, max_size=14),
    st.integers(1, 13),
    st.integers(0, 99),
)
def test_windows_start_wherever_half_their_bases_are_known(tmp_path_factory, stretches, length, seed) -> None:
    folder = tmp_path_factory.mktemp("n")
    bases = "".join(letter * n for letter, n in stretches)
    genome = Genome(write(folder, {"a": bases, "b": "ACGTNNNNNNNNNNNNNNAC"}), cache_dir=folder / "cache", circular=["a"])
    cut = len(bases) // 2
    intervals = Intervals.of(genome, [0, 0, 1], [0, cut + 3, 0], [cut, len(bases), 20])
    allowed = naive_starts(genome, intervals, length)
    if not allowed:
        with pytest.raises(DataError):
            WindowSampler(genome, intervals, length)
        return
    sampler = WindowSampler(genome, intervals, length)
    assert sampler.n_starts == len(allowed)
    assert sampler.n_too_short == (intervals.lengths < length).sum()
    drawn = sampler.draw(40 * len(allowed) + 200, np.random.default_rng(seed))
    assert drawn.dtype == np.int64
    assert set(drawn.tolist()) == set(allowed)  # missing one has a probability below 1e-16
    tiles = [
        t
        for contig, first, last in zip(intervals.contig, intervals.start, intervals.end, strict=True)
        for t in range(int(genome.offsets[contig]) + int(first), int(genome.offsets[contig]) + int(last) - length + 1, length)
        if t in set(allowed)
    ]
    assert sampler.tiles().tolist() == tiles


def test_starts_are_uniform(genome) -> None:
    intervals = Intervals.from_regions(genome, [("chr1", 0, 130), ("chr1", 500, 620), ("chr2", 7, 207), ("tiny", 0, 20)])
    sampler = WindowSampler(genome, intervals, 100)
    allowed = np.array(naive_starts(genome, intervals, 100))
    drawn = sampler.draw(200 * allowed.size, np.random.default_rng(1))
    assert stats.chisquare(np.bincount(np.searchsorted(allowed, drawn))).pvalue > 1e-4
    long = WindowSampler(genome, Intervals.from_regions(genome, [("chr1", 0, 4000)]), 16)
    assert stats.kstest(long.draw(20_000, np.random.default_rng(2)) / 3985, "uniform").pvalue > 1e-4
    assert sampler.n_too_short == 1


def test_no_window_leaves_its_interval_or_goes_round(genome) -> None:
    split = split_genome(genome, validation=0.3, min_block=50)
    for part in (split.train, split.validation):
        inside = mask_of(genome, part)
        sampler = WindowSampler(genome, part, 50)
        starts = np.concatenate([sampler.draw(5000, np.random.default_rng(3)), sampler.tiles()])
        positions = starts[:, None] + np.arange(50)
        assert inside[positions].all()
        contig = np.searchsorted(genome.offsets, positions, side="right")
        assert (contig == contig[:, :1]).all()


def test_species_get_their_weights_and_else_their_length(two_species) -> None:
    whole = Intervals.whole(two_species)
    is_small = two_species.offsets[5]
    for weights, expected in (
        (None, (101 + 51) / (101 + 51 + 801 + 401 + 701 + 201 + 601)),
        ({"big": 1, "small": 3}, 0.75),
        ({"big": 2.0, "small": 0}, 0.0),
        ({"big": 0, "small": 0.1}, 1.0),
    ):
        sampler = WindowSampler(two_species, whole, 100, species_weights=weights)
        drawn = sampler.draw(20_000, np.random.default_rng(4))
        n_small = int((drawn >= is_small).sum())
        assert abs(n_small - expected * 20_000) <= 5 * np.sqrt(20_000 * expected * (1 - expected))
        allowed = np.array(naive_starts(two_species, whole, 100))
        for of_species in (allowed[allowed < is_small], allowed[allowed >= is_small]):
            mine = drawn[np.isin(drawn, of_species)]
            if mine.size:
                assert stats.kstest(np.searchsorted(of_species, mine) / of_species.size, "uniform").pvalue > 1e-4


def test_draws_depend_on_the_generator_alone(genome) -> None:
    sampler = WindowSampler(genome, Intervals.whole(genome), 64)
    first, again, other = (sampler.draw(100, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    assert sampler.draw(0, np.random.default_rng(1)).size == 0


def test_windows_that_cannot_be(genome, two_species, tmp_path) -> None:
    with pytest.raises(DataError, match=r"longest of 4 intervals has 4000 bases; needed is one window of 4001"):
        WindowSampler(genome, Intervals.whole(genome), 4001)
    with pytest.raises(DataError, match="no interval"):
        WindowSampler(genome, split_genome(genome, validation=0).validation, 10)
    for length in (0, -5, 2.5):
        with pytest.raises(DataError, match="no length"):
            WindowSampler(genome, Intervals.whole(genome), length)
    for weights in ({"big": 1}, {"big": 1, "small": 1, "huge": 1}, {"big": 0, "small": 0}, {"big": -1, "small": 2}, {}):
        with pytest.raises(ConfigError, match="species_weights"):
            WindowSampler(two_species, Intervals.whole(two_species), 100, species_weights=weights)
    unknown = Genome(write(tmp_path, {"n": "N" * 60 + "ACGT" * 5}), cache_dir=tmp_path / "cache")
    with pytest.raises(DataError, match="more than half unknown"):
        WindowSampler(unknown, Intervals.of(unknown, [0], [0], [65]), 20)
