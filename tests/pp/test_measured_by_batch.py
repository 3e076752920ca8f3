"""``pp.measured_by_batch``: panels are found, chance and biology are not taken for them."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio.errors import ConfigError, DataError, NegativeCountsError, NonFiniteError, SetupError

N_GENES = 300


def cells(n, seed, depth=400, n_genes=N_GENES):
    """Cells of one tissue, genes of all strengths."""
    profile = np.exp(np.random.default_rng(0).normal(0, 1.5, N_GENES))
    rng = np.random.default_rng(seed)
    rates = profile / profile.sum() * depth
    counts = rng.poisson(rng.gamma(2, 0.5, (n, N_GENES)) * rates)[:, :n_genes]
    counts[:, 0] += 1
    names = pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])
    return ad.AnnData(
        sparse.csr_matrix(counts.astype(np.float32)), var=names, obs=pd.DataFrame(index=[f"{seed}-{i}" for i in range(n)])
    )


def table(adata):
    return pd.DataFrame(adata.varm["r2mae_measured"], adata.var_names, list(adata.uns["r2mae"]["measured"]["panels"]))


def joined(some, **options):
    return ad.concat(some, join="outer", label="study", **options)


def test_panels_are_found():
    kept = np.random.default_rng(1).permutation(N_GENES)[:90]
    adata = joined({"a": cells(200, 1), "b/2": cells(200, 2)[:, kept], "c": cells(200, 3, n_genes=270)})
    rb.pp.measured_by_batch(adata, batch_key="study")
    found, names = table(adata), adata.var_names
    seen = np.asarray((adata.X != 0).sum(0)).ravel() > 0
    assert found["a"].all()
    missing = ~names.isin([f"G{i}" for i in kept])
    assert not found["b/2"][missing & seen].any()  # rare genes too: most of those that would show are absent
    assert found["b/2"][~missing].mean() > 0.95
    old = ~names.isin([f"G{i}" for i in range(270)])
    strong = np.asarray(adata[adata.obs["study"] == "a"].X.sum(0)).ravel() > 60
    assert not found["c"][old & strong].any()
    assert found["c"][~old].all()
    assert adata.uns["r2mae"]["measured"]["obs_key"] == "study"


@pytest.mark.parametrize("n", [3, 30, 300])
def test_chance_is_no_panel(n):
    adata = joined({"many": cells(300, 1), "few": cells(n, 2), "shallow": cells(300, 3, depth=20)})
    rb.pp.measured_by_batch(adata, batch_key="study")
    assert table(adata).to_numpy().all()


def test_a_handful_of_silent_genes_is_no_panel():
    female, male = cells(300, 1), cells(300, 2)
    x = male.X.toarray()
    x[:, np.argsort(-x.sum(0))[[3, 10, 20]]] = 0
    male.X = sparse.csr_matrix(x)
    adata = joined({"female": female, "male": male})
    rb.pp.measured_by_batch(adata, batch_key="study")
    assert table(adata).to_numpy().all()


def test_a_gene_that_is_strong_in_one_tiny_batch_is_not_missed_elsewhere():
    tiny = cells(2, 1)
    x = tiny.X.toarray()
    x[:, 200:] = 30  # both cells are odd
    tiny.X = sparse.csr_matrix(x)
    adata = joined({"tiny": tiny, "other": cells(300, 2)})
    rb.pp.measured_by_batch(adata, batch_key="study")
    assert table(adata)["other"].all()


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, np.asarray, "backed", "dask"])
def test_every_storage_gives_the_same(form, tmp_path):
    adata = joined({"a": cells(100, 1), "b": cells(100, 2, n_genes=120)})
    rb.pp.measured_by_batch(adata, batch_key="study")
    other = ad.AnnData(adata.X, adata.obs, adata.var)
    if form == "backed":
        other.write_h5ad(tmp_path / "cells.h5ad")
        other = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    elif form == "dask":
        da = pytest.importorskip("dask.array", reason="needs dask")
        other.X = da.from_array(adata.X.toarray(), chunks=(30, 77))
    else:
        other.X = form(adata.X.toarray())
    rb.pp.measured_by_batch(other, batch_key="study")
    np.testing.assert_array_equal(other.varm["r2mae_measured"], adata.varm["r2mae_measured"])
    assert not adata.varm["r2mae_measured"].all()


def test_blanks_are_not_measured_whatever_their_number():
    dense = [c.copy() for c in (cells(100, 1), cells(100, 2)[:, :-1])]
    for part in dense:
        part.X = part.X.toarray()
    adata = joined(dict(zip("ab", dense, strict=True)))
    rb.pp.measured_by_batch(adata, batch_key="study")
    assert (~table(adata)).sum().to_dict() == {"a": 0, "b": 1}
    assert rb.pp.check_counts(adata).n_cells == 200


def test_it_is_kept_by_copies_parts_and_files(tmp_path):
    adata = joined({"a": cells(100, 1), "b/c": cells(100, 2, n_genes=120)})
    copy = rb.pp.measured_by_batch(adata, batch_key="study", copy=True)
    assert "r2mae" not in adata.uns
    copy.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(table(read), table(copy))
    part = read[::2, ::3].copy()
    pd.testing.assert_frame_equal(table(part), table(copy)[::3])
    record = read.uns["r2mae"]["measured"]
    assert (record["min_cells"], record["min_share"]) == (20, 0.02)


@pytest.mark.parametrize(
    ("change", "options", "error", "match"),
    [
        (lambda x: x, {"batch_key": "absent"}, SetupError, "no column 'absent'"),
        (lambda x: x, {"layer": "absent"}, SetupError, "no layer 'absent'"),
        (lambda x: x, {"batch_key": "gap"}, DataError, "missing for 1 of 40 cells"),
        (lambda x: x, {"min_cells": 0}, ConfigError, "min_cells is 0"),
        (lambda x: x, {"min_share": 1.5}, ConfigError, "min_share 1.5"),
        (lambda x: x - x.mean(0), {}, NegativeCountsError, "negative values, so that zero does not mean"),
        (lambda x: np.where(np.arange(x.size).reshape(x.shape) == 7, np.nan, x), {}, NonFiniteError, "1 NaN or infinite values"),
    ],
)
def test_what_cannot_be_judged_is_refused(change, options, error, match):
    adata = joined({"a": cells(20, 1), "b": cells(20, 2, n_genes=120)})
    adata.obs["gap"] = ["a"] * 39 + [None]
    adata.X = change(adata.X.toarray())
    with pytest.raises(error, match=match):
        rb.pp.measured_by_batch(adata, **{"batch_key": "study", **options})
    assert "r2mae" not in adata.uns
    assert not adata.varm
