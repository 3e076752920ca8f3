"""Plots of a training run and of its mask ratios."""

from __future__ import annotations

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import sparse

import r2mae_bio as rb
from r2mae_bio._errors import NotTrainedError

SIZES = {"n_latent": 8, "n_factors": 4, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(1, 2, (50, 20))) + (np.arange(20) == 0)
    data = ad.AnnData(np.zeros((50, 20), np.float32), layers={"counts": sparse.csr_matrix(counts.astype(np.float32))})
    data.var_names = [f"G{i}" for i in range(20)]
    data.obs_names = [f"c{i}" for i in range(50)]
    return data


@pytest.fixture
def model(adata):
    return rb.tl.pretrain(adata, layer="counts", model_kwargs={"seed": 2, **SIZES}, max_epochs=2, progress_bar=False)


def test_plots(model, adata):
    for by_ratio in (False, True):
        ax = rb.pl.history(model, by_ratio=by_ratio)
        assert ax.get_ylabel() == "nats per hidden gene"
        assert len(ax.lines) == (5 if by_ratio else 3)
    ax = rb.pl.mask_ratios(model)
    heights = ax.patches[0].get_data().values
    np.testing.assert_allclose(heights.sum(), 1)
    plt.close("all")
    fresh = rb.model.GeneMAE(adata, **SIZES)
    for plot in (rb.pl.history, rb.pl.mask_ratios):
        with pytest.raises(NotTrainedError, match=r"call train\(\)"):
            plot(fresh)
