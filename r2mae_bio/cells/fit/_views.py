"""Cells as a classifier sees them while it learns: in full, or with a random part of their genes
hidden.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import log_softmax

from r2mae_bio._rng import derive_generator
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.masking import MaskPlan, draw_plan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from r2mae_bio.cells.fit._batch import CellBatch
    from r2mae_bio.cells.network._classifier import CellClassifierNetwork
    from r2mae_bio.masking import RatioLaw
    from r2mae_bio.tokens import TokenBatch

    pass  # MOVER
    from r2mae_bio.cells.fit._table import CellTable

_SCORED_AT_ONCE = 256
_FITTED_ROWS = 5000
"""Most rows from which two numbers are fitted."""
_BOUNDS = ((-3.0, 3.0), (-1.0, 3.0))
"""Of the logarithm of the sharpness in full, and of the power of the visible share."""


def hide_some(
    batch: CellBatch,
    law: RatioLaw,
    rng: np.random.Generator,
    *,
    device: torch.device,
    full_share: float = 0.0,
    progress: float = 0.0,
) -> TokenBatch:
    """Tokens of cells, a random part of them hidden.

    Parameters
    ----------
    batch
        The cells, on the CPU.
    law
        Of the share of measured genes that is hidden.
    rng
        Source of randomness.
    device
        Where the tokens are wanted.
    full_share
        Share of the cells, chosen at random, that are seen in full.
    progress
        Share of the training that is done, for a law that changes.

    Returns
    -------
    Visible tokens.

    Raises
    ------
    DataError
        Fewer than two genes were measured.
    """
    tokens, n = batch.to(device).tokens(), batch.context.shape[0]
    if full_share == 1:
        return tokens
    ratio = law.sample(n, rng, progress=progress)
    plan = draw_plan(batch.measured, ratio, rng, rectangle=law.scope == "rectangle")
    partly = torch.from_numpy(rng.random(n) >= full_share)
    return tokens.hide(MaskPlan((plan.hidden & partly[:, None]).to(device), tokens.visible))


@dataclass(frozen=True, eq=False)
class _Logits:
    """Of the dev cells in all views, views one after the other."""

    raw: NDArray[np.float64]
    """Before they are sharpened or softened (views * cells, K)."""
    log_share: NDArray[np.float64]
    """Logarithm of the visible share (views * cells,)."""


class DevCells:
    """Dev cells and the views under which they are scored, always the same.

    Parameters
    ----------
    cells
        All labelled cells.
    law
        Of the mask ratio.
    n_views
        Views with hidden genes, beside the one in full.
    seed
        Of the masks.
    """

    def __init__(self, cells: LabelledCells, law: RatioLaw, *, n_views: int, seed: int) -> None:
        self.cells, self.law, self.n_views, self.seed = cells, law, n_views, seed
        self.labels = cells.labels[cells.dev]
        masked = np.full(n_views, 0.5 / n_views) if n_views else np.zeros(0)
        self.weights = np.concatenate([[0.5 if n_views else 1.0], masked])

    def score(self, network: CellClassifierNetwork) -> dict[str, float]:
        """Fit the network's sharpness to the dev cells, and score it.

        Parameters
        ----------
        network
            Its ``sharpness`` is replaced; it is put into evaluation mode.

        Returns
        -------
        dev_loss (nats) and dev_macro_f1, half the cells in full and half with hidden genes, and
        dev_loss_full and dev_macro_f1_full, in full alone.
        """
        logits = self._logits(network.eval())
        sharpness = self._fit(logits, network.sharpness.detach().cpu().double().numpy())
        with torch.no_grad():
            network.sharpness.copy_(torch.from_numpy(sharpness))
        losses = self._losses(logits, sharpness)
        raw = logits.raw.reshape(len(self.weights), len(self.labels), -1)
        f1 = np.array([class_metrics(self.labels, view)["macro_f1"] for view in raw])
        found = {"loss": losses.mean(axis=1), "macro_f1": f1}
        means = {f"dev_{name}": float(self.weights @ values) for name, values in found.items()}
        return means | {f"dev_{name}_full": float(values[0]) for name, values in found.items()}

    def _views(self, device: torch.device) -> Iterator[TokenBatch]:
        for view in range(len(self.weights)):
            for some, batch in self.cells.table.batches(_SCORED_AT_ONCE, cells=self.cells.dev):
                rng = derive_generator(self.seed, "finetune-dev", view, some.start)
                progress = (view - 0.5) / max(self.n_views, 1)
                yield hide_some(batch, self.law, rng, device=device, full_share=float(view == 0), progress=progress)

    @torch.inference_mode()
    def _logits(self, network: CellClassifierNetwork) -> _Logits:
        raw, shares = [], []
        for tokens in self._views(network.mean.device):
            raw.append(network.classify(network.embed(tokens)).double().cpu().numpy())
            shares.append(network.log_share(tokens).double().cpu().numpy())
        return _Logits(np.concatenate(raw), np.concatenate(shares))

    def _losses(self, logits: _Logits, sharpness: NDArray[np.float64]) -> NDArray[np.float64]:
        """Nats (views, cells)."""
        labels = np.tile(self.labels, len(self.weights))
        return _nats(logits.raw, logits.log_share, labels, sharpness).reshape(len(self.weights), -1)

    def _fit(self, logits: _Logits, start: NDArray[np.float64]) -> NDArray[np.float64]:
        """Sharpness of least loss, with a prior at 1 that weighs as much as one cell: perfect dev
        rows do not make it infinite.
        """
        n = len(self.labels)
        labels, weights = np.tile(self.labels, len(self.weights)), np.repeat(self.weights / n, n)
        rows = slice(None, None, -(-len(labels) // _FITTED_ROWS))
        raw, shares, labels, weights = logits.raw[rows], logits.log_share[rows], labels[rows], weights[rows]
        weights = weights / weights.sum()

        def loss(sharpness: NDArray[np.float64]) -> float:
            return float(weights @ _nats(raw, shares, labels, sharpness) + sharpness @ sharpness / n)

        bounds = np.array(_BOUNDS)
        return np.asarray(minimize(loss, np.clip(start, *bounds.T), method="L-BFGS-B", bounds=_BOUNDS).x)


def _nats(
    raw: NDArray[np.float64], log_share: NDArray[np.float64], labels: NDArray[np.int64], sharpness: NDArray[np.float64]
) -> NDArray[np.float64]:
    sharp = np.exp(sharpness[0] + sharpness[1] * log_share)
    return -log_softmax(raw * sharp[:, None], axis=1)[np.arange(len(labels)), labels]


@dataclass(frozen=True, eq=False)
class LabelledCells:
    """Cells with classes."""

    table: CellTable
    """All cells."""
    labels: NDArray[np.int64]
    """Class of each cell, 0 to K - 1 (n_cells,)."""
    train: NDArray[np.int64]
    """Positions of the cells to learn from; every class is among them."""
    dev: NDArray[np.int64]
    """Positions of the cells on which it is judged when to stop."""
    n_classes: int
    """Number of classes K, at least 2."""
