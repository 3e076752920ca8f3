"""Logistic regression on the genes themselves: the control that no embedding may fall behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn.preprocessing import StandardScaler

from r2mae_bio._errors import DataError
from r2mae_bio._splits import as_labels
from r2mae_bio.evaluate._logistic import tuned_logistic_regression
from r2mae_bio.evaluate.methods._embedder import Annotation, all_measured
from r2mae_bio.evaluate.methods._log_normalize import log_normalize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["FittedGeneClassifier", "GeneClassifier"]

LARGEST: Final = 10.0
"""Where standardised values are cut off, as by CellTypist: genes of a few cells reach hundreds."""


@dataclass(frozen=True)
class GeneClassifier:
    """Logistic regression on log-normalised genes, as CellTypist does it (Dominguez Conde et al.
    2022, doi:10.1126/science.abl5197).

    Counts are scaled to 1e4 per cell, log1p, standardised by the reference's mean and deviation of
    each gene and cut off at 10. The classifier is multinomial with an L2 penalty; CellTypist fixes
    its inverse strength at 1, here it is chosen among 1e-4 to 100 by log-loss in five folds of the
    reference. Holds the reference as a dense matrix of 4 bytes per value. Batches are not used.
    """

    name: str = "logistic regression, genes"
    """Name in tables."""
    sees_query: bool = field(default=False, init=False)
    """It learns from the reference alone."""

    def fit(self, counts: SparseCounts, labels: ArrayLike, *, seed: int, batch: ArrayLike | None = None) -> FittedGeneClassifier:
        """Learn from raw counts (n_cells, n_genes) and labels (n_cells,); ``seed`` is not needed.

        Raises
        ------
        DataError
            There are fewer than two classes, or labels do not fit the counts.
        """
        classes = as_labels(labels)
        if len(classes) != counts.shape[0] or len(np.unique(classes)) < 2:
            message = (
                f"There are {len(classes)} labels of {len(np.unique(classes))} classes for {counts.shape[0]} cells; needed is one label "
                "per cell, and at least two classes."
            )
            raise DataError(message)
        values = _log_normalized(counts)
        scaler = StandardScaler().fit(values)
        classifier = tuned_logistic_regression(classes).fit(_scaled(scaler, values), classes)
        return FittedGeneClassifier(scaler, classifier)


@dataclass(frozen=True)
class FittedGeneClassifier:
    """A trained :class:`GeneClassifier`."""

    scaler: StandardScaler = field(repr=False)
    """Mean and deviation of each gene."""
    classifier: GridSearchCV | LogisticRegression = field(repr=False)
    """What was learned."""

    def annotate(self, counts: SparseCounts, *, batch: ArrayLike | None = None) -> Annotation:
        """Label cells; see :meth:`FittedAnnotator.annotate`."""
        features = _scaled(self.scaler, _log_normalized(counts))
        return Annotation(np.asarray(self.classifier.classes_), self.classifier.predict_proba(features))


def _log_normalized(counts: SparseCounts) -> NDArray[np.float32]:
    return log_normalize(counts, all_measured(counts)).astype(np.float32).toarray()


def _scaled(scaler: StandardScaler, values: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.minimum(scaler.transform(values), LARGEST)
