"""``pl.dependency_map``: what is drawn is what the table says."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, SetupError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def make(n):
    values = np.random.default_rng(0).random((n, n))
    np.fill_diagonal(values, np.nan)
    table = pd.DataFrame(values, index=np.arange(n) + 1000, columns=np.arange(n) + 1000)
    table.attrs.update(region=f"chr1:1000-{999 + n}", reference="ACGT" * (n // 4))
    return table


def test_values_letters_and_region():
    table = make(8)
    ax = rb.pl.dependency_map(table, vmax=0.5)
    shown = ax.images[0].get_array()
    np.testing.assert_array_equal(shown.filled(np.nan), table.to_numpy())
    assert ax.images[0].get_clim() == (0, 0.5)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == list("ACGTACGT")
    assert ax.get_title(loc="left") == "chr1:1000-1007"


def test_many_bases_are_labelled_by_positions():
    ax = rb.pl.dependency_map(make(100), ax=plt.subplots()[1], title="")
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["1,000", "1,024", "1,049", "1,074", "1,099"]
    assert ax.get_title(loc="left") == ""


def test_what_cannot_be_drawn():
    with pytest.raises(SetupError, match=r"\(2, 1\)"):
        rb.pl.dependency_map(pd.DataFrame([[1.0], [2.0]]))
    with pytest.raises(SetupError, match="no number"):
        rb.pl.dependency_map(pd.DataFrame([[np.nan]]))
    with pytest.raises(ConfigError, match="vmax=-1"):
        rb.pl.dependency_map(make(4), vmax=-1)
