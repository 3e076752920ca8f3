"""Logistic regression whose penalty is chosen on the cells it learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, PredefinedSplit

from r2mae_bio._splits import deal_folds

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTHS: Final = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Inverse L2 strengths (C) among which cross-validation chooses."""
_MAX_ITER: Final = 2000


def logistic_regression(strength: float = 1.0) -> LogisticRegression:
    """Multinomial, with an L2 penalty of this inverse strength."""
    return LogisticRegression(C=strength, max_iter=_MAX_ITER)


def tuned_logistic_regression(labels: NDArray[np.str_]) -> GridSearchCV | LogisticRegression:
    """A classifier, still to be fitted to features of these cells, in their order.

    The inverse strength is the one of :data:`STRENGTHS` with the smallest log-loss in five folds,
    to which the cells of each class are dealt. Where fewer than two classes have two cells, nothing
    can be held out, and it is 1.

    Parameters
    ----------
    labels
        Class per cell (n_cells,).
    """
    _, codes, sizes = np.unique(labels, return_inverse=True, return_counts=True)
    if np.count_nonzero(sizes > 1) < 2:
        return logistic_regression()
    folds = PredefinedSplit(deal_folds(codes, None, seed=0))
    return GridSearchCV(logistic_regression(), {"C": STRENGTHS}, scoring=_log_likelihood, cv=folds)


def _log_likelihood(classifier: LogisticRegression, features: NDArray[Any], labels: NDArray[np.str_]) -> float:
    """Mean over the cells of classes that the classifier has seen. It has not seen a class of which
    the only cell is held out.
    """
    known = np.isin(labels, classifier.classes_)
    if not known.any():
        return 0.0
    return -float(log_loss(labels[known], classifier.predict_proba(features[known]), labels=classifier.classes_))
