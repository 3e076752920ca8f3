"""Probes: how much of the cell types a simple classifier reads from an embedding."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._splits import as_labels
from r2mae_bio.evaluate._logistic import logistic_regression, tuned_logistic_regression

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = ["FittedProbe", "ProbeKind", "ProbeResult", "fit_probe", "probe"]

ProbeKind: TypeAlias = Literal["linear", "knn", "tuned"]

N_NEIGHBORS = 15
"""Neighbours that vote in the kNN probe."""


@dataclass(frozen=True)
class ProbeResult:
    """Scores of one probe on one set of query cells."""

    accuracy: float
    """Share of query cells with the right label."""
    macro_f1: float
    """Unweighted mean of ``per_class``."""
    per_class: dict[str, float]
    """F1 of each class that is present in the query labels."""
    n_query: int
    """Number of query cells."""


@dataclass(frozen=True)
class FittedProbe:
    """A classifier trained on reference embeddings; made by :func:`fit_probe`."""

    kind: ProbeKind
    """``"linear"``, ``"knn"`` or ``"tuned"``."""
    n_features: int
    """Width of the reference embedding."""
    _classifier: Pipeline = field(repr=False)

    @property
    def classes(self) -> NDArray[np.str_]:
        """Names of the reference classes, sorted, (n_classes,)."""
        return np.asarray(self._classifier.classes_)

    def predict(self, query: ArrayLike) -> NDArray[np.str_]:
        """Labels (n_query,) for query embeddings (n_query, k)."""
        return np.asarray(self._classifier.predict(self._features(query)))

    def predict_proba(self, query: ArrayLike) -> NDArray[np.float64]:
        """Probabilities (n_query, n_classes) of the :attr:`classes` for query embeddings
        (n_query, k); shares of the votes for ``"knn"``.
        """
        return np.asarray(self._classifier.predict_proba(self._features(query)))

    def _features(self, query: ArrayLike) -> NDArray[np.float64]:
        features = _as_embedding(query, "query")
        if features.shape[1] != self.n_features:
            message = f"The query embedding has {features.shape[1]} columns, the reference {self.n_features}; they must agree."
            raise DataError(message)
        return features

    def score(self, query: ArrayLike, labels: ArrayLike) -> ProbeResult:
        """Compare predicted with true labels.

        Cells of a class that the reference lacks count as wrong. A class that is predicted but
        absent from the query costs recall where it was predicted, and is not averaged over.

        Parameters
        ----------
        query
            Query embeddings (n_query, k).
        labels
            True class per query cell (n_query,).

        Returns
        -------
        Accuracy and F1, both between 0 and 1.

        Raises
        ------
        DataError
            Shapes do not fit, values are not finite or labels are missing.
        """
        truth = as_labels(labels)
        predicted = self.predict(query)
        _check_rows(predicted, truth, "query")
        classes = np.unique(truth)
        f1 = f1_score(truth, predicted, labels=classes, average=None, zero_division=0.0)
        per_class = {str(label): float(value) for label, value in zip(classes, f1, strict=True)}
        return ProbeResult(float(np.mean(truth == predicted)), float(np.mean(f1)), per_class, len(truth))


def fit_probe(reference: ArrayLike, reference_labels: ArrayLike, *, kind: ProbeKind = "linear") -> FittedProbe:
    """Train a probe once, to be applied to many queries.

    ``"linear"``: every dimension is standardised with the reference's mean and deviation, then
    multinomial logistic regression with L2 penalty, C = 1. ``"tuned"``: the same, with the C of
    1e-4 to 100 that has the smallest log-loss in five folds of the reference cells. ``"knn"``:
    majority of the 15 nearest reference cells by Euclidean distance, not standardised, as in
    ``scanpy.pp.neighbors``: equal weight for weak dimensions would hurt methods that order theirs,
    PCA first. Nothing is ever tuned on queries, and all are deterministic. If all reference cells
    have the same embedding, any kind predicts the largest class: the nearest cells would be
    arbitrary.

    Parameters
    ----------
    reference
        Reference embeddings (n_reference, k).
    reference_labels
        Class per reference cell (n_reference,), at least two classes.
    kind
        ``"linear"``, ``"knn"`` or ``"tuned"``.

    Returns
    -------
    A probe with ``predict`` and ``score``.

    Raises
    ------
    ConfigError
        ``kind`` is unknown.
    DataError
        Shapes do not fit, values are not finite, labels are missing or all the same.
    """
    features, labels = _as_embedding(reference, "reference"), as_labels(reference_labels)
    _check_rows(features, labels, "reference")
    if len(np.unique(labels)) < 2:
        message = f"All {len(labels)} reference cells have the label {labels[0]!r}; a probe needs at least two classes."
        raise DataError(message)
    classifier = _classifier(kind, labels)
    if (features == features[0]).all():
        classifier = make_pipeline(DummyClassifier(strategy="most_frequent"))
    return FittedProbe(kind, features.shape[1], classifier.fit(features, labels))


def probe(
    reference: ArrayLike, reference_labels: ArrayLike, query: ArrayLike, query_labels: ArrayLike, *, kind: ProbeKind = "linear"
) -> ProbeResult:
    """Train a probe on the reference and score it on the query: :func:`fit_probe` and then
    :meth:`FittedProbe.score`.

    Parameters
    ----------
    reference
        Reference embeddings (n_reference, k).
    reference_labels
        Class per reference cell (n_reference,), at least two classes.
    query
        Query embeddings (n_query, k).
    query_labels
        True class per query cell (n_query,).
    kind
        ``"linear"``, ``"knn"`` or ``"tuned"``, see :func:`fit_probe`.

    Returns
    -------
    Accuracy and F1 of the query cells, both between 0 and 1.

    Raises
    ------
    ConfigError
        ``kind`` is unknown.
    DataError
        Shapes do not fit, values are not finite, labels are missing, or all reference labels are
        the same.
    """
    return fit_probe(reference, reference_labels, kind=kind).score(query, query_labels)


def _classifier(kind: str, labels: NDArray[np.str_]) -> Pipeline:
    if kind == "linear":
        return make_pipeline(StandardScaler(), logistic_regression())
    if kind == "tuned":
        return make_pipeline(StandardScaler(), tuned_logistic_regression(labels))
    if kind == "knn":
        return make_pipeline(KNeighborsClassifier(min(N_NEIGHBORS, len(labels))))
    message = f"The probe is {kind!r}; choose 'linear', 'knn' or 'tuned'."
    raise ConfigError(message)


def _as_embedding(values: ArrayLike, side: str) -> NDArray[np.float64]:
    features = np.asarray(values, dtype=np.float64)
    if features.ndim != 2 or 0 in features.shape:
        message = f"The {side} embedding has shape {features.shape}; (cells, dimensions) with at least one of each is needed."
        raise DataError(message)
    if not np.isfinite(features).all():
        n_bad = int((~np.isfinite(features).all(axis=1)).sum())
        message = f"{n_bad} of {len(features)} {side} cells have NaN or infinite embeddings; every cell needs a finite one."
        raise DataError(message)
    return features


def _check_rows(features: NDArray[np.generic], labels: NDArray[np.str_], side: str) -> None:
    if len(features) != len(labels):
        message = f"The {side} has {len(features)} embeddings and {len(labels)} labels; one label per cell is needed."
        raise DataError(message)
