"""Logistic regression whose strength is picked on dev rows, and the question that it answers about
strands.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from scipy import sparse

from r2mae_bio.core._metrics import matthews_correlation
from r2mae_bio.dna.genome._bases import reverse_complement
from r2mae_bio.dna.sequences._features import kmer_counts, positional_one_hot
from r2mae_bio.dna.sequences._table import LabelledSequences

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.dna.sequences._table import SequenceTable

__all__ = ["Features", "FittedLinear", "fit_features", "fit_linear", "strands_agree"]

Features: TypeAlias = "Callable[[LabelledSequences], Any]"
"""From sequences to features (rows, F)."""

STRENGTHS: Final = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Inverse L2 strengths that are tried."""
_MAX_ITERATIONS: Final = 300
_PILOT_ROWS: Final = 8_000
"""Training rows that the question about strands looks at."""


@dataclass(frozen=True, eq=False)
class FittedLinear:
    """A logistic regression."""

    classifier: Any
    """Of scikit-learn."""
    strength: float
    """The inverse L2 strength that was picked."""
    dev_mcc: float
    """MCC on the dev rows."""

    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        """Probabilities (rows, K) of features (rows, F)."""
        return np.asarray(self.classifier.predict_proba(features), np.float64)


def fit_linear(
    train: Any, labels: NDArray[np.int64], *, dev: Any, dev_labels: NDArray[np.int64], strengths: Sequence[float] = STRENGTHS
) -> FittedLinear:
    """Fit logistic regressions with an L2 penalty and keep the one with the best MCC on the dev
    rows.

    Parameters
    ----------
    train, dev
        Features, dense or sparse (rows, F).
    labels, dev_labels
        Classes, 0 to K - 1 (rows,); every class is in ``labels``.
    strengths
        Inverse L2 strengths; of equally good ones the first is kept.

    Returns
    -------
    The best one.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    best: FittedLinear | None = None
    for strength in strengths:
        classifier = LogisticRegression(C=strength, max_iter=_MAX_ITERATIONS)
        with warnings.catch_warnings():
            # A weak penalty is not solved to the last digit; the dev rows judge what was reached.
            warnings.simplefilter("ignore", ConvergenceWarning)
            classifier.fit(train, labels)
        mcc = matthews_correlation(dev_labels, classifier.predict(dev))
        if best is None or mcc > best.dev_mcc:
            best = FittedLinear(classifier, strength, mcc)
    assert best is not None
    return best


def fit_features(table: SequenceTable, candidates: Sequence[Features]) -> tuple[FittedLinear, Features]:
    """Logistic regressions on several kinds of features, and the kind and strength that are best on
    the dev rows.

    Parameters
    ----------
    table
        The task; the test part is not looked at.
    candidates
        Functions from sequences to features (rows, F).

    Returns
    -------
    The regression and its features; of equally good ones the first.
    """
    best: tuple[FittedLinear, Features] | None = None
    for features in candidates:
        fitted = fit_linear(features(table.train), table.train.labels, dev=features(table.dev), dev_labels=table.dev.labels)
        if best is None or fitted.dev_mcc > best[0].dev_mcc:
            best = fitted, features
    assert best is not None
    return best


def strands_agree(table: SequenceTable) -> bool:
    """Whether labels may be learned from either strand, judged on the dev rows.

    Two logistic regressions on 4-mer counts and, where all lengths are equal, bases by position are
    compared: one trained on the sequences, one on half of them with their reverse complements
    beside them. Where a label belongs to a strand, as at splice sites, the second is worse; where
    it does not, as at most binding sites, the second loses nothing, since each strand is an
    example.

    Parameters
    ----------
    table
        The task; its test part is not looked at.

    Returns
    -------
    True if the second one's MCC on the dev rows is no worse than the first's, up to one standard
    error of a share of dev rows.
    """
    train, dev = _head(table.train, _PILOT_ROWS), table.dev
    half = _head(train, len(train) // 2)
    turned = LabelledSequences([reverse_complement(codes) for codes in half.codes], half.labels)
    doubled = LabelledSequences([*half.codes, *turned.codes], np.concatenate([half.labels, turned.labels]))
    scores = [_pilot(rows, dev, by_position=table.length is not None) for rows in (train, doubled)]
    return bool(scores[1] >= scores[0] - 1 / np.sqrt(len(dev)))  # NumPy's own cannot be saved


def _head(rows: LabelledSequences, n: int) -> LabelledSequences:
    """About n rows, evenly spread class by class, so that files sorted by class lose none."""
    if n >= len(rows):
        return rows
    order = np.argsort(rows.labels, kind="stable")
    return rows.take(np.sort(order[np.linspace(0, len(rows) - 1, n).astype(np.intp)]))


def _pilot(train: LabelledSequences, dev: LabelledSequences, *, by_position: bool) -> float:
    features = [_pilot_features(part, by_position=by_position) for part in (train, dev)]
    fitted = fit_linear(features[0], train.labels, dev=features[1], dev_labels=dev.labels, strengths=(1e-2, 1e-1))
    return fitted.dev_mcc


def _pilot_features(part: LabelledSequences, *, by_position: bool) -> sparse.csr_array:
    counts = kmer_counts(part.codes, 4)
    return sparse.hstack([counts, positional_one_hot(np.stack(part.codes))], format="csr") if by_position else counts
