"""Whether probabilities mean what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._splits import as_labels

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["expected_calibration_error"]

_TOLERANCE = 1e-3
"""How far a row of float32 probabilities may be from a sum of one."""


def expected_calibration_error(
    labels: ArrayLike, probabilities: ArrayLike, *, n_bins: int = 15, classes: ArrayLike | None = None
) -> float:
    r"""How far the confidence of a classifier is from the share of its answers that are right.

    The confidence of a cell is the largest of its probabilities, and its answer the class that has
    it. Confidences are put into M bins of equal width, ((m - 1) / M, m / M], and

    .. math::
        \mathrm{ECE} = \sum_{m=1}^{M} \frac{|B_m|}{n} \, |\mathrm{acc}(B_m) - \mathrm{conf}(B_m)|,

    where acc is the share of right answers in a bin and conf its mean confidence (Guo, Pleiss, Sun
    & Weinberger 2017, "On calibration of modern neural networks", ICML, arXiv:1706.04599). A label
    that is none of the classes makes an answer wrong. The error is biased upwards where bins hold
    few cells.

    Parameters
    ----------
    labels
        True class of each cell (n_cells,): positions of columns, or names if ``classes`` are given
        or ``probabilities`` is a data frame.
    probabilities
        Probabilities (n_cells, n_classes), rows with a sum of one; an array, or a data frame with
        the classes as columns.
    n_bins
        Number of bins, M.
    classes
        Names of the columns (n_classes,); those of the data frame if None.

    Returns
    -------
    A number between 0 (calibrated) and 1.

    Raises
    ------
    ConfigError
        There is no bin.
    DataError
        Shapes do not fit, labels are missing or none is a class, or the rows are no probabilities.
    """
    if n_bins < 1:
        message = f"n_bins is {n_bins}; at least one bin is needed."
        raise ConfigError(message)
    table, truth = _as_probabilities(probabilities), as_labels(labels)
    names = as_labels(_class_names(probabilities, classes, table.shape[1]), "classes")
    if len(truth) != len(table) or len(names) != table.shape[1]:
        message = (
            f"There are {len(truth)} labels and {len(names)} classes for probabilities of shape {table.shape}; they must agree."
        )
        raise DataError(message)
    if not np.isin(truth, names).any():
        message = f"None of the {len(truth)} labels is one of the classes {', '.join(names[:5])}; pass the names of the columns as classes."
        raise DataError(message)
    confidence, right = table.max(axis=1), names[table.argmax(axis=1)] == truth
    bins = np.searchsorted(np.arange(1, n_bins) / n_bins, confidence, side="left")  # the right edge belongs to the bin
    gap = np.bincount(bins, weights=right - confidence, minlength=n_bins)
    return float(np.abs(gap).sum() / len(table))


def _class_names(probabilities: ArrayLike, classes: ArrayLike | None, n_classes: int) -> ArrayLike:
    if classes is not None:
        return classes
    return getattr(probabilities, "columns", np.arange(n_classes))


def _as_probabilities(probabilities: ArrayLike) -> NDArray[np.float64]:
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or 0 in table.shape:
        message = f"Probabilities have shape {table.shape}; (cells, classes) with at least one of each is needed."
        raise DataError(message)
    wrong = ~((table >= 0).all(axis=1) & (np.abs(table.sum(axis=1) - 1) <= _TOLERANCE))  # also true of NaN
    if wrong.any():
        row = int(np.flatnonzero(wrong)[0])
        message = (
            f"{int(wrong.sum())} of {len(table)} rows are no probabilities, for example row {row} with the sum {table[row].sum():.4g}; "
            "values of 0 or more with a sum of one are needed. Apply a softmax to logits first."
        )
        raise DataError(message)
    return table
