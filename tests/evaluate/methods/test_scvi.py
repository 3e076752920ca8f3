"""scVI as a control: what it is given, and what it leaves behind."""

import os

import numpy as np
import pytest
import torch

from r2mae_bio.errors import ConfigError
from r2mae_bio.evaluate import SCVI


@pytest.fixture(scope="module")
def fitted(counts):
    return SCVI(n_latent=3, max_epochs=1).fit(counts[:60], seed=0)


def test_embeds_and_predicts_every_cell(fitted, counts):
    measured = np.arange(counts.shape[1]) % 2 == 0
    embedding, rates = fitted.embed(counts[:7], measured), fitted.rates(counts[:7], measured)
    assert embedding.shape == (7, 3)
    assert rates.shape == (7, counts.shape[1])
    assert np.isfinite(embedding).all()
    assert (rates >= 0).all()
    # expected counts have the total that scVI saw, that of the measured genes
    totals = np.asarray(counts[:7][:, np.flatnonzero(measured)].sum(axis=1)).ravel()
    assert rates.sum(axis=1) == pytest.approx(totals, rel=1e-3)


def test_unmeasured_genes_are_zero(fitted, counts):
    measured = np.arange(counts.shape[1]) % 2 == 0
    zeroed = counts[:7].toarray() * measured
    everything = np.ones(counts.shape[1], bool)
    assert np.allclose(fitted.embed(counts[:7], measured), fitted.embed(type(counts)(zeroed), everything), atol=1e-6)


def test_same_seed_same_model_and_no_trace_in_global_state(fitted, counts):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global state is what is tested
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), dict(os.environ)  # noqa: NPY002
    again = SCVI(n_latent=3, max_epochs=1).fit(counts[:60], seed=0)
    everything = np.ones(counts.shape[1], bool)
    assert np.array_equal(again.embed(counts[:7], everything), fitted.embed(counts[:7], everything))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002
    assert dict(os.environ) == before[2]


def test_an_encoder_that_needs_batches_is_refused(counts):
    with pytest.raises(ConfigError, match="encode_covariates"):
        SCVI(model_kwargs={"encode_covariates": True}).fit(counts[:20], seed=0, batch=["a", "b"] * 10)
