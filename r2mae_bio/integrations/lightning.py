"""Realised mask ratios, and the loss by ratio, of any Lightning module."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
import torch

from r2mae_bio._errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

try:  # a trainer of either package takes callbacks of its own alone, before Lightning 2.6
    from lightning.pytorch import Callback as _Other
except ImportError:
    _Other = object

__all__ = ["MaskRatioLogger", "ratio_of_labels"]


def ratio_of_labels(batch: Mapping[str, Any], outputs: Any) -> torch.Tensor:
    """Share of the tokens of each row that are to be predicted, as masked language models say it.

    Parameters
    ----------
    batch
        With ``labels``, -100 where nothing is predicted, and ``attention_mask`` if there is
        padding.
    outputs
        Not looked at.

    Returns
    -------
    float32 (B,).
    """
    labels = batch["labels"]
    here = batch["attention_mask"] if "attention_mask" in batch else torch.ones_like(labels)
    return (labels != -100).sum(1) / here.sum(1).clamp(min=1)


class MaskRatioLogger(pl.Callback, _Other):  # type: ignore[misc]
    """Logs the mean mask ratio, and the mean loss of minibatches by their ratio, of each epoch of
    training: ``mask_ratio`` and ``train_loss_0.0-0.2`` to ``train_loss_0.8-1.0``.

    Takes the place of a callback of either ``pytorch_lightning`` or ``lightning.pytorch``.

    Parameters
    ----------
    ratio
        From a minibatch and what ``training_step`` returned to the share that was hidden, a number
        or a tensor of one per row; by default that of masked language models.
    n_bins
        Number of bins of the ratio, of equal width.

    Raises
    ------
    ConfigError
        ``n_bins`` is not positive; in training, ``ratio`` gave what is no share.
    """

    def __init__(self, ratio: Callable[[Any, Any], Any] = ratio_of_labels, *, n_bins: int = 5) -> None:
        if not (isinstance(n_bins, int) and n_bins > 0):
            message = f"n_bins is {n_bins!r}; needed is a positive whole number."
            raise ConfigError(message)
        self.ratio, self.n_bins = ratio, n_bins
        self._forget()

    def _forget(self) -> None:
        self._loss, self._n, self._ratio = np.zeros(self.n_bins), np.zeros(self.n_bins), 0.0

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Begin anew."""
        self._forget()

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note the ratio and the loss of a minibatch; one without a loss is passed over."""
        loss = outputs.get("loss") if isinstance(outputs, dict) else outputs
        if loss is None:
            return
        ratio = float(torch.as_tensor(self.ratio(batch, outputs), dtype=torch.float32).mean())
        if not 0 <= ratio <= 1:
            message = f"ratio gave {ratio:.4g} for a minibatch; needed is the share that was hidden, from 0 to 1."
            raise ConfigError(message)
        place = min(int(ratio * self.n_bins), self.n_bins - 1)
        self._loss[place] += float(loss) * trainer.accumulate_grad_batches  # by which Lightning divided it
        self._n[place] += 1
        self._ratio += ratio

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log what was noted."""
        if not self._n.sum():
            return
        found = {"mask_ratio": self._ratio / self._n.sum()}
        for place in np.flatnonzero(self._n):
            low, high = place / self.n_bins, (place + 1) / self.n_bins
            found[f"train_loss_{low:.1f}-{high:.1f}"] = self._loss[place] / self._n[place]
        pl_module.log_dict({name: float(value) for name, value in found.items()})
