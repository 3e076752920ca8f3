"""Neutral sites: which may be drawn, how often, and the same ones again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from r2mae_bio.dna.scoring import _neutral_sites
from r2mae_bio.dna.scoring._neutral_sites import describe_sites, draw_sites
from r2mae_bio.errors import ConfigError, DataError

from .conftest import CHROM, CIRCLE, open_genome

if TYPE_CHECKING:
    from pathlib import Path

    from r2mae_bio.io import Genome


@pytest.fixture(scope="module")
def genome(tmp_path_factory: pytest.TempPathFactory) -> Genome:
    return open_genome(tmp_path_factory.mktemp("genome"), {"chr1": CHROM, "ring": CIRCLE, "short": "ACGT"})


def draw(genome: Genome, **options: Any) -> Any:
    return draw_sites(genome, **{"neutral": None, "exclude": None, "margin": 0, "n_sites": 10**6, "seed": 0, **options})


def test_soft_masked_sites_are_lower_case_with_known_neighbours(genome: Genome) -> None:
    found = draw(genome, neutral="soft-masked")
    expected = [i for i in range(2, len(CHROM) - 2) if CHROM[i].islower() and not set(CHROM[i - 2 : i + 3].upper()) & {"N"}]
    assert found.position.tolist() == expected
    assert set(found.contig.tolist()) == {0}
    assert found.n_available == len(expected)


def test_regions_and_what_is_left_out(genome: Genome, tmp_path: Path) -> None:
    found = draw(genome, neutral=[("chr1", 100, 120), ("ring", 0, 10)])
    assert list(zip(found.contig.tolist(), found.position.tolist(), strict=True)) == [
        *((0, i) for i in range(100, 120)),
        *((1, i) for i in range(2, 10)),
    ]
    (tmp_path / "genes.gff3").write_text("chr1\t.\tgene\t106\t110\t.\t+\t.\tID=a\nchr1\t.\tregion\t1\t400\t.\t+\t.\tID=b\n")
    regions = {"neutral": [("chr1", 100, 120)]}
    kept = draw(genome, **regions, exclude=tmp_path / "genes.gff3").position.tolist()
    assert kept == [*range(100, 105), *range(110, 120)]
    assert draw(genome, **regions, exclude=[("chr1", 105, 110)], margin=3).position.tolist() == [100, 101, *range(113, 120)]


def test_a_draw_is_a_sample_without_replacement_that_can_be_had_again(genome: Genome) -> None:
    every = draw(genome)
    one, again, other = (draw(genome, n_sites=50, seed=seed) for seed in (1, 1, 2))
    places = [set(zip(s.contig.tolist(), s.position.tolist(), strict=True)) for s in (one, again, other)]
    assert len(places[0]) == 50
    assert places[0] == places[1] != places[2]
    assert one.n_available == every.n_available == len(every.position)
    counts = np.zeros(len(CHROM))
    for seed in range(100):
        sites = draw(genome, n_sites=20, seed=seed)
        np.add.at(counts, sites.position[sites.contig == 0], 1)
    usable = every.position[every.contig == 0]
    expected = 100 * 20 / every.n_available
    assert counts[usable].sum() == counts.sum()
    statistic = ((counts[usable] - expected) ** 2 / expected).mean()  # chi square by its degrees of freedom
    assert abs(statistic - 1) < 5 * np.sqrt(2 / usable.size)


def test_pieces_do_not_change_which_sites_there_are(genome: Genome, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = draw(genome)
    monkeypatch.setattr(_neutral_sites, "_PIECE", 7)
    pieces = draw(genome)
    assert pieces.position.tolist() == whole.position.tolist()
    assert pieces.contig.tolist() == whole.contig.tolist()


def test_nothing_to_draw_from_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    genome = open_genome(tmp_path, {"chr1": CHROM.upper()})
    with pytest.raises(DataError, match="repeats are not marked"):
        draw(genome, neutral="soft-masked")
    with pytest.raises(DataError, match="two known ones"):
        draw(genome, neutral=[("chr1", 0, 2)])
    for options in ({"n_sites": 0}, {"margin": -1}):
        with pytest.raises(ConfigError, match="n_sites is"):
            draw(genome, **options)


def test_what_was_neutral_is_said_in_words() -> None:
    assert describe_sites("soft-masked", None, 0) == "soft-masked"
    assert describe_sites(None, "genes.gff3", 500) == "all but for features and 500 bp around them"
    assert describe_sites([("a", 1, 2)], [("a", 1, 2)], 5) == "regions but for regions and 5 bp around them"
