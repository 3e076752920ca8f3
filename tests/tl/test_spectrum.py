"""``tl.spectrum``: slots written, every kind of storage, refusals that write nothing."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import ConfigError, DataError, LogTransformedError, NegativeCountsError, SetupError

RECORD = {
    "values", "sample_values", "row_scales", "shrinkage", "effective_rank", "entropy_rank", "heavy_tail", "marchenko_pastur_edge", "edge",
    "noise_variance", "n_spikes", "n_cells", "n_genes", "decay", "layer", "normalization", "shrinkage_method", "n_top_genes",
}  # fmt: skip


@pytest.fixture
def counts():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(2.0, 1.0, (80, 1)) ** (np.arange(25) % 2) * 2 + 0.2)
    counts[:, 7] = 0
    return counts


@pytest.fixture
def adata(counts):
    data = ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)))
    data.var_names = [f"G{i}" for i in range(25)]
    return data


def test_it_writes_what_the_theory_finds_and_survives_h5ad(adata, counts, tmp_path):
    assert rb.tl.spectrum(adata, n_top_genes=12) is None
    expected = rb.theory.gene_spectrum(counts, n_top_genes=12)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    for data in (adata, ad.read_h5ad(tmp_path / "cells.h5ad")):
        record = data.uns["r2mae"]["spectrum"]
        assert set(record) == RECORD
        for name in ("values", "sample_values", "row_scales"):
            np.testing.assert_allclose(record[name], getattr(expected, name), rtol=1e-6)
            assert record[name].dtype == np.float64
        for name in (
            "shrinkage",
            "effective_rank",
            "entropy_rank",
            "heavy_tail",
            "edge",
            "marchenko_pastur_edge",
            "n_spikes",
            "n_cells",
        ):
            assert record[name] == pytest.approx(getattr(expected, name))
        assert record["noise_variance"] == pytest.approx(expected.noise.variance)
        assert record["decay"]["last"] == expected.n_spikes
        assert (record["normalization"], record["shrinkage_method"], record["layer"]) == ("log1p", "ledoit-wolf", "")
        np.testing.assert_array_equal(np.flatnonzero(data.var["r2mae_spectrum"]), expected.genes)
        assert data.var["r2mae_spectrum"].dtype == bool
        rb.pl.spectrum(data).figure.clear()


@pytest.mark.parametrize("kind", ["dense", "csc", "uint16", "view"])
def test_storage_does_not_matter(adata, counts, kind):
    rb.tl.spectrum(adata)
    other = {
        "dense": lambda: ad.AnnData(counts.astype(float)),
        "csc": lambda: ad.AnnData(sparse.csc_matrix(counts.astype(float))),
        "uint16": lambda: ad.AnnData(sparse.csr_matrix(counts.astype(np.uint16))),
        "view": lambda: ad.AnnData(sparse.csr_matrix(np.vstack([counts, counts]).astype(float)))[:80],
    }[kind]()
    rb.tl.spectrum(other)
    np.testing.assert_allclose(other.uns["r2mae"]["spectrum"]["values"], adata.uns["r2mae"]["spectrum"]["values"], rtol=1e-6)
    assert not other.is_view


@pytest.mark.parametrize("as_matrix", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_backed_data_are_read(adata, counts, as_matrix, tmp_path):
    rb.tl.spectrum(adata)
    ad.AnnData(as_matrix(counts.astype(np.float32))).write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    rb.tl.spectrum(backed)
    np.testing.assert_allclose(backed.uns["r2mae"]["spectrum"]["values"], adata.uns["r2mae"]["spectrum"]["values"], rtol=1e-6)
    backed.file.close()


def test_layer_key_copy_and_other_slots(adata):
    adata.layers["raw"] = adata.X.copy()
    adata.X = np.zeros(adata.shape, np.float32)
    adata.uns["r2mae"] = {"setup": {"layer": "raw"}}
    copied = rb.tl.spectrum(
        adata, layer="raw", key_added="residuals", normalization="pearson_residuals", shrinkage=None, copy=True
    )
    assert set(adata.uns["r2mae"]) == {"setup"}
    assert "r2mae_residuals" not in adata.var
    assert set(copied.uns["r2mae"]) == {"setup", "residuals"}
    record = copied.uns["r2mae"]["residuals"]
    assert (record["layer"], record["normalization"], record["shrinkage_method"]) == ("raw", "pearson_residuals", "")
    assert record["shrinkage"] == 0
    np.testing.assert_array_equal(record["values"], record["sample_values"])


def test_more_genes_than_there_are_and_constant_ones(adata):
    rb.tl.spectrum(adata, n_top_genes=10**6)
    assert adata.var["r2mae_spectrum"].sum() == 24
    assert not adata.var["r2mae_spectrum"].iloc[7]


def log1p(adata):
    adata.X = sparse.csr_matrix(np.log1p(adata.X.toarray() / adata.X.sum(1).reshape(-1, 1) * 1e4))


def negative(adata):
    adata.X.data[3] = -1


def alike(adata):
    adata.X = np.ones(adata.shape)


@pytest.mark.parametrize(
    ("change", "settings", "error", "match"),
    [
        (log1p, {}, LogTransformedError, "log"),
        (negative, {}, NegativeCountsError, r"adata\.X"),
        (alike, {}, DataError, "genes"),
        (None, {"layer": "counts"}, SetupError, "no layer 'counts'"),
        (None, {"n_top_genes": 0}, ConfigError, "n_top_genes"),
        (None, {"normalization": "none"}, ConfigError, "'none'"),
        (None, {"shrinkage": "none"}, ConfigError, "'none'"),
        (None, {"key_added": "setup"}, ConfigError, "'setup'"),
    ],
)
def test_refusals_write_nothing(adata, change, settings, error, match):
    if change is not None:
        change(adata)
    with pytest.raises(error, match=match):
        rb.tl.spectrum(adata, **settings)
    assert "r2mae" not in adata.uns
    assert list(adata.var) == []


def test_tiny_data():
    adata = ad.AnnData(np.array([[3.0, 1, 1], [1, 2, 2], [2, 4, 1]]))
    rb.tl.spectrum(adata)
    record = adata.uns["r2mae"]["spectrum"]
    assert (record["n_cells"], record["n_genes"]) == (3, 3)
    assert np.isfinite(record["values"]).all()
