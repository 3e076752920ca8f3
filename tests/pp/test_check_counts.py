"""``pp.check_counts``: the right layer is read, the object is left as it was."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from anndata.tests.helpers import assert_equal
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import CountsError, FractionalCountsError, LogTransformedError, SetupError


@pytest.fixture
def adata() -> ad.AnnData:
    counts = np.random.default_rng(0).poisson(1.0, (30, 20)) + 1.0
    return ad.AnnData(sparse.csr_matrix(np.log1p(counts)), layers={"counts": counts, "soup": counts - 0.25})


@pytest.mark.parametrize("kept", [(), ("counts",), ("raw",), ("counts", "raw")], ids=str)
def test_the_advice_names_what_there_is(adata: ad.AnnData, kept: tuple[str, ...]) -> None:
    if "raw" in kept:
        adata.raw = adata
    if "counts" not in kept:
        del adata.layers["counts"]
    for layer in (None, "soup"):
        with pytest.raises(CountsError, match="Use the raw counts") as caught:
            rb.pp.check_counts(adata, layer=layer)
        found = str(caught.value)
        assert ("layer='counts'" in found, "adata.raw.to_adata()" in found) == ("counts" in kept, "raw" in kept)
        assert "gene_likelihood" not in found


def test_a_layer_is_not_advised_against_itself(adata: ad.AnnData) -> None:
    adata.layers["counts"] = adata.layers["soup"]
    with pytest.raises(FractionalCountsError, match=r"Use the raw counts\."):
        rb.pp.check_counts(adata, layer="counts")


def test_layer_is_read(adata: ad.AnnData) -> None:
    report = rb.pp.check_counts(adata, layer="counts")
    assert (report.n_cells, report.n_genes, report.nnz) == (30, 20, 600)
    assert report.total == adata.layers["counts"].sum()


@pytest.mark.parametrize(
    ("layer", "error", "match"),
    [
        (None, LogTransformedError, r"^adata\.X holds"),
        ("soup", FractionalCountsError, r"^adata\.layers\['soup'\] holds"),
        ("raw", SetupError, r"no layer 'raw'; the layers are \['counts', 'soup'\]"),
    ],
)
def test_errors_leave_the_object_alone(adata: ad.AnnData, layer: str | None, error: type[Exception], match: str) -> None:
    before = adata.copy()
    with pytest.raises(error, match=match):
        rb.pp.check_counts(adata, layer=layer)
    assert_equal(adata, before)
