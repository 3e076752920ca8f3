"""Fine-tuning on cells: a gene encoder and a head, from a linear probe onwards, with genes hidden
at random.
"""

from __future__ import annotations

import copy
import logging
import math
import warnings
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.nn import functional as F

from r2mae_bio._errors import TrainingError
from r2mae_bio._progress import count_steps
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio.cells.fit._views import DevCells, LabelledCells, hide_some
from r2mae_bio.cells.network._classifier import CellClassifierNetwork
from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.core._finetune_run import FinetuneRun
from r2mae_bio.core._loader import batches_per_epoch, epoch_batches
from r2mae_bio.core._seeded import seeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.masking import RatioLaw
    from r2mae_bio.tokens import TokenBatch

__all__ = ["CellFinetuneResult", "LabelledCells", "finetune_cell_classifier"]

logger = logging.getLogger("r2mae_bio")

_PROBE_ITERATIONS = 2000


@dataclass(frozen=True, eq=False)
class CellFinetuneResult:
    """A fine-tuned classifier."""

    network: CellClassifierNetwork
    """With the weights that lost least on the dev cells, in evaluation mode."""
    history: list[dict[str, float]] = field(repr=False)
    """One row per look at the dev cells, that at the linear probe (step 0) first; see
    :meth:`DevCells.score`.
    """
    best_step: int
    """Step of the weights that were kept; 0 if that is the linear probe."""
    interrupted: bool
    """Whether Ctrl-C ended the run."""


def finetune_cell_classifier(
    autoencoder: GeneMaskedAutoencoder,
    cells: LabelledCells,
    *,
    law: RatioLaw,
    n_latent: int,
    freeze_encoder: bool = False,
    config: CellFinetuneConfig | None = None,
    seed: int = 0,
    progress_bar: bool = False,
) -> CellFinetuneResult:
    """Train a copy of a gene encoder, and a head, to classify cells.

    The head begins at a multinomial logistic regression on the standardised embeddings of the
    training cells, seen in full, so that the first weights that are scored are those of a linear
    probe; others are kept only if they lose less on the dev cells. Then AdamW with a warm-up and a
    cosine; in every step some of the cells are seen in full, of the others a random part. What is
    scored and kept is a running mean of the weights, with a temperature that is fitted to the dev
    cells.

    Parameters
    ----------
    autoencoder
        The pretrained network. Its encoder is copied; it stays as it is.
    cells
        Cells to learn from and to judge by.
    law
        Of the mask ratio.
    n_latent
        Dimensions of the embedding.
    freeze_encoder
        Train the head alone.
    config
        Settings.
    seed
        Of the hidden layer, the order of cells, masks and dropout.
    progress_bar
        Show progress on standard error.

    Returns
    -------
    The classifier and how it came about. After Ctrl-C it is the best one so far.

    Raises
    ------
    DataError
        Fewer than two genes were measured.
    TrainingError
        The loss or an embedding is not finite.
    KeyboardInterrupt
        Ctrl-C came before the linear probe was scored, so that there is nothing to keep.
    """
    config = config or CellFinetuneConfig()
    with seeded(derive_seed(seed, "finetune-cells"), next(autoencoder.parameters()).device):
        network = _build(autoencoder, cells.n_classes, n_latent, config)
        _start_at_probe(network, cells, config)
        run = _Run(network, cells, law, config, freeze_encoder=freeze_encoder, seed=seed)
        interrupted = run.to_the_end(progress_bar=progress_bar)
    network.load_state_dict(run.best)
    return CellFinetuneResult(network.eval().requires_grad_(False), run.history, run.best_step, interrupted)


def _build(
    autoencoder: GeneMaskedAutoencoder, n_classes: int, n_latent: int, config: CellFinetuneConfig
) -> CellClassifierNetwork:
    device = next(autoencoder.parameters()).device
    network = CellClassifierNetwork(autoencoder, n_latent, n_classes, n_hidden=config.n_hidden, dropout=config.dropout)
    return copy.deepcopy(network).to(device).requires_grad_(True)


def _start_at_probe(network: CellClassifierNetwork, cells: LabelledCells, config: CellFinetuneConfig) -> None:
    """Standardisation and linear head of a logistic regression on what the encoder makes of the
    training cells.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    x = _embeddings(network.eval(), cells)
    mean, scale = x.mean(axis=0), x.std(axis=0)
    scale[scale <= 1e-6 * np.abs(mean) + 1e-12] = 1.0  # a dimension that says nothing
    probe = LogisticRegression(C=config.probe_strength, max_iter=_PROBE_ITERATIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is a start, which need not be right to the last digit
        probe.fit((x - mean) / scale, cells.labels[cells.train])
    weight, bias = probe.coef_, probe.intercept_
    if cells.n_classes == 2:  # scikit-learn gives the log-odds alone
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    with torch.no_grad():
        network.mean.copy_(torch.from_numpy(mean))
        network.scale.copy_(torch.from_numpy(scale))
        network.linear.weight.copy_(torch.from_numpy(weight))
        network.linear.bias.copy_(torch.from_numpy(bias))


@torch.inference_mode()
def _embeddings(network: CellClassifierNetwork, cells: LabelledCells) -> NDArray[np.float64]:
    batches = cells.table.batches(device=network.mean.device, cells=cells.train)
    chunks = [network.embed(batch.tokens()) for _, batch in batches]
    embedding = torch.cat(chunks).double().cpu().numpy()
    n_bad = int((~np.isfinite(embedding).all(axis=1)).sum())
    if n_bad:
        message = f"The embeddings of {n_bad} of {len(embedding)} cells are not finite; needed are finite ones. Check the model's weights."
        raise TrainingError(message)
    return embedding


class _Run(FinetuneRun[CellClassifierNetwork, CellFinetuneConfig, "NDArray[np.int64]"]):
    """One run in progress."""

    def __init__(
        self,
        network: CellClassifierNetwork,
        cells: LabelledCells,
        law: RatioLaw,
        config: CellFinetuneConfig,
        *,
        freeze_encoder: bool,
        seed: int,
    ) -> None:
        network.encoder.requires_grad_(not freeze_encoder)
        n_batches = batches_per_epoch(cells.train.size, config.batch_size)
        super().__init__(network, _parameter_groups(network, config), config, n_batches=n_batches)
        self.cells, self.law, self.seed, self.frozen = cells, law, seed, freeze_encoder
        self.dev = DevCells(cells, law, n_views=config.dev_views, seed=seed)
        self.best: dict[str, Tensor] = {}
        self.best_loss = math.inf
        self._evaluate(0, math.nan)
        with torch.no_grad():
            network.sharpness.copy_(self.averaged.sharpness)

    def to_the_end(self, *, progress_bar: bool) -> bool:
        """Train; returns whether Ctrl-C ended it."""
        try:
            with count_steps("fine-tuning", self.n_steps, shown=progress_bar) as self.after_step:
                self._run_steps()
        except KeyboardInterrupt:
            logger.warning("Fine-tuning was interrupted; the weights of step %d are kept.", self.best_step)
            return True
        except torch.linalg.LinAlgError as error:  # the read of genes solves equations, which fail before the loss does
            raise TrainingError(self._diverged(f"The encoder cannot read genes any more ({error})")) from error
        return False

    def _batches(self) -> Iterator[NDArray[np.int64]]:
        train = self.cells.train
        for epoch in count():
            order = epoch_batches(train.size, self.config.batch_size, seed=derive_seed(self.seed, "finetune-order"), epoch=epoch)
            yield from (train[piece] for piece in order)

    def _loss(self, step: int, rows: NDArray[np.int64]) -> Tensor:
        if self.frozen:
            self.network.encoder.eval()
        logits = self.network(self._visible(step, rows))
        return F.cross_entropy(logits, torch.from_numpy(self.cells.labels[rows]).to(logits.device))

    def _visible(self, step: int, rows: NDArray[np.int64]) -> TokenBatch:
        rng = derive_generator(self.seed, "finetune-mask", step)
        share, progress = self.config.full_share, step / self.n_steps
        return hide_some(self.cells.table.batch(rows), self.law, rng, device=self.device, full_share=share, progress=progress)

    def _evaluate(self, step: int, train_loss: float) -> None:
        score = self.dev.score(self.averaged)
        self.history.append({"step": step, "train_loss": train_loss, **score})
        self.waited += 1
        if score["dev_loss"] < self.best_loss:
            self.best_loss, self.best_step, self.waited = score["dev_loss"], step, 0
            self.best = copy.deepcopy(self.averaged.state_dict())


def _parameter_groups(network: CellClassifierNetwork, config: CellFinetuneConfig) -> list[dict[str, Any]]:
    """Parameters that are trained, by step size and decay."""
    groups: dict[tuple[float, float], list[Tensor]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = config.learning_rate
        if name.startswith("encoder."):
            rate *= config.encoder_rate * (config.read_rate if name.startswith("encoder.read.") else 1.0)
        decay = config.weight_decay if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()]
