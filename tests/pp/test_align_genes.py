"""``pp.align_genes``: a new object over the reference's genes, in which missing is marked and not
zero.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from anndata.tests.helpers import assert_equal
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import DataError, DuplicateGenesError, GeneCoverageError, SetupError
from r2mae_bio.io import GeneVocabulary

if TYPE_CHECKING:
    from pathlib import Path

GENES = [f"G{i}" for i in range(12)]


def make(names: list[str], *, n_cells: int = 9, **options: Any) -> ad.AnnData:
    counts = np.random.default_rng(0).poisson(1.0, (n_cells, len(names))).astype(np.float32)
    obs = pd.DataFrame({"batch": pd.Categorical(["a"] * n_cells)}, index=[f"c{i}" for i in range(n_cells)])
    adata = ad.AnnData(sparse.csr_matrix(counts), obs=obs, **options)
    adata.var.index = pd.Index(names)
    adata.obsm["X_pca"] = np.arange(2.0 * n_cells).reshape(n_cells, 2)
    return adata


@pytest.fixture
def query() -> ad.AnnData:
    return make(["novel", "G3", "G0", "G11"], uns={"r2mae": {"other": 1}, "note": {"a": np.ones(2)}})


def test_slots(query: ad.AnnData) -> None:
    before = query.copy()
    aligned = rb.pp.align_genes(query, GENES)
    assert_equal(query, before)
    assert list(aligned.var_names) == GENES
    assert aligned.X.dtype == np.float32
    assert sparse.issparse(aligned.X)
    assert aligned.X.format == "csr"
    wanted = np.zeros((9, 12))
    wanted[:, [3, 0, 11]] = query.X.toarray()[:, 1:]
    np.testing.assert_array_equal(aligned.X.toarray(), wanted)
    assert aligned.var["measured"].dtype == bool
    assert np.flatnonzero(aligned.var["measured"]).tolist() == [0, 3, 11]
    pd.testing.assert_frame_equal(aligned.obs, query.obs)
    np.testing.assert_array_equal(aligned.obsm["X_pca"], query.obsm["X_pca"])
    coverage = aligned.uns["r2mae"]["coverage"]
    assert (coverage["matched"], coverage["missing"], coverage["unknown"]) == (3, 9, 1)
    assert aligned.uns["r2mae"]["other"] == 1


def test_result_owns_its_memory(query: ad.AnnData) -> None:
    before = query.copy()
    aligned = rb.pp.align_genes(query, list(query.var_names))
    aligned.X.data[:] = -1
    aligned.obsm["X_pca"][:] = -1
    aligned.uns["note"]["a"][:] = -1
    aligned.obs["new"] = 1
    assert_equal(query, before)


def test_kinds_of_reference(query: ad.AnnData) -> None:
    reference = make(GENES)
    vocabulary = GeneVocabulary.from_anndata(reference, np.asarray(reference.X.sum(0)).ravel())
    results = [rb.pp.align_genes(query, r) for r in (reference, vocabulary, SimpleNamespace(vocabulary=vocabulary))]
    for other in results[1:]:
        assert_equal(results[0], other)
    plain = rb.pp.align_genes(query, GENES)
    assert_equal(plain.X, results[0].X)
    assert np.isnan(plain.uns["r2mae"]["coverage"]["count_fraction"])
    scaled = make(GENES)
    scaled.X = scaled.X - sparse.csr_matrix(np.full(scaled.shape, 9.0))
    assert np.isnan(rb.pp.align_genes(query, scaled).uns["r2mae"]["coverage"]["count_fraction"])


def test_missing_stays_missing_the_second_time(query: ad.AnnData) -> None:
    once = rb.pp.align_genes(query, GENES)
    again = rb.pp.align_genes(once, GENES[::-1])
    assert again.var["measured"].sum() == 3
    assert_equal(again[:, GENES].X, once.X)
    assert_equal(rb.pp.align_genes(once, GENES).X, once.X)
    assert again.uns["r2mae"]["coverage"]["n_query"] == 3


def test_aliases_are_kept() -> None:
    reference = make(GENES)
    reference.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(12)]
    query = make([f"ENSG{i:011d}.3" for i in (5, 2)])
    aligned = rb.pp.align_genes(query, reference)
    assert aligned.uns["r2mae"]["coverage"]["id_kind"] == "var_names = gene_ids"
    assert list(aligned.var["gene_ids"]) == list(reference.var["gene_ids"])
    assert list(aligned.var_names[aligned.var["measured"]]) == ["G2", "G5"]


def test_duplicates_are_summed_on_request() -> None:
    query = make(["G1", "G2", "G1"])
    with pytest.raises(DuplicateGenesError, match="'G1' by 2 columns"):
        rb.pp.align_genes(query, GENES)
    aligned = rb.pp.align_genes(query, GENES, duplicates="sum")
    dense = query.X.toarray()
    np.testing.assert_array_equal(aligned.X.toarray()[:, 1], dense[:, 0] + dense[:, 2])


def test_layer_and_h5ad(query: ad.AnnData, tmp_path: Path) -> None:
    query.layers["counts"] = query.X * 2
    aligned = rb.pp.align_genes(query, make(GENES), layer="counts")
    assert_equal(aligned.X, rb.pp.align_genes(query, make(GENES)).X * 2)
    assert not aligned.layers
    aligned.write_h5ad(tmp_path / "aligned.h5ad")
    assert_equal(ad.read_h5ad(tmp_path / "aligned.h5ad"), aligned)


def test_backed_and_many_cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    query = make(["G3", "x", "G0"], n_cells=50)
    query.write_h5ad(tmp_path / "q.h5ad")
    backed = ad.read_h5ad(tmp_path / "q.h5ad", backed="r")
    whole = rb.pp.align_genes(query, make(GENES))
    monkeypatch.setattr("r2mae_bio.pp._align_genes._CHUNK", 7)
    assert_equal(rb.pp.align_genes(backed, make(GENES)), whole)
    backed.file.close()
    assert rb.pp.align_genes(query[:0], make(GENES)).shape == (0, 12)


@pytest.mark.parametrize(
    ("reference", "options", "error", "match"),
    [
        ("model_dir", {}, DataError, "reference is a str.*load it first"),
        (7, {}, DataError, "reference is a int"),
        ([], {}, DataError, "0 genes"),
        (["G1", "G1"], {}, DuplicateGenesError, r"occur more than once.*\['G1'\]"),
        (["ACTB", "CD3E"], {}, GeneCoverageError, r"\['ACTB', 'CD3E'\]; genes of the data set: \['novel'"),
        (GENES, {"min_coverage": 0.9}, GeneCoverageError, "3 of the model's 12 genes"),
        (GENES, {"layer": "raw"}, SetupError, "no layer 'raw'"),
    ],
)
def test_errors(query: ad.AnnData, reference: Any, options: dict[str, Any], error: type[Exception], match: str) -> None:
    before = query.copy()
    with pytest.raises(error, match=match):
        rb.pp.align_genes(query, reference, **options)
    assert_equal(query, before)
