"""Labels from embedded reference cells to embedded query cells, with probabilities that mean what
they say and a score for the unknown.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp, softmax
from sklearn.linear_model import LogisticRegression

from r2mae_bio._errors import DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio._splits import deal_folds
from r2mae_bio.cells.transfer._unusual_cells import UnusualCells

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

__all__ = ["LabelTransfer", "Transferred", "blocks", "deal_folds"]

STRENGTHS: Final = (0.01, 0.05, 0.2, 1.0, 5.0)
"""Inverse L2 strengths among which cross-validation chooses."""
_MOST_VALIDATED: Final = 20_000
"""Cells that take part in the cross-validation; the classifier learns from all."""
_RARE: Final = 50
"""Cells of a class that are kept when these are drawn."""
_AT_ONCE: Final = 1 << 14
"""Cells of a query that are in memory in double precision."""
_LOG_TEMPERATURES: Final = (-3.0, 3.0)


@dataclass(frozen=True, eq=False)
class Transferred:
    """What was transferred to some cells."""

    probabilities: NDArray[np.float32]
    """Calibrated probabilities of the classes, (n_cells, n_classes)."""
    unknown: NDArray[np.float32]
    """Share of the reference cells that look less unusual than the cell, (n_cells,), at least 0 and
    below 1; NaN where nothing is known of the cell.
    """


@dataclass(frozen=True, eq=False)
class LabelTransfer:
    """Multinomial logistic regression on standardised embeddings; made by :meth:`fit`.

    Everything that calibrates it is taken from reference cells that the classifier at hand had not
    learned from.
    """

    classes: NDArray[Any]
    """The classes, sorted, text or numbers or truth values as the labels were, (n_classes,)."""
    strength: float
    """Inverse L2 strength that cross-validation chose."""
    temperature: float
    """What logits are divided by."""
    accuracy: float
    """Share of right answers out of fold."""
    prior: NDArray[np.float64]
    """Share of the reference cells in each class, (n_classes,)."""
    learned: NDArray[np.float64]
    """Share of the cells that were learned from in each class, (n_classes,)."""
    codes: NDArray[np.intp]
    """Class of each reference cell, as its position in ``classes``, (n_reference,)."""
    _centre: NDArray[np.float64]
    _scale: NDArray[np.float64]
    _weights: NDArray[np.float64]
    _bias: NDArray[np.float64]
    _unusual: UnusualCells

    @classmethod
    def fit(
        cls,
        embedding: ArrayLike,
        labels: ArrayLike,
        *,
        groups: ArrayLike | None = None,
        counted: NDArray[np.bool_] | None = None,
        seed: int = 0,
    ) -> Self:
        """Learn from reference cells.

        The strength of the L2 penalty and the temperature (Guo et al. 2017, arXiv:1706.04599) are
        those with the smallest log-loss out of fold. Folds are dealt class by class, or made of
        whole groups: then confidence is that in cells of a group not seen before. Cells of a class
        that only they have in their fold take no part in the calibration.

        Parameters
        ----------
        embedding
            Reference embedding (n_cells, n_latent), or several draws of it (n_draws, n_cells,
            n_latent), all of which are learned from.
        labels
            Class of each cell (n_cells,), text, numbers or truth values; at least two classes with
            at least two cells each.
        groups
            Group, such as the donor, of each cell (n_cells,).
        counted
            Whether each cell has a count in each draw, (n_draws, n_cells); others are not learned
            from, but for those of classes that would be left with less than two.
        seed
            Seed of the folds.

        Returns
        -------
        The classifier.

        Raises
        ------
        DataError
            Classes or groups are too few, or shapes do not fit.
        """
        draws, (classes, of) = _as_draws(embedding), np.unique(_plain(labels), return_inverse=True)
        _check(draws[0], of, classes)
        some = _sample(of, _MOST_VALIDATED // len(draws), derive_generator(seed, "label-transfer sample"))
        folds = deal_folds(of[some], None if groups is None else np.asarray(groups)[some], seed=seed)
        x, every = np.concatenate(draws), partial(np.tile, reps=len(draws))  # all draws of a cell are in its fold
        answers = every(of)
        there = _learned_from(counted, answers, len(draws))
        rows = np.concatenate([some + i * len(of) for i in range(len(draws))])
        rows, folds = rows[there[rows]], every(folds)[there[rows]]
        centre, scale = x[there].mean(0), _scale(x[there])
        z = (x - centre) / scale
        logits = _out_of_fold(z[rows], answers[rows], folds, len(classes))
        best, temperature, judged = _choose(logits, answers[rows], classes)
        weights, bias = _fit(z[there], answers[there], STRENGTHS[best : best + 1], len(classes))[0]
        held = logits[best][judged] / temperature
        return cls(
            classes=classes,
            strength=STRENGTHS[best],
            temperature=temperature,
            accuracy=float(np.mean(held.argmax(1) == answers[rows][judged])),
            prior=np.bincount(of) / len(of),
            learned=np.bincount(answers[there]) / there.sum(),
            codes=of,
            _centre=centre,
            _scale=scale,
            _weights=weights,
            _bias=bias,
            _unusual=UnusualCells.fit(x[rows], answers[rows], folds, judged, held),
        )

    def predict(
        self, embedding: ArrayLike, uncorrected: ArrayLike | None = None, empty: NDArray[np.bool_] | None = None
    ) -> Transferred:
        """Probabilities, and how unusual the cells look; each cell's are its own affair.

        Parameters
        ----------
        embedding
            Query embedding (n_cells, n_latent), of the same genes as the reference.
        uncorrected
            The same cells before they were laid on the reference, if they were. That draws new
            types to known ones, so how unusual a cell is, is told from these.
        empty
            Cells of which nothing is known (n_cells,): they get the shares of the classes, and a
            missing score.

        Returns
        -------
        One row per cell.
        """
        first = np.asarray(embedding)
        before = first if uncorrected is None or uncorrected is embedding else np.asarray(uncorrected)
        probabilities = np.empty((len(first), len(self.classes)), np.float32)
        unusual = np.empty(len(first), np.float32)
        for some in blocks(len(first)):  # else the copies in double precision would be most of the memory
            x = _as_embedding(first[some])
            logits = self._logits(x)
            y = x if before is first else _as_embedding(before[some])
            unusual[some] = self._unusual.score(y, logits if y is x else self._logits(y))
            probabilities[some] = softmax(logits, axis=1)
        if empty is not None:
            probabilities[empty], unusual[empty] = self.prior, np.nan
        return Transferred(probabilities, unusual)

    def mean_probabilities(self, embedding: ArrayLike, cells: NDArray[np.intp]) -> NDArray[np.float64]:
        """Calibrated probabilities of the classes, averaged over some cells, (n_classes,).

        Parameters
        ----------
        embedding
            Query embedding (n_cells, n_latent).
        cells
            Positions of the cells, at least one.
        """
        x, total = np.asarray(embedding), np.zeros(len(self.classes))
        for some in blocks(len(cells)):
            total += softmax(self._logits(_as_embedding(x[cells[some]])), axis=1).sum(0)
        found: NDArray[np.float64] = total / len(cells)
        return found

    def _logits(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """Calibrated, (n_cells, n_classes)."""
        return (((x - self._centre) / self._scale) @ self._weights.T + self._bias) / self.temperature


def blocks(n_cells: int) -> list[slice]:
    """Cells that are looked at together; one block if there are none."""
    return [slice(start, start + _AT_ONCE) for start in range(0, max(n_cells, 1), _AT_ONCE)]


def _scale(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Deviations (n_latent,), not below a thousandth of the largest: dimensions that a model leaves
    unused hold rounding errors.
    """
    deviation = x.std(0)
    return np.maximum(deviation, 1e-3 * deviation.max()) if deviation.any() else np.ones_like(deviation)


def _learned_from(counted: NDArray[np.bool_] | None, codes: NDArray[np.intp], n_draws: int) -> NDArray[np.bool_]:
    """Which of all draws to learn from, (n_draws * n_cells,)."""
    there = np.ones(len(codes), bool) if counted is None else counted.ravel().copy()
    lost = np.bincount(codes[there], minlength=codes.max() + 1) < 2 * n_draws
    return there | lost[codes]


def _sample(codes: NDArray[np.intp], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of a share of the cells of every class, all of a small one."""
    if len(codes) <= most:
        return np.arange(len(codes))
    share, order = most / len(codes), rng.permutation(len(codes))
    parts = [order[codes[order] == code] for code in range(codes.max() + 1)]
    return np.sort(np.concatenate([part[: max(_RARE, round(share * len(part)))] for part in parts]))


def _fit(
    z: NDArray[np.float64], codes: NDArray[np.intp], strengths: Sequence[float], n_classes: int
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Weights (n_classes, n_latent) and biases (n_classes,) for each strength, from small to large;
    every fit starts at the one before.

    A class without cells has a bias of minus infinity.
    """
    fitted, model = [], LogisticRegression(max_iter=1000, warm_start=True)
    for strength in strengths:
        model.set_params(C=strength).fit(z, codes)
        weights, bias = np.zeros((n_classes, z.shape[1])), np.full(n_classes, -np.inf)
        two = len(model.classes_) == 2  # one row of weights then, those of the second class less those of the first
        weights[model.classes_] = np.concatenate([-model.coef_, model.coef_]) / 2 if two else model.coef_
        bias[model.classes_] = np.concatenate([-model.intercept_, model.intercept_]) / 2 if two else model.intercept_
        fitted.append((weights, bias))
    return fitted


def _out_of_fold(z: NDArray[np.float64], codes: NDArray[np.intp], folds: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """Logits (n_strengths, n_cells, n_classes) of each cell by classifiers that have not seen its
    fold; minus infinity for classes unseen.
    """
    logits = np.full((len(STRENGTHS), len(z), n_classes), -np.inf)
    for fold in range(folds.max() + 1):
        held = folds == fold
        if len(np.unique(codes[~held])) < 2:
            continue
        for i, (weights, bias) in enumerate(_fit(z[~held], codes[~held], STRENGTHS, n_classes)):
            logits[i, held] = z[held] @ weights.T + bias
    return logits


def _choose(logits: NDArray[np.float64], codes: NDArray[np.intp], classes: NDArray[Any]) -> tuple[int, float, NDArray[np.bool_]]:
    """The strength and the temperature with the smallest log-loss, and the cells that could be
    judged.
    """
    judged = np.isfinite(logits[0, np.arange(len(codes)), codes])
    if not judged.any():
        message = (
            f"Each of the classes {', '.join(map(str, classes[:5]))} is found in one fold of groups alone, so that no confidence can be learned across "
            "groups. Leave groups_key away, or take a reference whose groups share classes."
        )
        raise DataError(message)
    found = [_temperature(some[judged], codes[judged]) for some in logits]
    best = int(np.argmin([loss for _, loss in found]))
    return best, found[best][0], judged


def _temperature(logits: NDArray[np.float64], codes: NDArray[np.intp]) -> tuple[float, float]:
    """The temperature with the smallest mean log-loss, and that loss in nats.

    A normal prior of variance 1/2 on its logarithm keeps few or easily told cells from making every
    confidence 0 or 1.
    """
    own = logits[np.arange(len(codes)), codes]

    def loss(log_temperature: float) -> float:
        t = np.exp(log_temperature)
        return float(np.mean(logsumexp(logits / t, axis=1) - own / t) + log_temperature**2 / len(codes))

    found = minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded")
    return float(np.exp(found.x)), float(found.fun)


def _plain(labels: ArrayLike) -> NDArray[Any]:
    """Labels as an array of text, whole numbers, other numbers or truth values."""
    found = np.array(np.asarray(labels).tolist())  # of Python objects, which may be all of one of these types
    return found if found.dtype.kind in "biuf" else found.astype(str)


def _as_draws(values: ArrayLike) -> list[NDArray[np.float64]]:
    """Embeddings of the same cells, one for each draw of their molecules."""
    found = np.asarray(values)
    return [_as_embedding(draw) for draw in (found if found.ndim == 3 else found[None])]


def _as_embedding(values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, np.float64)
    if x.ndim != 2 or not np.isfinite(x).all():
        message = (
            f"The embedding has shape {x.shape}, or values that are not finite; (cells, dimensions) with finite values is needed."
        )
        raise DataError(message)
    return x


def _check(x: NDArray[np.float64], codes: NDArray[np.intp], classes: NDArray[Any]) -> None:
    if len(x) != len(codes):
        message = f"There are {len(x)} embedded cells and {len(codes)} labels; one label per cell is needed."
        raise DataError(message)
    small = classes[np.bincount(codes, minlength=len(classes)) < 2]
    if len(classes) < 2 or small.size:
        message = (
            f"The {len(codes)} reference cells have the classes {', '.join(map(str, classes[:5])) or 'none'}"
            f"{', with a single cell in ' + ', '.join(map(str, small[:5])) if small.size else ''}; at least two classes of two cells each are needed."
        )
        raise DataError(message)
    if not np.ptp(x, axis=0).any():
        message = (
            f"All {len(x)} reference cells have the same embedding, so that nothing tells their classes apart. Cells without a count in "
            "the genes that are compared have; check the layer of the reference and the names of its genes."
        )
        raise DataError(message)
