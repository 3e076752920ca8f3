"""Plots of a training run and of its mask ratios."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._errors import NotTrainedError

from ..toy_cells import SIZES, make_counted_cells


@pytest.fixture
def adata():
    return make_counted_cells()


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
