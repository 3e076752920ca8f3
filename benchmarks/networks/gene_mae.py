"""The package's own transformer, trained through its public interface on raw counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r2mae_bio.evaluate import MaskedAutoencoder, fit_probe, panel_mask
from r2mae_bio.likelihoods import masked_nll
from r2mae_bio.masking import MaskPlan
from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from benchmarks.networks.data import Data
    from r2mae_bio.masking import RatioLaw
    from r2mae_bio.model import GeneMAE

WIDTHS: dict[str, dict[str, Any]] = {
    "32": {"n_latent": 16, "d_model": 32, "n_tokens": 4, "n_hidden": 64, "n_factors": 16, "n_layers": 1},
    "64": {},
}
BATCH = 64


def train(
    data: Data, rows: np.ndarray, law: RatioLaw, *, width: int, steps: int, seed: int, early: bool = False
) -> dict[str, float]:
    """Nats per hidden gene in each test condition, and how well a linear probe reads cell types.

    With ``early``, a tenth of the training cells is held back, and the weights are those of the
    epoch that predicted them best.
    """
    n_trained = round(0.9 * len(rows)) if early else len(rows)
    epochs = -(-steps // -(-n_trained // BATCH))
    settings: dict[str, Any] = {"max_epochs": epochs, "batch_size": BATCH, "accelerator": "cpu", "devices": 1, "train_size": 1.0}
    if early:
        settings |= {"train_size": 0.9, "early_stopping": True, "train_kwargs": {"patience": max(10, epochs // 4)}}
    method = MaskedAutoencoder("r2mae", law, model_kwargs=WIDTHS[str(width)], train_kwargs=settings)
    fitted = method.fit(data.counts[rows], seed=seed)
    return {**nats(data, fitted.model), **_accuracy(data, rows, fitted, seed)}


@torch.inference_mode()
def nats(data: Data, model: GeneMAE) -> dict[str, float]:
    """Negative log-likelihood per hidden gene of the test cells, under the masks that all settings
    share.
    """
    network = model.network
    values = torch.from_numpy(data.counts[data.test])
    n_cells, n_genes = values.shape
    tokens = TokenBatch(torch.arange(n_genes)[None], values, torch.ones(1, n_genes, dtype=torch.bool), full=True)
    row, gene = values.nonzero(as_tuple=True)
    result = {}
    for name, masks in data.masks.items():
        total = 0.0
        for hidden in masks:
            visible = tokens.hide(MaskPlan(hidden, tokens.visible))
            params = network(visible, torch.zeros(n_cells, 0))
            total += float(masked_nll(network.likelihood, params, row, gene, values[row, gene], hidden).sum())
        result[name] = total / int(masks.sum())
    return result


def _accuracy(data: Data, rows: np.ndarray, fitted, seed: int) -> dict[str, float]:
    everything = np.ones(data.n_features, bool)
    probe = fit_probe(fitted.embed(data.counts[rows], everything), data.labels[rows])
    panels = {"full": everything, "panel": panel_mask(data.n_features, 0.1, seed=seed)}
    return {
        f"accuracy_{name}": probe.score(fitted.embed(data.counts[data.test], measured), data.labels[data.test]).accuracy
        for name, measured in panels.items()
    }
