"""Intervals and their set operations against a mask of the genome."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import RegionError, UnknownContigError
from r2mae_bio.io import (
    Genome,
    Intervals,
)

from .conftest import LENGTHS, mask_of, naive_mask, stretches

many = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


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
