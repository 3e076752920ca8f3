"""Expected expression: what it equals, what it does not depend on, and where its spread comes
from.
"""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError, NotTrainedError
from r2mae_bio._rng import derive_generator
from r2mae_bio.masking import MaskPlan, complementary_masks
from r2mae_bio.model import GeneMAE
from r2mae_bio.tokens import TokenBatch

from .conftest import SIZES


def with_dispersion(model, seed=5):
    """Dispersions that differ between genes."""
    with torch.no_grad():
        model.network.decoder.dispersion.copy_(torch.from_numpy(np.random.default_rng(seed).normal(0.5, 0.7, (1, 30))))
    return model


@pytest.fixture(params=["nb", "zinb", "poisson"])
def counted(request, adata):
    GeneMAE.setup_anndata(adata, batch_key="batch")
    model = GeneMAE(adata, gene_likelihood=request.param, seed=1, **SIZES)
    model.train(max_epochs=2, batch_size=16, progress_bar=False)
    return model if request.param == "poisson" else with_dispersion(model)


def decoded(model, adata, hidden=None, context=None, measured=None):
    """Parameters of the network, asked by hand; ``measured`` if not all genes are."""
    values = torch.from_numpy(adata.X.toarray())
    tokens = TokenBatch(torch.arange(values.shape[1])[None], values, torch.ones(1, values.shape[1], dtype=torch.bool), full=True)
    if hidden is not None:
        tokens = tokens.hide(MaskPlan(torch.from_numpy(hidden)[None], tokens.visible))
    width = model.record.covariates.width
    rows = torch.zeros(len(values), width) if context is None else torch.tensor(context).float().expand(len(values), -1)
    with torch.inference_mode():
        return model.network.eval()(tokens, rows, measured=None if measured is None else torch.from_numpy(measured)[None])


def moments_by_hand(params):
    mean = params.location.exp().double().numpy()
    excess = 0 if params.dispersion is None else mean**2 / params.dispersion.exp().double().numpy()
    if params.dropout is None:
        return mean, mean + excess
    p = torch.sigmoid(params.dropout).double().numpy()
    second = (1 - p) * (mean + excess + mean**2)  # E x², zero with probability p
    return (1 - p) * mean, second - ((1 - p) * mean) ** 2


def test_equals_what_the_decoder_says(counted, adata):
    mean, variance = moments_by_hand(decoded(counted, adata))
    frame = counted.get_normalized_expression(adata, library_size="latent")
    np.testing.assert_allclose(frame, mean, rtol=1e-4)
    assert list(frame.index) == list(adata.obs_names)
    assert list(frame.columns) == list(adata.var_names)
    assert (frame.dtypes == np.float32).all()
    _, sd = counted.get_predictive_moments(adata, n_masks=0)
    np.testing.assert_allclose(sd**2, variance, rtol=1e-3)


def test_library_size_scales_every_cell(model, adata):
    for size in (1.0, 1e4):
        scaled = model.get_normalized_expression(adata, library_size=size)
        np.testing.assert_allclose(scaled.sum(axis=1), size, rtol=1e-5)
    latent = model.get_normalized_expression(adata, library_size="latent", return_numpy=True)
    np.testing.assert_allclose(scaled / 1e4, latent / latent.sum(1, keepdims=True), rtol=1e-4)
    depth = np.asarray(adata.X.sum(axis=1)).ravel()
    np.testing.assert_allclose(latent.sum(1) / depth, 1, atol=0.5)
    assert np.corrcoef(latent.sum(1), depth)[0, 1] > 0.99


def test_chosen_cells_and_genes(model, adata):
    everything = model.get_normalized_expression(adata)
    some = model.get_normalized_expression(adata, [5, 2], gene_list=["G7", "G1"])
    pd.testing.assert_frame_equal(some, everything.loc[["c5", "c2"], ["G7", "G1"]], rtol=1e-4)
    mask = np.arange(60) % 7 == 0
    np.testing.assert_allclose(model.get_normalized_expression(adata, mask), everything[mask], rtol=1e-4)
    array = model.get_normalized_expression(adata, return_numpy=True)
    assert isinstance(array, np.ndarray)
    np.testing.assert_array_equal(array, everything)
    assert model.get_normalized_expression(adata, np.arange(0)).shape == (0, 30)


@pytest.mark.parametrize("n_masks", [0, 4])
def test_does_not_depend_on_company_order_or_storage(model, adata, n_masks):
    expected = np.stack(model.get_predictive_moments(adata, n_masks=n_masks))
    close = {"rtol": 2e-4, "atol": 1e-5}
    np.testing.assert_allclose(model.get_predictive_moments(adata, n_masks=n_masks, batch_size=7), expected, **close)
    order, columns = np.random.default_rng(0).permutation(60), np.random.default_rng(1).permutation(30)
    moved = adata[order][:, columns].copy()
    moved.X = moved.X.toarray()
    np.testing.assert_allclose(model.get_predictive_moments(moved, n_masks=n_masks), expected[:, order], **close)
    foreign = ad.AnnData(sparse.csr_matrix(np.full((60, 2), 9, np.float32)), obs=adata.obs, var=pd.DataFrame(index=["X1", "X2"]))
    wider = ad.concat([foreign, adata], axis=1, merge="first")
    np.testing.assert_allclose(model.get_predictive_moments(wider, n_masks=n_masks), expected, **close)


def test_a_panel_gives_every_gene(model, adata):
    panel = adata[:, :12].copy()
    frame = model.get_normalized_expression(panel, library_size="latent")
    assert frame.shape == (60, 30)
    hidden = np.arange(30) >= 12
    np.testing.assert_allclose(frame, moments_by_hand(decoded(model, adata, hidden, measured=~hidden))[0], rtol=1e-4)


def test_other_batches(counted, adata):
    as_b = counted.get_normalized_expression(adata, library_size="latent", transform_batch="b")
    np.testing.assert_allclose(as_b, moments_by_hand(decoded(counted, adata, context=[0, 1]))[0], rtol=1e-4)
    as_a = counted.get_normalized_expression(adata, library_size="latent", transform_batch="a")
    both = counted.get_normalized_expression(adata, library_size="latent", transform_batch=["a", "b"])
    np.testing.assert_allclose(both, (as_a + as_b) / 2, rtol=1e-4)
    assert np.abs(as_a - as_b).to_numpy().max() > 1e-4


# ---------------------------------------------------------------- spread


def test_spread_follows_the_law_of_total_variance(counted, adata):
    mean, sd = counted.get_predictive_moments(adata, n_masks=6, hide=0.34, own_counts=False, seed=9)
    masks = complementary_masks(np.ones(30, bool), 6, hide=0.34, generator=derive_generator(9, "impute"))
    assert (masks.sum(0) == 2).all()
    single = [moments_by_hand(decoded(counted, adata, mask)) for mask in masks]
    for gene in range(30):
        means, variances = (
            np.stack([part[k][:, gene] for part, hid in zip(single, masks, strict=True) if hid[gene]]) for k in (0, 1)
        )
        np.testing.assert_allclose(mean[:, gene], means.mean(0), rtol=1e-4)
        np.testing.assert_allclose(sd[:, gene] ** 2, variances.mean(0) + means.var(0), rtol=1e-3)


def test_unmeasured_genes_are_predicted_from_all_that_is_measured(counted, adata):
    panel = adata[:, :12].copy()
    mean, sd = counted.get_predictive_moments(panel, n_masks=4, hide=0.5)
    measured = np.arange(30) < 12
    masks = complementary_masks(measured, 4, hide=0.5, generator=derive_generator(0, "impute"))
    means, variances = (
        np.stack(part)
        for part in zip(*(moments_by_hand(decoded(counted, adata, m | ~measured, measured=measured)) for m in masks), strict=True)
    )
    whole, variance = moments_by_hand(decoded(counted, adata, ~measured, measured=measured))
    np.testing.assert_allclose(mean[:, 12:], whole[:, 12:], rtol=1e-4)
    np.testing.assert_allclose(sd[:, 12:] ** 2, (variance + means.var(0))[:, 12:], rtol=1e-3)
    for gene in range(12):  # each hidden by half of the masks
        hid = masks[:, gene]
        own = counted.get_predictive_moments(panel, n_masks=4, hide=0.5, own_counts=False)
        np.testing.assert_allclose(own[0][:, gene], means[hid, :, gene].mean(0), rtol=1e-4)
        spread = variances[hid, :, gene].mean(0) + means[hid, :, gene].var(0)
        np.testing.assert_allclose(own[1][:, gene] ** 2, spread, rtol=1e-3)


def test_a_prediction_from_other_genes_does_not_see_the_gene(counted, adata):
    changed = adata.copy()
    dense = changed.X.toarray()
    dense[:, 4] += 50
    changed.X = sparse.csr_matrix(dense)
    before, after = (counted.get_predictive_moments(data, own_counts=False) for data in (adata, changed))
    for left, right in zip(before, after, strict=True):
        np.testing.assert_array_equal(left[:, 4], right[:, 4])
        assert np.abs(left - right).max() > 1e-3  # other genes do see it
    assert (counted.get_normalized_expression(changed)["G4"] > counted.get_normalized_expression(adata)["G4"]).mean() > 0.9


def test_own_counts_give_the_posterior_of_a_gamma_poisson_model(counted, adata):
    prior, sd = (part.astype(float) for part in counted.get_predictive_moments(adata, own_counts=False))
    mean, repeated = counted.get_predictive_moments(adata, own_counts=True)
    x, spread = adata.X.toarray().astype(float), np.maximum(sd**2 - prior, 1e-9)
    shape, rate = prior**2 / spread + x, prior / spread + 1  # of the gamma posterior of the rate
    np.testing.assert_allclose(mean, shape / rate, rtol=2e-3, atol=1e-4)
    np.testing.assert_allclose(repeated**2, shape / rate + shape / rate**2, rtol=5e-3, atol=1e-4)
    masked = counted.get_normalized_expression(adata, library_size="latent", n_masks=8)
    np.testing.assert_array_equal(masked, mean)


def test_genes_without_a_measurement_have_no_own_count(model, adata):
    panel = adata[:, :12].copy()
    given, left = (np.stack(model.get_predictive_moments(panel, own_counts=own)) for own in (True, False))
    np.testing.assert_array_equal(given[:, :, 12:], left[:, :, 12:])
    assert np.abs(given - left)[:, :, :12].max() > 0.1


def test_few_genes_are_columns_of_all(model, adata):
    everything = model.get_predictive_moments(adata)
    some = model.get_predictive_moments(adata, [5, 2], gene_list=["G7", "G1"])
    np.testing.assert_allclose(some, np.stack(everything)[:, [5, 2]][:, :, [7, 1]], rtol=1e-4)
    one = model.get_predictive_moments(adata, gene_list="G7")
    assert one[0].shape == one[1].shape == (60, 1)
    scaled = model.get_normalized_expression(adata, gene_list="G7", library_size=50, return_numpy=True)
    np.testing.assert_array_equal(scaled, model.get_normalized_expression(adata, library_size=50)[["G7"]])


def test_blocks_are_the_whole_in_parts(model, adata):
    expected = model.get_predictive_moments(adata, batch_size=25, n_masks=4, gene_list=["G7", "G1"])
    blocks = list(model.iter_predictive_moments(adata, batch_size=25, n_masks=4, gene_list=["G7", "G1"]))
    assert [some for some, _, _ in blocks] == [slice(0, 25), slice(25, 50), slice(50, 60)]
    for number, whole in enumerate(expected):
        np.testing.assert_array_equal(np.concatenate([block[number + 1] for block in blocks]), whole)
    assert next(model.iter_predictive_moments(adata))[1].shape == (60, 30)


# ---------------------------------------------------------------- totals off the panel


def test_a_reference_corrects_totals_of_genes_off_the_panel(counted, adata):
    panel, off = adata[:, :12].copy(), np.arange(30) >= 12
    mean, sd = (part.astype(float) for part in counted.get_predictive_moments(panel))
    again, spread = counted.get_predictive_moments(panel, reference=adata)
    np.testing.assert_array_equal(again[:, ~off], mean[:, ~off].astype(np.float32))
    known, predicted = adata.X.toarray().sum(0)[off], mean[:, off].sum(0)
    ratio = (known + 20) / (predicted + 20)
    assert np.abs(np.log(ratio)).max() > 0.05
    np.testing.assert_allclose(again[:, off], mean[:, off] * ratio, rtol=1e-3)
    rate = sd[:, off] ** 2 - mean[:, off]  # variance of the rate, which scales with its square
    np.testing.assert_allclose(spread[:, off] ** 2, mean[:, off] * ratio + rate * ratio**2, rtol=5e-3)
    assert "coverage" not in adata.uns.get("r2mae", {})


def test_a_reference_that_does_not_know_a_gene_leaves_it(model, adata):
    panel, reference = adata[:, :12].copy(), adata[:, :20].copy()
    plain, corrected = (model.get_predictive_moments(panel, reference=given)[0] for given in (None, reference))
    np.testing.assert_array_equal(corrected[:, 20:], plain[:, 20:])
    assert (corrected[:, 12:20] != plain[:, 12:20]).all()
    with pytest.raises(DataError, match=r"reference lacks 2 of the 12 genes"):
        model.get_predictive_moments(panel, reference=adata[:, 2:].copy())


def test_seeds_change_masks_and_little_else(model, adata):
    first, again, other = (np.stack(model.get_predictive_moments(adata, seed=seed, own_counts=False)) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert 0 < np.abs(first - other).mean() < 0.3 * first.mean()


# ---------------------------------------------------------------- values in logs, and refusals


def test_log_normalised_values(adata):
    adata.X = sparse.csr_matrix(np.log1p(adata.X.toarray()))
    GeneMAE.setup_anndata(adata, gene_likelihood="normal")
    model = GeneMAE(adata, **SIZES)
    model.initialize()
    params = decoded(model, adata)
    np.testing.assert_allclose(model.get_normalized_expression(), params.location, rtol=1e-4, atol=1e-5)
    _, sd = model.get_predictive_moments(n_masks=0)
    np.testing.assert_allclose(sd, params.dispersion.detach().exp().expand(60, -1), rtol=1e-4)
    with pytest.raises(ConfigError, match=r"'latent', but a model with gene_likelihood='normal'"):
        model.get_normalized_expression(library_size="latent")
    with pytest.raises(ConfigError, match="reference corrects totals of counts"):
        model.get_predictive_moments(reference=adata)


def test_what_cannot_be_asked(model, adata):
    with pytest.raises(ConfigError, match=r"1 of the genes asked for are not known to the model, such as \['Q'\]"):
        model.get_normalized_expression(adata, gene_list=["G1", "Q"])
    for size in (0, -1.0, np.inf, "own"):
        with pytest.raises(ConfigError, match="needed is a positive number of counts per cell, or 'latent'"):
            model.get_normalized_expression(adata, library_size=size)
    with pytest.raises(ConfigError, match="was not given a batch_key"):
        model.get_normalized_expression(adata, transform_batch="a")
    with pytest.raises(ConfigError, match="batch_size is 0"):
        model.get_normalized_expression(adata, batch_size=0)
    with pytest.raises(ConfigError, match="n_masks is -1"):
        model.get_predictive_moments(adata, n_masks=-1)
    for settings in ({"n_masks": 0}, {"max_cells": 0}):
        with pytest.raises(ConfigError, match="both must be positive"):
            model.calibrate_dispersion(adata, **settings)
    with pytest.raises(ConfigError, match="hide is 0.7"):
        model.get_predictive_moments(adata, hide=0.7)
    GeneMAE.setup_anndata(adata, batch_key="batch")
    fresh = GeneMAE(adata, **SIZES)
    with pytest.raises(NotTrainedError):
        fresh.get_normalized_expression()
    fresh.initialize()
    with pytest.raises(ConfigError, match=r"transform_batch is 'c'; the model knows the batches \['a', 'b'\]"):
        fresh.get_normalized_expression(transform_batch="c")
