"""Scores that several benchmarks give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.metrics import f1_score

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["macro_f1"]


def macro_f1(truth: NDArray[np.str_], predicted: NDArray[np.str_]) -> float:
    """Over the classes that there are, as probes are scored."""
    return float(f1_score(truth, predicted, labels=np.unique(truth), average="macro", zero_division=0.0))
