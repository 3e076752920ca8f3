"""Depth of cells, as the model estimates it."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio._errors import ConfigError, NotTrainedError
from r2mae_bio.evaluate import MaskedAutoencoder
from r2mae_bio.model import GeneMAE


def test_is_what_expected_counts_sum_to(model, adata):
    sizes = model.get_latent_library_size(adata)
    expected = model.get_normalized_expression(adata, library_size="latent", return_numpy=True).sum(1)
    np.testing.assert_allclose(sizes, expected, rtol=1e-4)
    assert sizes.dtype == np.float32
    depth = np.asarray(adata.X.sum(axis=1)).ravel()
    assert np.corrcoef(np.log(sizes), np.log(depth))[0, 1] > 0.99


def test_a_panel_is_scaled_up_to_all_genes(model, adata):
    panel = adata[:, ::2].copy()
    whole, part = model.get_latent_library_size(adata), model.get_latent_library_size(panel, min_coverage=0.1)
    np.testing.assert_allclose(part.mean(), whole.mean(), rtol=0.2)
    assert part.mean() > 1.4 * panel.X.sum() / panel.n_obs


def test_does_not_depend_on_other_cells(model, adata):
    sizes = model.get_latent_library_size(adata)
    np.testing.assert_allclose(model.get_latent_library_size(adata, [7, 3], batch_size=1), sizes[[7, 3]], rtol=1e-5)
    np.testing.assert_allclose(model.get_latent_library_size(adata[::-1, ::-1].copy())[::-1], sizes, rtol=1e-5)
    np.testing.assert_array_equal(model.get_latent_library_size(), sizes)


def test_refuses_what_has_no_depth(model, adata):
    with pytest.raises(ConfigError, match="batch_size is 0"):
        model.get_latent_library_size(adata, batch_size=0)
    GeneMAE.setup_anndata(adata)
    with pytest.raises(NotTrainedError):
        GeneMAE(adata).get_latent_library_size()
    logged = adata.copy()
    logged.X = np.log1p(adata.X.toarray())
    GeneMAE.setup_anndata(logged, gene_likelihood="normal")
    normal = GeneMAE(logged, n_latent=4, n_factors=4)
    normal.initialize()
    with pytest.raises(ConfigError, match="'normal'"):
        normal.get_latent_library_size()


def test_tables_can_have_it_as_a_column(adata):
    sizes = {"n_latent": 4, "n_factors": 4, "n_tokens": 2, "d_model": 8, "n_heads": 2, "n_layers": 1, "n_hidden": 8}
    measured = np.ones(adata.n_vars, bool)
    plain, deep = (
        MaskedAutoencoder("x", trained=False, model_kwargs=sizes, depth=depth).fit(adata.X, seed=0).embed(adata.X, measured)
        for depth in (False, True)
    )
    assert deep.dtype == np.float32
    np.testing.assert_array_equal(deep[:, :-1], plain)
    assert np.corrcoef(deep[:, -1], np.log(np.asarray(adata.X.sum(axis=1)).ravel()))[0, 1] > 0.9
