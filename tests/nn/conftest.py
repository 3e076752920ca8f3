from __future__ import annotations

import numpy as np
import pytest
import torch

from r2mae_bio.config import GeneConfig
from r2mae_bio.masking import draw_plan
from r2mae_bio.nn import GeneMaskedAutoencoder, GeneStatistics
from r2mae_bio.tokens import TokenBatch

N_GENES = 40


def tiny(encoder="transformer", likelihood="nb", **settings):
    sizes = {"n_latent": 8, "n_factors": 6, "n_tokens": 2, "d_model": 16, "n_heads": 2, "n_layers": 1, "n_hidden": 16}
    config = GeneConfig(encoder=encoder, gene_likelihood=likelihood, **{**sizes, **settings})
    share = torch.linspace(1, 3, N_GENES)
    statistics = GeneStatistics(share / share.sum(), torch.full((N_GENES,), 0.4), torch.full((N_GENES,), 0.7), 60.0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = GeneMaskedAutoencoder(statistics, 0, config)
        for parameter in network.parameters():  # zero-initialised parts must take part in the tests
            parameter.data += 0.05 * torch.randn_like(parameter)
    return network.eval()


def cells(n=6, seed=0):
    counts = np.random.default_rng(seed).negative_binomial(1, 0.4, (n, N_GENES)).astype(np.float32)
    return TokenBatch(torch.arange(N_GENES)[None], torch.from_numpy(counts), torch.ones(1, N_GENES, dtype=torch.bool))


def plan_for(batch, ratio=0.5, seed=0):
    return draw_plan(batch.visible, np.full(batch.values.shape[0], ratio), np.random.default_rng(seed))


@pytest.fixture(params=["transformer", "mlp"])
def encoder(request):
    return request.param
