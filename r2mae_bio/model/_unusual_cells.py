"""How unusual a cell looks beside reference cells: far from all of them, or between their classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from scipy.special import logsumexp
from sklearn.neighbors import NearestNeighbors

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["UnusualCells"]

N_NEIGHBORS: Final = 15
_PRIOR: Final = 10
"""Cells of all classes that are added to those of a class before its centre and spread are taken."""
_TINY: Final = 1e-12


@dataclass(frozen=True, eq=False)
class _Standard:
    """What is usual for cells of each class."""

    centre: NDArray[np.float64]
    """(n_classes,)."""
    spread: NDArray[np.float64]
    """(n_classes,), positive."""

    @classmethod
    def fit(cls, values: NDArray[np.float64], answers: NDArray[np.intp], n_classes: int) -> Self:
        """Medians, and distances from there to the quantile that is one deviation above it in a normal distribution."""
        everyone = _centre_and_spread(values)
        rows = [_blend(values[answers == code], everyone) for code in range(n_classes)]
        centre, spread = np.array(rows).T
        return cls(centre, np.maximum(spread, _TINY))

    def apply(self, values: NDArray[np.float64], answers: NDArray[np.intp]) -> NDArray[np.float64]:
        """Deviations above what is usual."""
        return (values - self.centre[answers]) / self.spread[answers]


def _centre_and_spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
    centre, above = np.quantile(values, [0.5, 0.8413])
    return np.array([centre, above - centre])


def _blend(values: NDArray[np.float64], everyone: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of a small class, little is known but what holds for all."""
    if not values.size:
        return everyone
    return (values.size * _centre_and_spread(values) + _PRIOR * everyone) / (values.size + _PRIOR)


@dataclass(frozen=True, eq=False)
class UnusualCells:
    """Compares cells with what is usual for reference cells that were given the same answer; made by :meth:`fit`.

    Two things are unusual: the distance to the nearest reference cells, and the odds against the answer. Both are taken as logarithms, in
    deviations from the median of the reference cells with that answer, and the sum (half of the latter) is ranked among all reference
    cells: one minus a conformal p-value. Distances tell a type that lies elsewhere, odds one that lies between two classes; with few genes
    the latter is all that is left.
    """

    neighbors: NearestNeighbors
    distance: _Standard
    odds: _Standard
    scores: NDArray[np.float64]
    """Of the reference cells out of fold, sorted."""

    @classmethod
    def fit(
        cls, embedding: NDArray[np.float64], folds: NDArray[np.intp], judged: NDArray[np.bool_], logits: NDArray[np.float64]
    ) -> Self:
        """Learn what is usual: neighbours of a reference cell are looked for in other folds than its own.

        Parameters
        ----------
        embedding
            Reference cells (n_reference, n_latent).
        folds
            Number of the fold of each (n_reference,), at least two folds.
        judged
            Those with logits out of fold (n_reference,).
        logits
            These logits (n_judged, n_classes).
        """
        distance, against = _distance_out_of_fold(embedding, folds)[judged], _odds_against(logits)
        answers, n_classes = logits.argmax(1), logits.shape[1]
        usual, even = _Standard.fit(distance, answers, n_classes), _Standard.fit(against, answers, n_classes)
        scores = np.sort(usual.apply(distance, answers) + even.apply(against, answers) / 2)
        return cls(_index(embedding, _n_neighbors(folds)), usual, even, scores)

    def score(self, embedding: NDArray[np.float64], logits: NDArray[np.float64]) -> NDArray[np.float32]:
        """Share of the reference cells that look less unusual, float32 (n_cells,), at least 0 and below 1."""
        if not len(embedding):
            return np.zeros(0, np.float32)
        answers = logits.argmax(1)
        found = self.distance.apply(_log_distance(self.neighbors, embedding), answers)
        found += self.odds.apply(_odds_against(logits), answers) / 2
        return (np.searchsorted(self.scores, found, side="left") / (len(self.scores) + 1)).astype(np.float32)


def _distance_out_of_fold(embedding: NDArray[np.float64], folds: NDArray[np.intp]) -> NDArray[np.float64]:
    """Log of the mean distance from each cell to its nearest neighbours among the cells of other folds, (n_reference,)."""
    distance = np.zeros(len(embedding))
    for fold in np.unique(folds):
        held = folds == fold
        distance[held] = _log_distance(_index(embedding[~held], N_NEIGHBORS), embedding[held])
    return distance


def _n_neighbors(folds: NDArray[np.intp]) -> int:
    """As many neighbours of a query cell as make distances those out of fold, where a part of the neighbours is missing."""
    own = (np.bincount(folds) / len(folds))[folds].mean()
    return round(N_NEIGHBORS / (1 - own))


def _index(embedding: NDArray[np.float64], n_neighbors: int) -> NearestNeighbors:
    return NearestNeighbors(n_neighbors=min(n_neighbors, len(embedding))).fit(embedding)


def _log_distance(neighbors: NearestNeighbors, embedding: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(neighbors.kneighbors(embedding)[0].mean(1) + _TINY)


def _odds_against(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds against the most probable class (n,); logits may be minus infinity, but not of all other classes."""
    others = np.sort(logits, axis=1)
    return logsumexp(others[:, :-1], axis=1) - others[:, -1]
