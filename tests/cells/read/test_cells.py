"""Cells by index: the same bits from every storage, in every column order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from r2mae_bio._errors import DataError, SetupError
from r2mae_bio.cells.read import _cells
from r2mae_bio.io import CellSource, CSRRows, GeneVocabulary, align_anndata, check_counts, open_cells

if TYPE_CHECKING:
    from pathlib import Path

INDEX = np.array([7, 0, 39, 7, 12, 38, 1])


def vocabulary(adata: ad.AnnData) -> GeneVocabulary:
    return GeneVocabulary.from_anndata(adata, np.ones(adata.n_vars))


def cells(adata: ad.AnnData, model: GeneVocabulary | None = None, *, duplicates: str = "error", **options: Any) -> CellSource:
    alignment = align_anndata(vocabulary(adata) if model is None else model, adata, duplicates=duplicates)
    return open_cells(adata, alignment=alignment, **options)


def assert_same_bits(left: CSRRows, right: CSRRows) -> None:
    for name in ("indptr", "genes", "values"):
        a, b = getattr(left, name), getattr(right, name)
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)
    assert left.n_genes == right.n_genes


def expected(dense: np.ndarray) -> CSRRows:
    rows, genes = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))])
    return CSRRows(indptr, genes, dense[rows, genes].astype(np.float32), dense.shape[1])


def frame(names: list[str]) -> pd.DataFrame:
    return pd.DataFrame(index=names)


def test_every_storage_gives_the_same_bits(stored: ad.AnnData, counts: np.ndarray) -> None:
    source = cells(stored)
    assert (source.n_cells, source.n_genes) == counts.shape
    assert source.measured.all()
    for index in (INDEX, np.arange(40), np.array([], int), np.array([3])):
        rows = source.rows(index)
        assert_same_bits(rows, expected(counts[index]))
        np.testing.assert_array_equal(rows.to_dense(), counts[index])
        assert rows.to_dense().dtype == np.float32


def test_other_column_order_gives_the_same_bits(stored: ad.AnnData, counts: np.ndarray) -> None:
    order = np.random.default_rng(1).permutation(counts.shape[1])
    names = [f"GENE{i}" for i in order.tolist()] + ["absent"]
    source = cells(stored, GeneVocabulary(tuple(names), {}, np.ones(len(names))))
    assert source.measured.tolist() == [True] * 23 + [False]
    wanted = np.concatenate([counts[:, order], np.zeros((40, 1))], axis=1)
    assert_same_bits(source.rows(INDEX), expected(wanted[INDEX]))


def test_repeated_columns_are_summed_alike(stored: ad.AnnData, counts: np.ndarray) -> None:
    fewer = tuple(f"GENE{i}" for i in range(10))
    model = GeneVocabulary(fewer, {}, np.ones(10))
    alignment = align_anndata(model, stored)
    mapping = np.concatenate([np.arange(10), np.arange(10), [9, -1, 0]])
    object.__setattr__(alignment, "column_to_gene", mapping)
    object.__setattr__(alignment.report, "duplicated", 12)
    wanted = np.zeros((40, 10))
    for column, gene in enumerate(mapping):
        if gene >= 0:
            wanted[:, gene] += counts[:, column]
    assert_same_bits(open_cells(stored, alignment=alignment).rows(INDEX), expected(wanted[INDEX]))


@settings(deadline=None, max_examples=80)
@given(st.data(), st.integers(1, 9), st.integers(1, 9))
def test_alignment_agrees_with_a_matrix_product(draw: st.DataObject, n_columns: int, n_genes: int) -> None:
    """Any column-to-gene map is a 0/1 matrix; aligned counts are the product with it."""
    pool = [f"G{i}" for i in range(n_genes)] + ["other"]
    named = draw.draw(
        st.lists(st.sampled_from(pool), min_size=n_columns, max_size=n_columns).filter(lambda x: set(x) != {"other"})
    )
    dense = np.array(
        draw.draw(st.lists(st.lists(st.integers(0, 3), min_size=n_columns, max_size=n_columns), min_size=1, max_size=4))
    )
    model = GeneVocabulary(tuple(pool[:-1]), {}, np.ones(n_genes))
    one_hot = np.array([[name == gene for gene in pool[:-1]] for name in named], float)
    for form in (np.asarray, sparse.csr_matrix, sparse.csc_matrix):
        adata = ad.AnnData(form(dense.astype(np.float32)), obs=frame([str(i) for i in range(len(dense))]))
        adata.var.index = pd.Index(named)
        source = cells(adata, model, duplicates="sum")
        assert_same_bits(source.rows(np.arange(len(dense))), expected(dense @ one_hot))
        np.testing.assert_array_equal(source.measured, one_hot.any(0))


def test_values_that_vanish_in_float32_are_dropped() -> None:
    dense = np.array([[1e-60, 1.0, -2.5, 0.0]])
    for form in (np.asarray, sparse.csr_matrix):
        adata = ad.AnnData(form(dense), var=frame(list("abcd")), obs=frame(["c"]))
        assert cells(adata).rows(np.array([0])).genes.tolist() == [1, 2]


def test_sums_that_cancel_are_dropped() -> None:
    adata = ad.AnnData(sparse.csr_matrix(np.array([[1.5, -1.5, 2.0]], np.float32)), obs=frame(["c"]))
    adata.var.index = pd.Index(["a", "a", "b"])
    model = GeneVocabulary(("a", "b"), {}, np.ones(2))
    assert cells(adata, model, duplicates="sum").rows(np.array([0])).genes.tolist() == [1]


def test_memory_is_shared_and_untouched(counts: np.ndarray) -> None:
    for matrix in (sparse.csr_matrix(counts), counts):
        adata = ad.AnnData(matrix, var=frame([f"GENE{i}" for i in range(23)]))
        source = cells(adata)
        inner = source._reader._matrix
        held = (inner, adata.X) if isinstance(inner, np.ndarray) else (inner.data, adata.X.data)
        assert np.shares_memory(*held), "an identity-aligned matrix is referenced"
        source.rows(INDEX).values[:] = -1
        np.testing.assert_array_equal(source.rows(INDEX).to_dense(), counts[INDEX])


def test_a_matrix_put_in_order_is_a_copy(counts: np.ndarray) -> None:
    matrix = sparse.csr_matrix(counts)
    backwards = sparse.csr_matrix((matrix.data, 22 - matrix.indices, matrix.indptr), shape=matrix.shape)
    adata = ad.AnnData(backwards, var=frame([f"GENE{i}" for i in range(23)]))
    before = adata.X.indices.copy()
    assert_same_bits(cells(adata).rows(INDEX), expected(counts[INDEX][:, ::-1]))
    np.testing.assert_array_equal(adata.X.indices, before)


@pytest.mark.parametrize("indices", [[5, 3, 3, -20], np.array([1, 2], np.uint8), np.arange(40) % 3 == 0, [], slice(3, 30, 4)])
def test_a_subset_of_cells(stored: ad.AnnData, counts: np.ndarray, indices: Any) -> None:
    chosen = counts[np.array(indices, int) if isinstance(indices, list) else indices]
    source = cells(stored, indices=indices)
    assert source.n_cells == len(chosen)
    assert_same_bits(source.rows(np.arange(len(chosen))[::-1]), expected(chosen[::-1]))


def test_layers_and_unmeasured_genes(counts: np.ndarray) -> None:
    adata = ad.AnnData(np.zeros_like(counts), var=frame([f"GENE{i}" for i in range(23)]), layers={"counts": counts})
    adata.var["measured"] = np.arange(23) < 20
    source = cells(adata, layer="counts")
    assert source.measured.sum() == 20
    assert_same_bits(source.rows(INDEX), expected(np.where(np.arange(23) < 20, counts, 0)[INDEX]))
    with pytest.raises(SetupError, match=r"no layer 'raw'; the layers are \['counts'\]"):
        cells(adata, layer="raw")
    with pytest.raises(SetupError, match=r"adata\.X is None.*\['counts'\]"):
        cells(ad.AnnData(None, var=adata.var, obs=adata.obs, layers={"counts": counts}))


@pytest.mark.parametrize("index", [[-1], [40], [0, 99]])
def test_positions_out_of_range(stored: ad.AnnData, index: list[int]) -> None:
    with pytest.raises(IndexError, match="there are 40 cells"):
        cells(stored).rows(np.array(index))


def test_cells_are_computed_once_in_order_and_again_at_random(counts: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    array = pytest.importorskip("dask.array", reason="needs dask")
    computed: list[int] = []

    def block(part: np.ndarray, block_info: Any = None) -> np.ndarray:
        computed.append(block_info[0]["chunk-location"][0])
        return part

    lazy = array.from_array(counts, chunks=(10, 23)).map_blocks(block, dtype=counts.dtype, meta=np.zeros((0, 0), counts.dtype))
    adata = ad.AnnData(lazy, var=frame([f"GENE{i}" for i in range(23)]), obs=frame([f"c{i}" for i in range(40)]))
    monkeypatch.setattr(_cells, "_KEPT_BYTES", 1)
    source = cells(adata)
    assert computed == []
    rows = [source.rows(np.arange(start, start + 5)).to_dense() for start in range(0, 40, 5)]
    np.testing.assert_array_equal(np.concatenate(rows), counts)
    assert computed == [0, 1, 2, 3]
    monkeypatch.setattr(_cells, "_KEPT_BYTES", 1 << 20)
    source = cells(adata)
    for start in range(40):
        np.testing.assert_array_equal(source.rows((start + INDEX) % 40).to_dense(), counts[(start + INDEX) % 40])
    assert sorted(computed[4:]) == [0, 1, 2, 3]
    monkeypatch.setattr(_cells, "_KEPT_BYTES", 1)
    source = cells(adata)
    everywhere = np.array([0, 39, 20, 10])
    for _ in range(19):
        source.rows(everywhere)
    with pytest.warns(UserWarning, match="dask array of 4 blocks was computed 20 times over, .* in random order"):
        source.rows(everywhere)


def test_dask_blocks_of_unknown_size_are_refused(counts: np.ndarray) -> None:
    array = pytest.importorskip("dask.array", reason="needs dask")
    lazy = array.from_array(counts, chunks=(10, 23))
    adata = ad.AnnData(lazy, var=frame([f"GENE{i}" for i in range(23)]))
    adata.X._chunks = ((np.nan,) * 4, (23,))
    with pytest.raises(DataError, match=r"unknown sizes; call \.compute_chunk_sizes\(\)"):
        cells(adata)


def test_alignment_of_another_data_set(counts: np.ndarray) -> None:
    adata = ad.AnnData(counts, var=frame([f"GENE{i}" for i in range(23)]))
    alignment = align_anndata(vocabulary(adata), adata)
    with pytest.raises(DataError, match="alignment is for 23 columns, the data set has 22"):
        open_cells(adata[:, 1:], alignment=alignment)


@pytest.mark.shared_data
def test_real_counts(shared_data: Path) -> None:
    path = shared_data / "sc" / "pbmc_zheng_sorted_3500.h5ad"
    if not path.is_file():
        pytest.skip(f"needs {path.name} in the shared data")
    adata = ad.read_h5ad(path)
    report = check_counts(adata.X, where="adata.X", obs_names=adata.obs_names, var_names=adata.var_names)
    assert report.total == adata.X.sum(dtype=np.float64)
    backed = ad.read_h5ad(path, backed="r")
    index = np.random.default_rng(0).integers(0, adata.n_obs, 300)
    shuffled = adata[:, np.random.default_rng(1).permutation(adata.n_vars)]
    rows = cells(adata).rows(index)
    assert_same_bits(cells(backed).rows(index), rows)
    assert_same_bits(cells(shuffled, vocabulary(adata)).rows(index), rows)
    np.testing.assert_array_equal(rows.to_dense(), adata.X[index].toarray())
    backed.file.close()


def test_blocks_of_a_dask_array_that_were_passed_are_let_go() -> None:
    array = pytest.importorskip("dask.array", reason="needs dask")
    counts = np.random.default_rng(0).poisson(1, (60, 5)).astype(np.float32)
    source = cells(ad.AnnData(array.from_array(counts, chunks=(10, 5)), var=pd.DataFrame(index=[f"G{i}" for i in range(5)])))
    kept = []
    for start in range(0, 60, 4):
        np.testing.assert_array_equal(source.rows(np.arange(start, start + 4)).to_dense(), counts[start : start + 4])
        kept.append(len(source._reader._kept))  # type: ignore[attr-defined]
    assert max(kept) == 1
    order = np.random.default_rng(1).permutation(60)
    np.testing.assert_array_equal(source.rows(order).to_dense(), counts[order])
    assert len(source._reader._kept) == 6, "where cells are read in random order, blocks are kept"  # type: ignore[attr-defined]
