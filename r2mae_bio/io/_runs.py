"""Sorted stretches along one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Runs: TypeAlias = "tuple[NDArray[np.int64], NDArray[np.int64]]"
"""Starts and ends, excluded."""

FAR: Final = np.iinfo(np.int64).max // 2
"""Beyond any position."""


def merge(start: NDArray[np.int64], end: NDArray[np.int64]) -> Runs:
    """Sort stretches and join those that overlap or touch.

    Parameters
    ----------
    start, end
        Stretches that are not empty, in any order, (n,).

    Returns
    -------
    Starts and ends, sorted.
    """
    order = np.argsort(start, kind="stable")
    start, reach = start[order], np.maximum.accumulate(end[order])
    opens = np.ones(start.size, bool)
    opens[1:] = start[1:] > reach[:-1]
    return start[opens], reach[np.append(opens[1:], True)] if start.size else reach


def complement(runs: Runs) -> Runs:
    """All that lies between sorted stretches, before and after them.

    Parameters
    ----------
    runs
        Sorted and disjoint.

    Returns
    -------
    One stretch more; the first begins and the last ends beyond any position.
    """
    return np.append(-FAR, runs[1]), np.append(runs[0], FAR)


def intersect(a: Runs, b: Runs) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The common parts of each stretch of ``a`` with those of ``b``.

    Parameters
    ----------
    a
        Stretches.
    b
        Stretches, sorted and disjoint.

    Returns
    -------
    Number of the stretch of ``a``, start and end of each part.
    """
    first = np.searchsorted(b[1], a[0], side="right")
    n_parts = np.maximum(np.searchsorted(b[0], a[1], side="left") - first, 0)
    of_a = np.repeat(np.arange(a[0].size), n_parts)
    of_b = np.arange(of_a.size) - np.repeat(np.cumsum(n_parts) - n_parts - first, n_parts)
    start, end = np.maximum(a[0][of_a], b[0][of_b]), np.minimum(a[1][of_a], b[1][of_b])
    kept = start < end  # an empty gap between touching stretches has no part
    return of_a[kept], start[kept], end[kept]
