"""Cells of three groups in two batches, and a size of model that trains on them in a second."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

SIZES = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}


def make_cells(n=60, n_genes=30, seed=0):
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 3
    profile = np.exp(rng.normal(0, 1.2, (3, n_genes)))
    profile /= profile.sum(1, keepdims=True)
    counts = rng.poisson(rng.gamma(3, 1 / 3, (n, n_genes)) * profile[group] * 80)
    counts[counts.sum(1) == 0, 0] = 1
    obs = pd.DataFrame(
        {"group": group.astype(str), "batch": np.where(np.arange(n) % 2, "a", "b")}, index=[f"c{i}" for i in range(n)]
    )
    return ad.AnnData(
        sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(n_genes)])
    )


def make_counted_cells():
    """Fifty cells whose counts are in a layer, as verbs are given them."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 2, (50, 20))) + (np.arange(20) == 0)
    data = ad.AnnData(np.zeros((50, 20), np.float32), layers={"counts": sparse.csr_matrix(counts.astype(np.float32))})
    data.var_names = [f"G{i}" for i in range(20)]
    data.obs_names = [f"c{i}" for i in range(50)]
    return data
