"""Words that training and held-out parts share, against sets."""

from __future__ import annotations

import json

import numpy as np
import pytest

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.io import (
    Genome,
    GenomeSplit,
    Intervals,
    reverse_complement,
    shared_kmers,
    split_genome,
)

from .conftest import random_bases, write


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
