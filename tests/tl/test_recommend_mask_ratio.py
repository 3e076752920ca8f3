"""``tl.recommend_mask_ratio``: what is written, every kind of storage, refusals that write
nothing.
"""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, LogTransformedError, NegativeCountsError, SetupError

D = 14


def make_counts(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    activity = rng.gamma(2.0, 1.0, (60, 2))
    return rng.poisson(rng.gamma(4, 0.5, (60, 1)) * (0.5 + np.repeat(activity, D // 2, axis=1)))


def cells(matrix) -> ad.AnnData:
    data = ad.AnnData(matrix)
    data.var_names = [f"G{i}" for i in range(data.n_vars)]
    return data


@pytest.fixture(scope="module")
def counts():
    return make_counts()


@pytest.fixture
def adata(counts):
    return cells(sparse.csr_matrix(counts.astype(np.float32)))


@pytest.fixture(scope="module")
def expected(counts):
    """What the theory says of the same counts."""
    return rb.theory.recommend_mask_ratio(counts, panel=0.3, n_bootstrap=0)


def assert_same(a, b, rtol=1e-6, law=True):
    assert a.law == b.law or not law
    assert a.cost == pytest.approx(b.cost, rel=rtol, abs=rtol) or not law
    for name in ("full", "on_panel"):
        np.testing.assert_allclose(getattr(a, name).curve.error, getattr(b, name).curve.error, rtol=rtol)


def test_it_writes_what_it_returns_and_survives_h5ad(adata, tmp_path):
    adata.uns["r2mae"] = {"setup": {"layer": ""}}
    advice = rb.tl.recommend_mask_ratio(adata, panel=0.3, n_cells=90, n_bootstrap=2)
    assert (advice.n_cells, advice.n_genes, advice.panel) == (90, D, 0.3)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    for data in (adata, ad.read_h5ad(tmp_path / "cells.h5ad")):
        assert set(data.uns["r2mae"]) == {"setup", "mask_ratio"}
        stored = data.uns["r2mae"]["mask_ratio"]
        assert set(stored) == set(advice.to_uns())
        assert stored["verdict"] == advice.verdict
        np.testing.assert_array_equal(stored["law"], advice.law)
        np.testing.assert_array_equal(stored["compromise"], advice.compromise)
        for name in ("n_cells", "n_genes", "peak", "effective_rank", "masks", "evidence"):
            assert stored[name] == getattr(advice, name)
        for name, scenario in (("full", advice.full), ("panel", advice.on_panel)):
            assert stored["cost"][name] == advice.cost[name]
            assert stored[name]["best"] == scenario.curve.best
            np.testing.assert_array_equal(stored[name]["interval"], scenario.interval)
            for part in ("ratios", "error", "bias", "variance", "floor", "near_peak", "heavy_tailed"):
                np.testing.assert_array_equal(stored[name][part], getattr(scenario.curve, part))
        for name, values in advice.bootstrap.items():
            np.testing.assert_array_equal(stored["bootstrap"][name], values)
        lines = {line.get_label(): line for line in rb.pl.risk_curve(data, scenario="panel").lines}
        np.testing.assert_array_equal(lines["total"].get_ydata(), advice.on_panel.curve.error)
        plt.close("all")


def test_advice_without_a_bootstrap_survives_h5ad_too(adata, expected, tmp_path):
    adata.uns["r2mae"] = {"mask_ratio": expected.to_uns()}
    adata.write_h5ad(tmp_path / "cells.h5ad")
    data = ad.read_h5ad(tmp_path / "cells.h5ad")
    assert len(data.uns["r2mae"]["mask_ratio"]["bootstrap"]) == 0
    assert rb.pl.risk_curve(data).get_title() == "cells measured in full"
    plt.close("all")


def test_layer_and_key(adata, expected):
    adata.layers["raw"] = adata.X.copy()
    adata.X = np.zeros(adata.shape, np.float32)
    adata.uns["r2mae"] = {"mask_ratio": {"law": np.array([0.0, 1.0])}}
    found = rb.tl.recommend_mask_ratio(adata, layer="raw", panel=0.3, n_bootstrap=0, key_added="again")
    assert_same(found, expected)
    assert set(adata.uns["r2mae"]) == {"mask_ratio", "again"}
    np.testing.assert_array_equal(adata.uns["r2mae"]["mask_ratio"]["law"], [0, 1])


@pytest.mark.parametrize("kind", ["dense", "csc", "uint16"])
def test_storage_does_not_matter(counts, expected, kind):
    matrix = {
        "dense": lambda: counts.astype(float),
        "csc": lambda: sparse.csc_matrix(counts.astype(float)),
        "uint16": lambda: sparse.csr_matrix(counts.astype(np.uint16)),
    }[kind]()
    assert_same(rb.tl.recommend_mask_ratio(cells(matrix), panel=0.3, n_bootstrap=0), expected)


@pytest.mark.parametrize("as_matrix", [sparse.csr_matrix, np.asarray])
def test_backed_data_are_read(counts, expected, as_matrix, tmp_path):
    cells(as_matrix(counts.astype(np.float32))).write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    assert_same(rb.tl.recommend_mask_ratio(backed, panel=0.3, n_bootstrap=0), expected)
    backed.file.close()


def test_the_order_of_genes_does_not_matter(counts, expected):
    order = np.random.default_rng(0).permutation(D)
    moved = rb.tl.recommend_mask_ratio(cells(counts[:, order].astype(np.float32)), panel=0.3, n_bootstrap=0)
    assert_same(moved, expected)


def test_the_order_of_cells_moves_folds_alone(counts, expected):
    turned = cells(counts[::-1].astype(np.float32))
    assert_same(rb.tl.recommend_mask_ratio(turned, panel=0.3, n_bootstrap=0, seed=5), expected, rtol=0.1, law=False)
    single = {"panel": 0.3, "n_bootstrap": 0, "masks": "single"}
    assert_same(rb.tl.recommend_mask_ratio(turned, **single), rb.theory.recommend_mask_ratio(counts, **single))


def test_single_masks_give_the_earlier_advice(counts, adata):
    advice = rb.tl.recommend_mask_ratio(adata, panel=0.3, n_bootstrap=2, masks="single")
    spectrum = rb.theory.gene_spectrum(counts)
    assert (advice.masks, advice.evidence, advice.peak) == ("single", "theory", pytest.approx((D - 1) / 60))
    assert advice.law == rb.theory.recommend(spectrum.eigen, n=60, panel=0.3, masks="single", calibrated=True).law
    assert "one mask per cell" in advice.verdict
    assert adata.uns["r2mae"]["mask_ratio"]["masks"] == "single"


def test_a_record_of_an_earlier_version_is_drawn(adata, expected):
    record = expected.to_uns()
    del record["masks"], record["evidence"]
    adata.uns["r2mae"] = {"mask_ratio": record}
    for scenario in ("full", "panel"):
        lines = {line.get_label(): line for line in rb.pl.risk_curve(adata, scenario=scenario).lines}
        np.testing.assert_array_equal(lines["total"].get_ydata(), record[scenario]["error"])
    plt.close("all")


def log1p(adata):
    adata.X = sparse.csr_matrix(np.log1p(adata.X.toarray() / adata.X.sum(1).reshape(-1, 1) * 1e4))


def negative(adata):
    adata.X.data[3] = -1


@pytest.mark.parametrize(
    ("change", "settings", "error", "match"),
    [
        (log1p, {}, LogTransformedError, "log"),
        (negative, {}, NegativeCountsError, r"adata\.X"),
        (None, {"layer": "counts"}, SetupError, "no layer 'counts'"),
        (None, {"panel": 1.0}, ConfigError, "panel is 1.0"),
        (None, {"n_top_genes": 0}, ConfigError, "n_top_genes"),
        (None, {"normalization": "none"}, ConfigError, "'none'"),
        (None, {"shrinkage": "none"}, ConfigError, "'none'"),
        (None, {"masks": "many"}, ConfigError, "'many'"),
        (None, {"n_cells": 0}, ConfigError, "n is 0"),
    ],
)
def test_refusals_write_nothing(adata, change, settings, error, match):
    if change is not None:
        change(adata)
    with pytest.raises(error, match=match):
        rb.tl.recommend_mask_ratio(adata, n_bootstrap=0, **settings)
    assert "r2mae" not in adata.uns
