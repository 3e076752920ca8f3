"""The start of the transformer is the factor analysis it was given."""

from __future__ import annotations

import numpy as np
import torch

from r2mae_bio.cells.network._content import GeneContent, GeneStatistics
from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
from r2mae_bio.cells.network._start import _log_per_content, start_from_factors
from r2mae_bio.config import GeneConfig
from r2mae_bio.masking import draw_plan
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


def test_starting_from_factors_embeds_as_the_factor_model_does():
    network = tiny("transformer")
    for name, parameter in network.named_parameters():
        if name.startswith("encoder.refine"):
            parameter.data.zero_()
    generator = torch.Generator().manual_seed(0)
    loadings = torch.linalg.qr(torch.randn(N_GENES, 6, generator=generator))[0] * torch.tensor([3.0, 2.5, 2, 1.5, 1, 0.5])
    noise = torch.rand(N_GENES, generator=generator) + 0.2
    start_from_factors(network, loadings, noise)
    batch = cells()
    plan = plan_for(batch)
    visible = batch.hide(plan)
    expression = network.content.expression(visible, network.content.exposure(visible))
    got = network.encode(visible).detach().double().numpy()
    w, v, mean = loadings.double().numpy(), noise.double().numpy(), network.content.mean.double().numpy()
    for row in range(6):
        seen = plan.visible[row].numpy()
        y = expression[row].double().numpy()[seen] - mean[seen]
        factors = w[seen].T @ np.linalg.solve(w[seen] @ w[seen].T + np.diag(v[seen]), y)
        np.testing.assert_allclose(got[row, :6], factors * np.linalg.norm(w, axis=0), atol=1e-3)
        np.testing.assert_allclose(got[row, 6:], 0, atol=1e-5)


def test_the_decoder_of_roots_starts_with_the_slope_of_the_log():
    """The log of y squared moves by 2 / y with y; where y is small, by no more than y itself."""
    content = GeneContent(GeneStatistics(torch.full((3,), 1 / 3), torch.tensor([0.5, 2.0, 10.0]), torch.ones(3), 60.0))
    np.testing.assert_allclose(_log_per_content(content).numpy(), [1, 1, 0.2])
    logs = GeneContent(GeneStatistics(torch.full((3,), 1 / 3), content.mean, torch.ones(3), 60.0), transform="log")
    np.testing.assert_allclose(_log_per_content(logs).numpy(), 1)
