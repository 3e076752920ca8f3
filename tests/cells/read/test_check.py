"""The count check: a full scan whose verdict does not depend on storage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from r2mae_bio import _errors as errors
from r2mae_bio.cells.read import _check
from r2mae_bio.cells.read._matrix import iter_entries
from r2mae_bio.io import CountReport, check_counts, check_finite, gene_totals

if TYPE_CHECKING:
    from anndata import AnnData


pytestmark = pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")  # users still pass it


FORMS = {
    "dense": np.asarray,
    "matrix": np.asmatrix,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_array,
    "coo": sparse.coo_matrix,
}


def check(matrix: Any) -> CountReport:
    n_cells, n_genes = matrix.shape
    obs_names, var_names = [f"c{i}" for i in range(n_cells)], [f"g{i}" for i in range(n_genes)]
    return check_counts(matrix, where="adata.X", obs_names=obs_names, var_names=var_names)


def test_report_agrees_with_numpy(stored: AnnData, counts: np.ndarray) -> None:
    report = check_counts(stored.X, where="adata.X", obs_names=stored.obs_names, var_names=stored.var_names)
    sums = counts.sum(1)
    expected = CountReport(
        *counts.shape, int((counts != 0).sum()), counts.sum(), counts.max(), sums.min(), float(np.median(sums)), sums.max()
    )
    assert report == expected
    np.testing.assert_array_equal(gene_totals(stored.X), counts.sum(0))


def to_dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if sparse.issparse(matrix) else np.asarray(matrix)


def _spoil(counts: np.ndarray, *values: float) -> np.ndarray:
    spoilt = counts.astype(np.float64)
    spoilt[np.arange(len(values)) + 5, 11] = values
    return spoilt


def _lognormal(counts: np.ndarray, target: float = 1e4) -> np.ndarray:
    return np.log1p(counts / counts.sum(1, keepdims=True) * target)


def _corrected(counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, counts - np.random.default_rng(0).uniform(0.05, 0.4, counts.shape), 0)


def _emptied(counts: np.ndarray) -> np.ndarray:
    return np.concatenate([counts[:9], np.zeros((2, counts.shape[1])), counts[9:]])


BAD = {
    "nan": (lambda x: _spoil(x, np.nan), errors.NonFiniteError, r"1 NaN or infinite values, .* nan in cell 'c5', gene 'g11'"),
    "inf": (lambda x: _spoil(x, 2, -np.inf), errors.NonFiniteError, r"-inf in cell 'c6', gene 'g11'.*dropped"),
    "beyond_single": (lambda x: _spoil(x, 1e39), errors.NonFiniteError, r"1e\+39 in cell 'c5', gene 'g11'.*single precision"),
    "nan_before_negative": (lambda x: _spoil(x, -1, np.nan), errors.NonFiniteError, r"cell 'c6'"),
    "negative": (lambda x: _spoil(x, -1, -2), errors.NegativeCountsError, r"2 negative values, .* -1 in cell 'c5', gene 'g11'"),
    "negative_before_fraction": (
        lambda x: _spoil(x, 0.5, -2),
        errors.NegativeCountsError,
        r"1 negative values, .* -2 in cell 'c6'",
    ),
    "scaled": (lambda x: (x - x.mean(0)) / x.std(0), errors.NegativeCountsError, r"scaled or\s+batch-corrected"),
    "log_normalised": (_lognormal, errors.LogTransformedError, r"natural logarithm.*adata\.raw"),
    "log_of_counts": (np.log1p, errors.LogTransformedError, r"layer='counts'"),
    "log2_of_counts": (lambda x: np.log2(1 + x), errors.LogTransformedError, r"base-2 logarithm"),
    "log10_normalised": (lambda x: _lognormal(x) / np.log(10), errors.LogTransformedError, r"base-10 logarithm"),
    "log_of_a_gene_subset": (lambda x: _lognormal(x)[:, :15], errors.LogTransformedError, r"natural logarithm"),
    "log_with_three_decimals": (lambda x: np.round(_lognormal(x), 3), errors.LogTransformedError, r"natural logarithm"),
    "log_float32": (lambda x: _lognormal(x).astype(np.float32), errors.LogTransformedError, r"natural logarithm"),
    "normalised": (lambda x: x / x.sum(1, keepdims=True) * 1e4, errors.FractionalCountsError, r"normalised"),
    "normalised_to_one": (lambda x: x / x.sum(1, keepdims=True), errors.FractionalCountsError, r"numpy\.rint"),
    "ambient_corrected": (_corrected, errors.FractionalCountsError, r"ambient-corrected.*whole number 0\.4"),
    "one_fraction": (lambda x: _spoil(x, 0.5), errors.FractionalCountsError, r"1 values .* 0\.5 in cell 'c5', gene 'g11'"),
    "almost_whole": (lambda x: _spoil(x, 3 - 1e-9), errors.FractionalCountsError, r"1e-09"),
    "empty_cells": (_emptied, errors.EmptyCellsError, r"2 of 42 cells .* 'c9'.*sc\.pp\.filter_cells\(adata, min_counts=1\)"),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", BAD)
def test_bad_matrices_are_named(case: str, form: str, counts: np.ndarray) -> None:
    make, error, match = BAD[case]
    matrix = FORMS[form](make(counts))
    before = matrix.copy()
    with pytest.raises(error, match=match) as caught:
        check(matrix)
    assert type(caught.value) is error
    np.testing.assert_array_equal(to_dense(matrix), to_dense(before))


@pytest.mark.parametrize("case", BAD)
def test_message_does_not_depend_on_storage_or_blocks(case: str, counts: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    make, error, _ = BAD[case]

    def message(form: str) -> str:
        with pytest.raises(error) as caught:
            check(FORMS[form](make(counts)))
        return str(caught.value)

    messages = {message(form) for form in FORMS}
    monkeypatch.setattr(_check, "iter_entries", lambda matrix, **options: iter_entries(matrix, block=50, **options))
    assert len(messages | {message(form) for form in FORMS}) == 1


@pytest.mark.parametrize("matrix", [np.zeros((0, 3)), np.zeros((3, 0))])
def test_nothing_to_check(matrix: np.ndarray) -> None:
    with pytest.raises(errors.DataError, match="at least one of each"):
        check(matrix)


@pytest.mark.parametrize("matrix", [np.array([["a", "b"]]), np.ones((1, 1), complex), np.ones((2, 2), object)])
def test_not_real_numbers(matrix: np.ndarray) -> None:
    with pytest.raises(errors.DataError, match="matrix of real numbers"):
        check(matrix)


def test_not_a_matrix() -> None:
    with pytest.raises(errors.DataError, match="is a list of shape"):
        check_finite([[1, 2]], where="X", obs_names=["c"], var_names=["g", "h"])


def test_check_finite_accepts_any_real_number(counts: np.ndarray) -> None:
    scaled = (counts - counts.mean(0)) / counts.std(0)
    names = [str(i) for i in range(counts.shape[0])]
    check_finite(scaled, where="adata.X", obs_names=names, var_names=names)
    check_finite(np.zeros((3, 2)), where="adata.X", obs_names=names, var_names=names)
    with pytest.raises(errors.NonFiniteError, match=r"adata\.layers\['a'\] holds 1 NaN"):
        check_finite(_spoil(scaled, np.nan), where="adata.layers['a']", obs_names=names, var_names=names)


def test_large_whole_floats_are_counts() -> None:
    assert check(np.array([[2.0**24, 1]], np.float32)).max_value == 2**24


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 1.0, 4.0]), st.sampled_from([None, 1e4, 1e6]))
def test_logs_are_told_from_plain_normalisation(seed: int, mean: float, target: float | None) -> None:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.5, 2 * mean, 60) * rng.lognormal(0, 0.3, (30, 1))) + np.eye(30, 60)
    scale = 1.0 if target is None else target / counts.sum(1, keepdims=True)
    with pytest.raises(errors.LogTransformedError):
        check(sparse.csr_matrix(np.log1p(counts * scale)))
    with pytest.raises(errors.FractionalCountsError):
        check(sparse.csr_matrix(counts * scale * 1e-3))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.uint8, bool])
def test_rows_in_memory_are_scanned_as_other_storage_is(dtype: type) -> None:
    counts = np.array([[0, 0, 0], [1, 0, 3], [0, 0, 0], [0, 0, 5], [7, 1, 1], [0, 0, 0]]).astype(dtype)
    rows = sparse.csr_matrix(counts)
    rows.data[1] = 0  # stored, though nothing
    quick, slow = _check._scan_of_counts(rows), _check._scan(rows.tocsc(), "X", None, None)
    assert quick is not None
    np.testing.assert_array_equal(quick.totals, slow.totals)
    assert (quick.nnz, quick.max_value) == (slow.nnz, slow.max_value)


@pytest.mark.parametrize("bad", [-1.0, 0.5, np.nan, np.inf, 1e39])
def test_one_value_that_is_no_count_is_looked_at_closely(bad: float) -> None:
    rows = sparse.csr_matrix(np.array([[1.0, 2.0], [0.0, bad]]))
    assert _check._scan_of_counts(rows) is None
