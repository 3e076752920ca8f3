"""Many windows at once are slices of the sequences, also beyond the ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from r2mae_bio._errors import (
    ConfigError,
    DataError,
    RegionError,
)

from .conftest import as_read, text


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_windows_are_slices(genome, truth, data) -> None:
    """From global positions and from positions on contigs, on either strand."""
    length = data.draw(st.integers(1, 30))
    names = data.draw(st.lists(st.sampled_from([name for name in truth if len(truth[name]) >= length]), max_size=6))
    starts = np.array([data.draw(st.integers(0, len(truth[name]) - length)) for name in names], np.int32)
    reverse = np.array(data.draw(st.lists(st.booleans(), min_size=len(names), max_size=len(names))), bool)
    contigs = np.array([genome.contig_index(name) for name in names], np.int64)
    expected = [as_read(truth[n][s : s + length], r) for n, s, r in zip(names, starts, reverse, strict=True)]
    on_contigs = genome.windows(starts, length, contigs=contigs, reverse=reverse)
    assert on_contigs.shape == (len(names), length)
    assert on_contigs.dtype == np.uint8
    assert text(on_contigs) == expected
    assert text(genome.windows(genome.offsets[contigs] + starts, length, reverse=reverse)) == expected


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_windows_beyond_the_ends(circles, truth, data) -> None:
    """A linear contig goes on in N, a circle goes round, and a window longer than a circle goes on
    in N as well.
    """
    length = data.draw(st.integers(1, 40))
    names = data.draw(st.lists(st.sampled_from(list(truth)), min_size=1, max_size=6))
    starts = [data.draw(st.integers(-60, 300)) for _ in names]
    contigs = [circles.contig_index(name) for name in names]

    def expected(name: str, start: int) -> str:
        bases, n = truth[name], len(truth[name])
        if name in ("chrM", "NC_000913.3") and length <= n:
            return "".join(bases[i % n] for i in range(start, start + length))
        return "".join(bases[i] if 0 <= i < n else "N" for i in range(start, start + length))

    rows = text(circles.windows(starts, length, contigs=contigs, outside="N"))
    assert rows == [expected(name, start) for name, start in zip(names, starts, strict=True)]


def test_windows_belong_to_the_caller(genome, truth) -> None:
    rows = genome.windows([0, 0, 5], 8, contigs=0)
    rows[:] = 0
    assert text(genome.windows([0], 8)) == [truth["chr1"][:8]]


@pytest.mark.parametrize(
    ("starts", "length", "options", "error", "match"),
    [
        ([0, 205], 10, {}, RegionError, "Window 1: 205 to 215 does not lie on the contig 'chr1' of 211"),
        ([0, -1], 10, {"contigs": 1}, RegionError, "Window 1: -1 to 9"),
        ([0], 65, {"contigs": 1}, RegionError, "0 to 65"),
        ([-1], 5, {}, RegionError, "global start is -1; needed are numbers from 0 to 309"),
        ([310], 1, {}, RegionError, "global start is 310"),
        ([0], 5, {"contigs": [4]}, RegionError, "contig number is 4"),
        ([0], 5, {"contigs": -1}, RegionError, "contig number is -1"),
        ([0.0], 5, {}, DataError, "starts has shape .* float64"),
        ([[0]], 5, {}, DataError, "starts has shape"),
        ([True], 5, {}, DataError, "bool"),
        ([0, 1], 5, {"contigs": [0]}, DataError, "contigs has shape"),
        ([0], 5, {"contigs": "chr1"}, DataError, "contigs has shape"),
        ([0], 0, {}, DataError, "length=0"),
        ([0], 5.0, {}, DataError, "length=5.0"),
        ([0], 5, {"outside": "pad"}, ConfigError, "outside='pad'"),
        ([0], 5, {"reverse": [1]}, DataError, "reverse has shape"),
        ([0], 5, {"reverse": [True, False]}, DataError, "reverse has shape"),
    ],
)
def test_windows_refuse_misuse(genome, starts, length, options, error, match) -> None:
    with pytest.raises(error, match=match):
        genome.windows(starts, length, **options)


def test_no_windows(genome) -> None:
    assert genome.windows([], 9).shape == (0, 9)
    assert genome.windows(np.empty(0, np.int64), 10**6, contigs=0).shape == (0, 10**6)
