"""How well probabilities of classes fit the labels, over a whole set at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import rankdata

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["class_metrics", "matthews_correlation"]


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
    n_positive = int(positive.sum())
    n_negative = len(positive) - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    return float((rankdata(score)[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative))


def _macro_f1(confusion: NDArray[np.float64]) -> float:
    present = confusion.sum(axis=1) > 0
    f1 = 2 * np.diag(confusion) / np.maximum(confusion.sum(axis=0) + confusion.sum(axis=1), 1)
    return float(f1[present].mean())
