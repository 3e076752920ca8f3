"""Calibration of the dispersion on held-out cells."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from r2mae_bio._errors import SetupError
from r2mae_bio._splits import split_cells
from r2mae_bio.evaluate import interval_coverage
from r2mae_bio.model import GeneMAE

from .conftest import SIZES


def nb_cells(model, theta, n=400):
    """Cells of one type whose counts have the dispersion ``theta``."""
    rng = np.random.default_rng(8)
    mean = 40 * model.network.content.share.numpy()
    counts = rng.poisson(rng.gamma(theta, 1 / theta, (n, 30)) * mean)
    counts[:, 0] += counts.sum(1) == 0
    obs = pd.DataFrame(index=[f"d{i}" for i in range(n)])
    return ad.AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(30)]))


@pytest.mark.parametrize("theta", [0.5, 20.0])
def test_calibration_finds_the_dispersion(own, theta, tmp_path):
    cells = nb_cells(own, theta)
    mean, before = own.get_predictive_moments(cells, own_counts=False)
    latent, values = own.get_latent_representation(cells), cells.X.toarray()
    own.calibrate_dispersion(cells, np.arange(200))
    after_mean, after = own.get_predictive_moments(cells, own_counts=False)
    np.testing.assert_array_equal(after_mean, mean)
    np.testing.assert_array_equal(own.get_latent_representation(cells), latent)
    rest = slice(200, None)  # cells that were not calibrated on
    off, close = (abs(interval_coverage(values[rest], mean[rest], sd[rest])["coverage"][0] - 0.9) for sd in (before, after))
    assert close < 0.015
    assert off > 2 * close
    again = GeneMAE.load(own.save(tmp_path / "calibrated"))
    np.testing.assert_array_equal(again.get_predictive_moments(cells, own_counts=False)[1], after)


def test_calibration_uses_validation_cells_and_leaves_unmeasured_genes_with_the_rest(model, own):
    with pytest.raises(SetupError, match="holds no data"):
        own.calibrate_dispersion()
    own._adata = model._adata
    own.calibrate_dispersion()
    fitted = own.network.decoder.dispersion.clone()
    _, validation = split_cells(60, 0.9, 3)
    own.network.decoder.dispersion.data.copy_(model.network.decoder.dispersion.data)
    own.calibrate_dispersion(model._adata, validation)
    assert torch.equal(own.network.decoder.dispersion, fitted)
    own.network.decoder.dispersion.data.copy_(model.network.decoder.dispersion.data)
    own.calibrate_dispersion(nb_cells(own, 20.0)[:, :12].copy())
    moved = (own.network.decoder.dispersion - model.network.decoder.dispersion).detach()[0]
    assert moved[12:].unique().numel() <= 2  # one shift, up to rounding
    assert 0.5 < moved[12:].mean() < moved[:12].max()


def test_calibration_of_a_poisson_model_changes_nothing(adata):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, gene_likelihood="poisson", **SIZES)
    model.initialize()
    before = model.checksum()
    model.calibrate_dispersion()
    assert model.checksum() == before
