"""How unusual a cell looks beside reference cells: far from its class, or between classes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Self

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from r2mae_bio.cells.fit._covariance import within_covariance

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["UnusualCells"]

_PRIOR: Final = 10
"""Cells of all classes that are added to those of a class before its centre and spread are
taken.
"""
_LEAST: Final = -1.0
"""Odds below this many deviations are no better: however sure a classifier is of a cell far away,
it does not excuse the distance.
"""
_TINY: Final = 1e-12


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Classes as normal distributions of one shape."""

    means: NDArray[np.float64]
    """(n_classes, n_latent), NaN for classes without cells."""
    root: NDArray[np.float64]
    """Lower triangular root of the covariance within classes, (n_latent, n_latent)."""

    @classmethod
    def fit(cls, embedding: NDArray[np.float64], codes: NDArray[np.intp], n_classes: int) -> Self:
        """Means and covariance of the classes."""
        groups = [embedding[codes == code] for code in range(n_classes)]
        means = [group.mean(0) if len(group) else np.full(embedding.shape[1], np.nan) for group in groups]
        covariance = within_covariance([group for group in groups if len(group)])
        ridge = 1e-6 * np.trace(covariance) / len(covariance) + _TINY  # cells that are all alike
        return cls(np.array(means), np.linalg.cholesky(covariance + ridge * np.eye(len(covariance))))

    def distance(self, embedding: NDArray[np.float64], answers: NDArray[np.intp]) -> NDArray[np.float64]:
        """Mahalanobis distance from each cell to the mean of its class, (n_cells,)."""
        return np.linalg.norm(solve_triangular(self.root, (embedding - self.means[answers]).T, lower=True), axis=0)


@dataclass(frozen=True, eq=False)
class _Standard:
    """What is usual for cells of each class."""

    centre: NDArray[np.float64]
    """(n_classes,)."""
    spread: NDArray[np.float64]
    """(n_classes,), positive."""

    @classmethod
    def fit(cls, values: NDArray[np.float64], answers: NDArray[np.intp], n_classes: int) -> Self:
        """Medians, and distances from there to the quantile that is one deviation above it in a
        normal distribution.
        """
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
    """Compares cells with what is usual for reference cells that were given the same answer; made
    by :meth:`fit`.

    Two things are unusual: the Mahalanobis distance to the mean of the class, and the odds against
    the answer. Both are taken in deviations from the median of the reference cells with that
    answer, and the sum is ranked among all reference cells: one minus a conformal p-value. The
    distance tells a type that lies elsewhere, the odds one that lies between two classes; with few
    genes the latter matter most.
    """

    shapes: _Shapes
    distance: _Standard
    odds: _Standard
    scores: NDArray[np.float64]
    """Of the reference cells out of fold, sorted."""

    @classmethod
    def fit(
        cls,
        embedding: NDArray[np.float64],
        codes: NDArray[np.intp],
        folds: NDArray[np.intp],
        judged: NDArray[np.bool_],
        logits: NDArray[np.float64],
    ) -> Self:
        """Learn what is usual; the mean and the covariance that a reference cell is compared with
        are those of other folds than its own.

        Parameters
        ----------
        embedding
            Reference cells (n_reference, n_latent).
        codes
            Class of each (n_reference,).
        folds
            Number of the fold of each (n_reference,), at least two folds.
        judged
            Those with logits out of fold (n_reference,).
        logits
            These logits (n_judged, n_classes).
        """
        answers, n_classes = logits.argmax(1), logits.shape[1]
        distance, against = np.zeros(len(answers)), _odds_against(logits)
        for fold in np.unique(folds[judged]):
            held = folds[judged] == fold
            shapes = _Shapes.fit(embedding[folds != fold], codes[folds != fold], n_classes)
            distance[held] = shapes.distance(embedding[judged][held], answers[held])
        usual, even = _Standard.fit(distance, answers, n_classes), _Standard.fit(against, answers, n_classes)
        found = cls(_Shapes.fit(embedding, codes, n_classes), usual, even, np.zeros(0))
        return replace(found, scores=np.sort(found._sum(distance, against, answers)))

    def score(self, embedding: NDArray[np.float64], logits: NDArray[np.float64]) -> NDArray[np.float32]:
        """Share of the reference cells that look less unusual, float32 (n_cells,), at least 0 and
        below 1.
        """
        answers = logits.argmax(1)
        found = self._sum(self.shapes.distance(embedding, answers), _odds_against(logits), answers)
        return (np.searchsorted(self.scores, found, side="left") / (len(self.scores) + 1)).astype(np.float32)

    def _sum(self, distance: NDArray[np.float64], against: NDArray[np.float64], answers: NDArray[np.intp]) -> NDArray[np.float64]:
        return self.distance.apply(distance, answers) + np.maximum(self.odds.apply(against, answers), _LEAST)


def _odds_against(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds against the most probable class (n,); logits may be minus infinity, but not of all
    other classes.
    """
    others = np.sort(logits, axis=1)
    return logsumexp(others[:, :-1], axis=1) - others[:, -1]
