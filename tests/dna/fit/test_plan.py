"""How many species are hidden along with a base."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio.dna.fit._plan import BatchPlace, DrawnWindows, HiddenColumns, choose_hidden_columns
from r2mae_bio.errors import ConfigError
from r2mae_bio.io import Intervals, WindowSampler

S, N = 5, 6000


def test_clades_are_drawn_evenly_and_whole_columns_in_half_of_the_windows() -> None:
    clades = HiddenColumns(S, whole=False).draw(N, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(clades, minlength=S + 1) / N, 1 / (S + 1), atol=0.02)
    whole = HiddenColumns(S, whole=True).draw(N, np.random.default_rng(0))
    assert set(whole.tolist()) == {0, S}
    assert (whole == S).mean() == pytest.approx(0.5, abs=0.03)


def test_the_draw_is_part_of_the_plan_and_leaves_windows_as_they_are(upper) -> None:
    sampler = WindowSampler(upper, Intervals.whole(upper), 32)
    plain, hiding = DrawnWindows(sampler, 16, 64), DrawnWindows(sampler, 16, 64, hidden_columns=HiddenColumns(S, whole=False))
    a, b, again = plain.place(3, 1, 2), hiding.place(3, 1, 2), hiding.place(3, 1, 2)
    np.testing.assert_array_equal(a.starts, b.starts)
    np.testing.assert_array_equal(a.reverse, b.reverse)
    np.testing.assert_array_equal(b.n_hidden, again.n_hidden)
    assert a.n_hidden is None
    assert isinstance(part := b[1::2], BatchPlace)
    np.testing.assert_array_equal(part.n_hidden, b.n_hidden[1::2])


def test_names_are_checked() -> None:
    assert choose_hidden_columns("none", 0) is None
    assert choose_hidden_columns("whole", S) == HiddenColumns(S, whole=True)
    assert choose_hidden_columns("clades", S) == HiddenColumns(S, whole=False)
    with pytest.raises(ConfigError, match="needed is 'none', 'clades' or 'whole'"):
        choose_hidden_columns("columns", S)
    with pytest.raises(ConfigError, match="without an alignment"):
        choose_hidden_columns("clades", 0)
