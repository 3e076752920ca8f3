"""The linear readings of a task: which k-mers are counted, regressions on them, and the one that
the dev rows like best.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from scipy import sparse
from scipy.special import softmax

from r2mae_bio.config._settings import check_setting
from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.dna.fit._linear import FittedLinear, fit_linear
from r2mae_bio.dna.fit._sequence_batches import SequenceGroups, predict_classes
from r2mae_bio.dna.network._linear_reading import LinearReading
from r2mae_bio.dna.sequences._features import kmer_counts, positional_one_hot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.sequences._table import LabelledSequences, SequenceTable

WEIGHTS: Final = (0.0, *(float(2 ** (i / 2)) for i in range(-8, 5)))
"""Weights that are tried: none, and from 1/16 to 4 in steps of the square root of two."""
_LONGEST: Final = 12
"""Longer k-mers have more weights than a reading could learn, 16 million for each class."""
_LEAST: Final = 1e-12
"""A probability of zero counts as this, so that the loss stays finite."""


def log_loss(probabilities: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Mean negative log-probability of the true class in nats, of probabilities (rows, K) and
    labels (rows,).
    """
    chosen = probabilities[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(chosen, _LEAST)).mean())


def choose_mix(
    states: NDArray[np.floating], linear: NDArray[np.floating], labels: NDArray[np.int64]
) -> tuple[tuple[float, float], float]:
    """Weights (a, b) for which the probabilities of ``a * states + b * linear`` lose least.

    Either reading alone, at any of the weights, is among the candidates; of equally good ones the
    first has the smaller b.

    Parameters
    ----------
    states, linear
        Logits of each strand (strands, rows, K); probabilities are the mean over the first axis.
    labels
        Classes, 0 to K - 1 (rows,).

    Returns
    -------
    The weights, neither negative and not both zero, and the loss in nats.
    """
    states, linear = states.astype(np.float64), linear.astype(np.float64)
    pairs = [(a, b) for b, a in itertools.product(WEIGHTS, repeat=2) if a + b > 0]
    losses = [log_loss(softmax(a * states + b * linear, axis=-1).mean(axis=0), labels) for a, b in pairs]
    best = int(np.argmin(losses))
    return pairs[best], losses[best]


@dataclass(frozen=True)
class KmerFeatures:
    """Which k-mers of a sequence are counted."""

    k: int
    """Length of the k-mers that are counted wherever they stand, bp."""
    both_strands: bool = False
    """Whether a k-mer and its reverse complement are one."""
    position_k: int | None = None
    """Length of the k-mers that are also told apart by position, bp."""

    def __post_init__(self) -> None:
        lengths = [self.k] if self.position_k is None else [self.k, self.position_k]
        possible = all(isinstance(k, int) and 1 <= k <= _LONGEST for k in lengths)
        check_setting(possible, f"k-mers have the lengths {lengths}; needed are 1 to {_LONGEST}, each word having a weight.")

    def __str__(self) -> str:
        places = {None: "", 1: "positional + ", 2: "positional pairs + "}
        place = places.get(self.position_k, f"positional {self.position_k}-mer + ")
        return f"{place}{self.k}-mer{' of both strands' if self.both_strands else ''}"

    def __call__(self, rows: LabelledSequences) -> sparse.csr_array:
        """Features float32 (rows, F): zeros and ones by position, if any, then counts."""
        counts = kmer_counts(rows.codes, self.k, both_strands=self.both_strands)
        if self.position_k is None:
            return counts
        return sparse.hstack([positional_one_hot(np.stack(rows.codes), k=self.position_k), counts], format="csr")

    def reading(self, n_classes: int, length: int | None) -> LinearReading:
        """A reading of these k-mers, its weights still zero."""
        return LinearReading(n_classes, self.k, position_k=self.position_k, length=length if self.position_k else None)


@dataclass(frozen=True, eq=False)
class FittedReading:
    """A logistic regression on k-mers as a module."""

    features: KmerFeatures
    """The k-mers."""
    strength: float
    """The inverse L2 strength that was picked."""
    module: LinearReading
    """Logits (B, K) of codes (B, L)."""


def fit_readings(table: SequenceTable) -> list[FittedReading]:
    """Logistic regressions on 5-mers and 6-mers of one strand and of both and, where all lengths
    are equal, pairs by position.

    They do not depend on a seed; where a task is learned several times they need to be fitted once.

    Parameters
    ----------
    table
        The task; its test part is not looked at.

    Returns
    -------
    One per kind of features, its strength picked by the MCC on the dev rows.
    """
    kinds = [KmerFeatures(k, both_strands=both) for k in (5, 6) for both in (False, True)]
    if table.length is not None and table.length > 1:
        kinds.append(KmerFeatures(4, position_k=2))
    return [_fit(table, kind) for kind in kinds]


def pick_reading(
    readings: Sequence[FittedReading], rows: LabelledSequences, *, both_strands: bool
) -> tuple[FittedReading, dict[str, float]]:
    """The reading that is best on some rows.

    Parameters
    ----------
    readings
        The candidates.
    rows
        The dev rows.
    both_strands
        Whether probabilities are the mean over both strands.

    Returns
    -------
    The one with the largest MCC, of equal ones that with the smaller loss; and its ``mcc`` and
    ``loss`` (nats).
    """
    groups = SequenceGroups(rows.codes)
    scores = []
    for reading in readings:
        probabilities = predict_classes(reading.module, groups, both_strands=both_strands)
        scores.append((class_metrics(rows.labels, probabilities)["mcc"], -log_loss(probabilities, rows.labels)))
    best = max(range(len(scores)), key=scores.__getitem__)
    return readings[best], {"mcc": scores[best][0], "loss": -scores[best][1]}


def _fit(table: SequenceTable, features: KmerFeatures) -> FittedReading:
    fitted = fit_linear(features(table.train), table.train.labels, dev=features(table.dev), dev_labels=table.dev.labels)
    module = features.reading(len(table.classes), table.length)
    _fill(module, fitted, features)
    return FittedReading(features, fitted.strength, module)


def _fill(module: LinearReading, fitted: FittedLinear, features: KmerFeatures) -> None:
    weights, bias = _symmetric(fitted.classifier.coef_), _symmetric(fitted.classifier.intercept_)
    by_position = None
    if features.position_k is not None:
        shape = module.by_position.shape
        n_placed = shape[0] * 4**features.position_k
        by_position = torch.from_numpy(weights[:, :n_placed].T.reshape(shape[0], -1, shape[2]))
        weights = weights[:, n_placed:]
    # The weight of a word is that of its column, which for both strands may be the column of its
    # reverse complement.
    columns = kmer_counts(list(_all_words(features.k)), features.k, both_strands=features.both_strands)
    module.fill(torch.from_numpy(bias), torch.from_numpy(columns @ weights.T), by_position)


def _symmetric(values: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of each class (K, ...); scikit-learn gives one row for two classes, the log odds of the
    second.
    """
    exact = np.asarray(values, np.float64)
    return np.concatenate([-exact / 2, exact / 2]) if len(exact) == 1 else exact


def _all_words(k: int) -> NDArray[np.uint8]:
    """Every k-mer in the order of its column, codes (4**k, k)."""
    return (np.arange(4**k)[:, None] // 4 ** np.arange(k - 1, -1, -1) % 4).astype(np.uint8)
