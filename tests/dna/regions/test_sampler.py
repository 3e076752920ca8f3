"""Windows drawn from intervals: where they start, how often, from which species."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import stats

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.io import (
    Genome,
    Intervals,
    WindowSampler,
    split_genome,
)

from .conftest import mask_of, write


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
