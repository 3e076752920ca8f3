"""``pl.spectrum``: what is drawn is what was found."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import SetupError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def data(programmes=4, n=300, **settings):
    rng = np.random.default_rng(0)
    activity = rng.gamma(1.0, 1.0, (n, 4)) if programmes else np.ones((n, 4))
    adata = ad.AnnData(rng.poisson(1 + 5 * np.repeat(activity, 10, axis=1)).astype(np.float32))
    rb.tl.spectrum(adata, **settings)
    return adata, adata.uns["r2mae"][settings.get("key_added", "spectrum")]


def drawn(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def test_curves_are_the_eigenvalues_in_falling_order():
    adata, record = data()
    ax = rb.pl.spectrum(adata)
    lines = drawn(ax)
    np.testing.assert_allclose(lines["sample"][:, 1], record["sample_values"][::-1])
    np.testing.assert_array_equal(lines["sample"][:, 0], np.arange(1, 41))
    np.testing.assert_allclose(lines[f"shrunk by {record['shrinkage']:.2g}"][:, 1], record["values"][::-1])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlabel() == "rank"


def test_spikes_edge_and_decay_are_marked_and_named():
    adata, record = data()
    k = record["n_spikes"]
    assert k >= 3
    ax = rb.pl.spectrum(adata)
    lines = drawn(ax)
    spikes = lines[f"{k} above the noise"]
    assert len(spikes) == k
    assert (spikes[:, 1] > record["edge"]).all()
    assert lines[f"edge of the noise, {record['edge']:.2f}"][0, 1] == record["edge"]
    law = next(xy for label, xy in lines.items() if "alpha" in label)
    slope = np.diff(np.log(law[:, 1])) / np.diff(np.log(law[:, 0]))
    assert slope == pytest.approx(-record["decay"]["exponent"])
    assert any("300 cells, 40 genes" in t.get_text() and "effective rank" in t.get_text() for t in ax.texts)


def test_without_programmes_or_shrinkage_nothing_is_marked():
    adata, record = data(programmes=0, shrinkage=None, key_added="plain")
    assert record["n_spikes"] == 0
    labels = drawn(rb.pl.spectrum(adata, key="plain"))
    assert len(labels) == 2
    assert "sample" in labels


def test_zero_eigenvalues_do_not_stretch_the_axis():
    adata, record = data(n=20, shrinkage=None)
    assert record["sample_values"].min() < 1e-10
    assert rb.pl.spectrum(adata).get_ylim()[0] > 1e-3


def test_given_axes_are_used_and_a_missing_spectrum_is_named():
    adata, _ = data()
    ax = plt.subplots()[1]
    assert rb.pl.spectrum(adata, ax=ax) is ax
    with pytest.raises(SetupError, match=r"no spectrum 'other'.*there are \['spectrum'\].*key_added='other'"):
        rb.pl.spectrum(adata, key="other")
    with pytest.raises(SetupError, match=r"Call tl\.spectrum"):
        rb.pl.spectrum(ad.AnnData(np.ones((2, 2))))
