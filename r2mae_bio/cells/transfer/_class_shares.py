"""Shares of the classes: those of a query, where they are not those of the reference, and those of
cells of which nothing was counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.stats import chi2

from r2mae_bio.cells.fit._factors import draw_cells
from r2mae_bio.cells.transfer._label_transfer import blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["estimated_shares", "match_shares", "shares_without_counts"]

_LEVEL: Final = 1e-3
"""How unlikely it must be that the query has the shares of the reference."""
_MOST_ROUNDS, _SETTLED = 300, 1e-6
_MOST_CELLS: Final = 20_000
"""Cells of a batch that shares are estimated from."""


def match_shares(
    probabilities: NDArray[np.float32],
    learned: NDArray[np.float64],
    prior: NDArray[np.float64],
    rates: NDArray[np.float64],
    batches: NDArray[Any],
    empty: NDArray[np.bool_],
    rng: np.random.Generator,
) -> list[str]:
    """Give cells the probabilities that they have with the shares of the classes in their batch.

    Parameters
    ----------
    probabilities
        Of the classes in each cell, (n_cells, n_classes); changed in place.
    learned
        Shares of the classes among the cells, with counts, that were learned from, (n_classes,).
    prior
        Shares of the classes among all cells of the reference, (n_classes,).
    rates
        Chance of a cell of each class to have no count, (n_classes,).
    batches
        Batch of each cell, (n_cells,).
    empty
        Cells without a count, (n_cells,).
    rng
        Draws the cells to look at in large batches.

    Returns
    -------
    Names of the batches whose shares are not those of the reference.
    """
    changed = []
    for name in pd.unique(batches):
        rows = np.flatnonzero(batches == name)
        known, without = rows[~empty[rows]], rows[empty[rows]]
        some = draw_cells(known, rng, _MOST_CELLS)
        shares, whole = estimated_shares(probabilities[some].astype(np.float64), learned), prior
        if shares is not None:
            changed.append(str(name))
            whole = prior * (shares / learned)
            whole /= whole.sum()
            for block in blocks(known.size):
                found = probabilities[known[block]] * (shares / learned)
                probabilities[known[block]] = found / found.sum(1, keepdims=True)
        if without.size:
            probabilities[without] = shares_without_counts(whole, rates, without.size / rows.size)
    return changed


def estimated_shares(probabilities: NDArray[np.float64], prior: NDArray[np.float64]) -> NDArray[np.float64] | None:
    r"""Shares of the classes in cells of a query, or None where those of the reference will do.

    They have the largest posterior, found by expectation maximisation (Saerens, Latinne &
    Decaestecker 2002, Neural Computation 14:21), under a Dirichlet distribution around the shares
    of the reference that weighs as much as all cells of the query together. From cells of few
    counts the likelihood alone may give all to one class that is like several, and where another
    study differs by more than shares it mistakes the one for the other; so estimates go half of the
    way, and less where cells hardly tell their class. They are taken only where a likelihood-ratio
    test tells them from the shares of the reference at .001.

    Parameters
    ----------
    probabilities
        Of the classes, calibrated, in each cell, (n_cells, n_classes), rows with a sum of one.
    prior
        Shares of the classes where that was learned, all above 0, (n_classes,).

    Returns
    -------
    Shares (n_classes,) with a sum of one.
    """
    n_cells, n_classes = probabilities.shape
    ratios, shares = probabilities / prior, prior
    for _ in range(_MOST_ROUNDS if n_cells else 0):
        before, shares = shares, ((ratios * (shares / (ratios @ shares)[:, None])).mean(0) + prior) / 2
        if np.abs(shares - before).max() < _SETTLED:
            break
    gained = 2 * float(np.log(np.maximum(ratios @ shares, 1e-300)).sum())
    return shares if gained > chi2.isf(_LEVEL, n_classes - 1) else None


def shares_without_counts(shares: NDArray[np.float64], rates: NDArray[np.float64], observed: float) -> NDArray[np.float64]:
    """Shares of the classes among cells without a count.

    A type with less RNA is found among them more often, if they are cells that were read too
    little. What is more of them than that explains has the shares of all cells.

    Parameters
    ----------
    shares
        Of the classes among all cells, (n_classes,).
    rates
        Chance of a cell of each class to have no count, (n_classes,).
    observed
        Share of the cells that have none, above 0.

    Returns
    -------
    Shares (n_classes,) with a sum of one.
    """
    expected = float(shares @ rates)
    if expected <= 0:
        return shares
    explained = min(1.0, expected / observed)
    return explained * shares * rates / expected + (1 - explained) * shares
