"""``pl.risk_curve``: what is drawn is what was recommended."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, SetupError


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def advice():
    """Three times as many cells as genes: the peak is among the ratios."""
    eigen = rb.theory.decompose(rb.theory.programme_covariance(24, 3, seed=1))
    return rb.theory.recommend(eigen, n=72, panel=0.25, masks="single", calibrated=True)


@pytest.fixture
def adata(advice):
    data = ad.AnnData(np.ones((2, 2), np.float32))
    data.uns["r2mae"] = {"mask_ratio": advice.to_uns()}
    return data


def drawn(ax):
    return {line.get_label(): line.get_xydata() for line in ax.lines}


def test_axes_are_named(adata):
    ax = rb.pl.risk_curve(adata)
    assert ax.get_xlabel() == "mask ratio in training"
    assert ax.get_ylabel() == "error / variance of a gene"
    assert ax.get_title() == "cells measured in full"
    assert rb.pl.risk_curve(adata, scenario="panel").get_title() == "cells measured on 25% of the genes"
    assert ax.get_xlim() == (0, 1)
    assert 1 < ax.get_ylim()[1] <= 2


@pytest.mark.parametrize("name", ["full", "panel"])
def test_curves_are_those_of_the_scenario(adata, advice, name):
    curve = advice.full.curve if name == "full" else advice.on_panel.curve
    lines = drawn(rb.pl.risk_curve(adata, scenario=name))
    floor = next(label for label in lines if label.startswith("floor"))
    for label, values in (("total", curve.error), ("bias", curve.bias), ("variance", curve.variance), (floor, curve.floor)):
        np.testing.assert_array_equal(lines[label], np.column_stack([curve.ratios, values]))
    assert any(len(xy) == 1 and np.allclose(xy, [[curve.best, curve.least]]) for xy in lines.values())


@pytest.mark.parametrize("name", ["full", "panel"])
def test_the_law_is_drawn_at_its_own_error(adata, advice, name):
    scenario = advice.full if name == "full" else advice.on_panel
    low, high = advice.law
    ax = rb.pl.risk_curve(adata, scenario=name)
    label = next(x for x in drawn(ax) if x.startswith("Uniform"))
    assert label.startswith(f"Uniform({low:g}, {high:g})")
    assert f"{advice.cost[name]:+.1%}" in label
    assert f"{scenario.curve.best:.2f}" in label
    law_error = scenario.curve.least * (1 + advice.cost[name])
    np.testing.assert_allclose(drawn(ax)[label], [[low, law_error], [high, law_error]])
    assert label in [t.get_text() for t in ax.get_legend().get_texts()]


def test_the_peak_is_marked_where_there_is_one(adata, advice):
    ax = rb.pl.risk_curve(adata)
    label = next(x for x in drawn(ax) if x.startswith("peak"))
    assert drawn(ax)[label][0, 0] == pytest.approx(23 / 72)
    assert advice.full.curve.near_peak.any()
    hatched = next(p for p in ax.patches if p.get_hatch()).get_extents().transformed(ax.transData.inverted())
    spoilt = advice.full.curve.ratios[advice.full.curve.near_peak]
    assert hatched.x0 < spoilt.min() <= spoilt.max() < hatched.x1

    stored = adata.uns["r2mae"]["mask_ratio"]
    stored["peak"] = 1.4
    stored["full"]["near_peak"] = np.zeros_like(stored["full"]["near_peak"])
    ax = rb.pl.risk_curve(adata)
    assert not [x for x in drawn(ax) if x.startswith("peak")]
    assert not [p for p in ax.patches if p.get_hatch()]


def test_measured_points_are_drawn_with_two_standard_errors(adata):
    ax = rb.pl.risk_curve(adata, points=[(0.2, 0.5, 0.01), (0.6, 0.4, 0.02)])
    (bars,) = ax.containers
    np.testing.assert_allclose(bars[0].get_xydata(), [[0.2, 0.5], [0.6, 0.4]])
    segments = bars[2][0].get_segments()
    np.testing.assert_allclose([s[:, 1] for s in segments], [[0.48, 0.52], [0.36, 0.44]])
    assert not rb.pl.risk_curve(adata).containers


def test_what_was_returned_and_what_was_stored_draw_alike(adata, advice):
    adata.uns["r2mae"]["again"] = adata.uns["r2mae"].pop("mask_ratio")
    a, b = drawn(rb.pl.risk_curve(advice)), drawn(rb.pl.risk_curve(adata, key="again"))
    assert list(a) == list(b)
    for label, xy in a.items():
        np.testing.assert_array_equal(xy, b[label])


def test_given_axes_are_used(adata):
    ax = plt.subplots()[1]
    assert rb.pl.risk_curve(adata, ax=ax) is ax
    assert len(plt.get_fignums()) == 1


def test_an_unknown_scenario_is_refused(adata):
    with pytest.raises(ConfigError, match="scenario is 'both'; needed is 'full' or 'panel'"):
        rb.pl.risk_curve(adata, scenario="both")
    assert not plt.get_fignums()


def test_a_missing_recommendation_is_named(adata):
    with pytest.raises(SetupError, match=r"'other'.*is missing; call tl\.recommend_mask_ratio"):
        rb.pl.risk_curve(adata, key="other")
    with pytest.raises(SetupError, match=r"call tl\.recommend_mask_ratio"):
        rb.pl.risk_curve(ad.AnnData(np.ones((2, 2))))
