"""Small networks whose every branch is awake, and minibatches for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.network._content import GeneStatistics
from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
from r2mae_bio.config import GeneConfig
from r2mae_bio.masking import MaskPlan, Uniform, draw_plan
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from collections.abc import Callable

N_GENES, N_CONTEXT = 24, 2
SIZES = {
    "n_latent": 5, "n_factors": 4, "n_tokens": 3, "d_model": 8, "n_heads": 2, "n_layers": 2, "n_hidden": 16, "dropout": 0.1,
}  # fmt: skip


@pytest.fixture(scope="session")
def statistics() -> GeneStatistics:
    generator = torch.Generator().manual_seed(0)
    share = torch.rand(N_GENES, generator=generator) ** 2 + 0.02
    mean, sd = torch.rand(N_GENES, generator=generator), 0.5 + torch.rand(N_GENES, generator=generator)
    return GeneStatistics(share / share.sum(), mean, sd, 60.0)


@pytest.fixture(scope="session")
def make_network(statistics: GeneStatistics) -> Callable[..., GeneMaskedAutoencoder]:
    """Build a network in evaluation mode; ``awake`` moves all parameters off their start, where
    some branches are silent.
    """

    def make(
        encoder: str,
        likelihood: str = "nb",
        *,
        awake: bool = True,
        cls: type[GeneMaskedAutoencoder] = GeneMaskedAutoencoder,
        **settings: Any,
    ) -> GeneMaskedAutoencoder:
        config = GeneConfig(encoder=encoder, gene_likelihood=likelihood, **{**SIZES, **settings})
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = cls(statistics, N_CONTEXT, config)
            if awake:
                with torch.no_grad():
                    for parameter in network.parameters():
                        parameter.add_(0.2 * torch.randn_like(parameter))
        return network.eval()

    return make


@pytest.fixture(scope="session")
def make_batch(statistics: GeneStatistics) -> Callable[..., tuple[TokenBatch, MaskPlan, torch.Tensor]]:
    """Draw cells: tokens of everything measured, a plan and covariates; ``measured`` is the share
    of measured slots.
    """

    def make(rows: int = 6, seed: int = 0, *, measured: float = 1.0) -> tuple[TokenBatch, MaskPlan, torch.Tensor]:
        generator = torch.Generator().manual_seed(seed)
        valid = torch.ones(1, N_GENES, dtype=torch.bool)
        if measured < 1:
            valid = torch.rand(rows, N_GENES, generator=generator) < measured
            valid[:, :4] = True
        rate = statistics.share * 60 * torch.exp(0.5 * torch.randn(rows, N_GENES, generator=generator))
        values = torch.poisson(rate, generator=generator) * valid
        draws = derive_generator(seed, "mask")
        plan = draw_plan(valid, Uniform().sample(rows, draws), draws)
        return TokenBatch(torch.arange(N_GENES)[None], values, valid), plan, torch.randn(rows, N_CONTEXT, generator=generator)

    return make
