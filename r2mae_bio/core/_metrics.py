"""Scores of training: loss by mask ratio, and how well probabilities of classes fit labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray
    from torch import Tensor

    from r2mae_bio.core._objective import Score

__all__ = ["RatioMeter", "class_metrics", "matthews_correlation"]

N_FINE = 20
"""Bins of the realised ratio that are counted."""
N_COARSE = 5
"""Bins of the ratio for which a loss is reported."""
_SUMS = "meter"


class RatioMeter:
    """Sums of nats, hidden slots and rows in twenty bins of the realised ratio."""

    def __init__(self) -> None:
        self.sums = torch.zeros(3, N_FINE, dtype=torch.float64)
        self.parts: dict[str, Tensor] = {}

    @torch.no_grad()
    def update(self, score: Score, ratio: Tensor) -> None:
        """Add rows.

        Parameters
        ----------
        score
            Nats and weights of each row's hidden slots, (B,).
        ratio
            Realised ratio of each row, (B,).
        """
        if self.sums.device != score.nats.device:
            self.sums = self.sums.to(score.nats.device)
            self.parts = {name: sums.to(score.nats.device) for name, sums in self.parts.items()}
        index = (ratio * N_FINE).long().clamp(max=N_FINE - 1)
        new = torch.stack([score.nats.double(), score.weight.double(), torch.ones_like(score.nats, dtype=torch.float64)])
        self.sums.index_add_(1, index, new)
        for name, (nats, weight) in score.parts.items():
            new = torch.stack([nats.double(), weight.double()])
            self.parts[name] = self.parts[name] + new if name in self.parts else new

    def report(self, prefix: str) -> dict[str, float]:
        """Nats per hidden slot overall, ``{prefix}_loss``, and per ratio bin,
        ``{prefix}_loss_0.0-0.2``; empty bins are NaN.
        """
        nats, slots, _ = self.sums.cpu().view(3, N_COARSE, -1).sum(2)
        losses = (nats / slots).tolist()
        names = [f"{prefix}_loss_{i / N_COARSE:.1f}-{(i + 1) / N_COARSE:.1f}" for i in range(N_COARSE)]
        parts = {f"{prefix}_loss_{name}": float(x[0] / x[1]) for name, x in self.parts.items()}
        return {f"{prefix}_loss": float(nats.sum() / slots.sum()), **dict(zip(names, losses, strict=True)), **parts}

    def summed(self, over_ranks: Callable[[Tensor], Tensor]) -> RatioMeter:
        """The meter of all ranks.

        Parameters
        ----------
        over_ranks
            Sums a tensor over ranks; each of them calls it.
        """
        made = RatioMeter()
        made.sums = over_ranks(self.sums.clone())
        made.parts = {name: over_ranks(self.parts[name].clone()) for name in sorted(self.parts)}
        return made

    def rows(self) -> list[int]:
        """Number of rows in each fine bin of the realised ratio."""
        return [int(n) for n in self.sums[2].tolist()]

    def tensors(self) -> dict[str, Tensor]:
        """Everything it holds, by name, for a checkpoint."""
        return {_SUMS: self.sums, **{f"{_SUMS}.{name}": sums for name, sums in self.parts.items()}}

    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from what :meth:`tensors` gave.

        Parameters
        ----------
        tensors
            Tensors by name; those of others are passed over.
        """
        prefix = f"{_SUMS}."
        self.sums = tensors[_SUMS].double().clone()
        self.parts = {key.removeprefix(prefix): sums.double().clone() for key, sums in tensors.items() if key.startswith(prefix)}

    def reset(self) -> None:
        """Start again from nothing."""
        self.sums = torch.zeros_like(self.sums)
        self.parts = {}


def class_metrics(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> dict[str, float]:
    """MCC, AUROC, accuracy and macro-F1 of one set of rows.

    Metrics of parts of a set must not be averaged: in files sorted by class every part has one
    class, and its MCC says nothing.

    Parameters
    ----------
    labels
        True class of each row, 0 to K - 1 (rows,).
    probabilities
        Probability, or any score that grows with it, of each class (rows, K), K at least 2. The
        largest is the prediction.

    Returns
    -------
    ``mcc``, the correlation of Gorodkin (2004), which for two classes is that of Matthews, 0 if
    either side has one class only; ``auroc``, the probability that a row of a class has a larger
    score for it than another row, mean over the classes that some rows have and some lack, NaN if
    there is none; ``accuracy``; ``macro_f1``, mean over the classes that are present in the labels.
    """
    n_classes = probabilities.shape[1]
    confusion = _confusion(labels, probabilities.argmax(axis=1), n_classes)
    return {
        "mcc": _mcc(confusion),
        "auroc": _auroc(labels, probabilities),
        "accuracy": float(np.trace(confusion) / confusion.sum()),
        "macro_f1": _macro_f1(confusion),
    }


def matthews_correlation(labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> float:
    """MCC of predicted classes; see :func:`class_metrics`.

    Parameters
    ----------
    labels, predicted
        Classes, 0 to K - 1 (rows,).

    Returns
    -------
    A number from -1 to 1.
    """
    return _mcc(_confusion(labels, predicted, int(max(labels.max(), predicted.max())) + 1))


def _confusion(labels: NDArray[np.int64], predicted: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """Rows by true class (first axis) and predicted class."""
    cells = np.bincount(labels * n_classes + predicted, minlength=n_classes**2)
    return cells.reshape(n_classes, n_classes).astype(np.float64)


def _mcc(confusion: NDArray[np.float64]) -> float:
    n, true, predicted = confusion.sum(), confusion.sum(axis=1), confusion.sum(axis=0)
    scale = np.sqrt((n**2 - predicted @ predicted) * (n**2 - true @ true))
    return float((n * np.trace(confusion) - true @ predicted) / scale) if scale > 0 else 0.0


def _auroc(labels: NDArray[np.int64], probabilities: NDArray[np.floating]) -> float:
    areas = [_area(labels == k, probabilities[:, k]) for k in range(probabilities.shape[1])]
    areas = [area for area in areas if not np.isnan(area)]
    return float(np.mean(areas)) if areas else float("nan")


def _area(positive: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """The Mann-Whitney statistic; ties count half."""
    from scipy.stats import rankdata  # takes a second, which those who only embed need not wait for

    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    return float((rankdata(score)[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def _macro_f1(confusion: NDArray[np.float64]) -> float:
    present = confusion.sum(axis=1) > 0
    f1 = 2 * np.diag(confusion) / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    return float(f1[present].mean())
