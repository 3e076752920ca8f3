"""The synthetic atlas is like what it is fitted to, and every step can be measured, at toy size."""

from __future__ import annotations

import argparse
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from benchmarks import out_of_core, scale

OPTIONS = argparse.Namespace(cells=80, genes=300, density=0.2, batch=16, train_steps=4, like=None, kinds="memory,h5ad,zarr")


@pytest.fixture(scope="module")
def like():
    return rb.datasets.pbmc68k()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("atlas")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scale.make(folder, OPTIONS)
    return folder


def test_counts_have_the_depths_shares_and_density_asked_for(like):
    atlas = scale.Atlas(like, "counts", 2000, 0.1)
    block = atlas.block(0, np.arange(400) % scale.N_TYPES)
    assert abs(block.nnz / np.prod(block.shape) - 0.1) < 0.015
    real, made = np.log(np.asarray(like.layers["counts"].sum(1)).ravel()), np.log(np.asarray(block.sum(1)).ravel())
    assert abs(real.std() - made.std()) < 0.1
    share = np.asarray(like.layers["counts"].sum(0), float).ravel()
    share = np.log(share[share > 0])
    assert abs(share.std() - np.log(atlas.share).std()) < 0.1
    assert (atlas.block(0, np.arange(400) % scale.N_TYPES) != block).nnz == 0
    assert (atlas.block(1, np.arange(400) % scale.N_TYPES) != block).nnz > 0


def test_both_files_are_the_same_cells_sorted_by_type(folder):
    first, second = ad.read_h5ad(folder / "atlas.h5ad"), ad.read_zarr(folder / "atlas.zarr")
    assert first.shape == (80, 300)
    assert (first.X != second.X).nnz == 0
    assert first.obs["type"].astype(int).is_monotonic_increasing
    assert (first.X.sum(1) > 0).all()


@pytest.mark.parametrize("kind", scale.KINDS)
@pytest.mark.parametrize("step", scale.STEPS)
def test_a_step_is_measured(folder, kind, step, one_thread):
    found = scale.measure(folder, kind, step, OPTIONS)
    slack = 1  # MiB; the kernel updates the peak now and then
    assert 0 < found["import_mib"] <= found["opened_mib"] + slack <= found["peak_rss_mib"] + 2 * slack
    assert found["cells_per_second"] > 0


def test_excess_is_that_of_the_same_seed():
    rows = [("a", 0, "full shuffle", 1.0), ("a", 0, "8 blocks", 1.5), ("a", 1, "full shuffle", 3.0), ("a", 1, "8 blocks", 3.3)]
    frame = pd.DataFrame(rows, columns=["set", "seed", "order", "last"])
    assert "+400.00 ± 141.42" in out_of_core.table(frame)
