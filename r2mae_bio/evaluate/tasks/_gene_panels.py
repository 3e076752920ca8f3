"""Panels of genes: drawn at random, or as somebody would design one; both look at reference cells
alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate.methods._embedder import all_measured
from r2mae_bio.evaluate.methods._log_normalize import check_measured, log_normalize
from r2mae_bio.evaluate.methods._variable_genes import check_detected, check_panel_size, positions_to_mask
from r2mae_bio.evaluate.tasks._transfer import check_cells

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.evaluate.methods._embedder import SparseCounts


def panel_mask(n_genes: int, fraction: float, *, seed: int, counts: SparseCounts | None = None) -> NDArray[np.bool_]:
    """Draw a panel: genes chosen uniformly at random.

    Panels of one seed are nested: a smaller fraction measures a subset of the genes of a larger
    one, so that a curve over fractions shows the loss of genes and not the luck of independent
    draws.

    Parameters
    ----------
    n_genes
        Number of genes to choose from.
    fraction
        Share of the genes that is measured, above 0, at most 1; ``round(fraction * n_genes)``
        genes, at least one.
    seed
        Seed of the draw.
    counts
        Reference counts (n_cells, n_genes). If given, only genes detected in them are drawn, as in
        a designed panel; the panel is smaller than asked for when too few are detected.

    Returns
    -------
    Measured genes (n_genes,).

    Raises
    ------
    ConfigError
        ``fraction`` or ``n_genes`` is out of range.
    DataError
        ``counts`` has another number of genes or no count.
    """
    if n_genes < 1 or not 0 < fraction <= 1:
        message = (
            f"n_genes is {n_genes} and fraction {fraction}; at least one gene and a fraction above 0, at most 1, are needed."
        )
        raise ConfigError(message)
    order = derive_generator(seed, "panel").permutation(n_genes)
    if counts is not None:
        if counts.shape[1] != n_genes:
            message = f"counts have {counts.shape[1]} genes, n_genes is {n_genes}; they must agree."
            raise DataError(message)
        order = order[check_detected(counts)[order]]
    return positions_to_mask(order[: max(round(fraction * n_genes), 1)], n_genes)


def marker_panel(counts: SparseCounts, labels: ArrayLike, n_genes: int) -> NDArray[np.bool_]:
    """Markers of the classes, taken in turn: the best of each class, then the second best of each,
    until the panel is full.

    A gene is better the larger Welch's t of its log-normalised expression in the class against all
    other cells. Classes of one cell have no markers. The panel knows the labels, as designed panels
    do; the methods that are given it do not.

    Parameters
    ----------
    counts
        Raw counts of the reference cells (n_cells, all genes).
    labels
        Class per cell (n_cells,).
    n_genes
        Genes to choose; fewer are chosen if no class has more genes that are higher in it than
        elsewhere.

    Returns
    -------
    Chosen genes (all genes,), boolean.

    Raises
    ------
    ConfigError
        ``n_genes`` is not positive.
    DataError
        Labels do not fit, or no class has a marker.
    """
    check_panel_size(n_genes)
    check_detected(counts)
    classes = check_cells(counts, labels).labels
    scores = welch_t(log_normalize(counts, all_measured(counts)), classes)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = [genes[row[genes] > 0] for genes, row in zip(order, scores, strict=True)]
    queue = [genes[i] for i in range(max(map(len, ranked), default=0)) for genes in ranked if i < len(genes)]
    if not queue:
        message = (
            "No gene is higher in one class than in the others; pass labels that differ in expression, or use variable_panel."
        )
        raise DataError(message)
    return positions_to_mask(list(dict.fromkeys(queue))[:n_genes], counts.shape[1])


def welch_t(values: sparse.csr_array, classes: NDArray[np.str_]) -> NDArray[np.float64]:
    """Welch's t of every gene in each class of at least two cells against all other cells
    (n_classes, n_genes).
    """
    names, codes, sizes = np.unique(classes, return_inverse=True, return_counts=True)
    membership = sparse.csr_array((np.ones(len(codes)), (codes, np.arange(len(codes)))), shape=(len(names), len(codes)))
    sums, squares = (membership @ values).toarray(), (membership @ values.multiply(values)).toarray()
    usable = (sizes >= 2) & (len(codes) - sizes >= 2)
    inside = _moments(sums, squares, sizes[:, None])
    outside = _moments(sums.sum(0) - sums, squares.sum(0) - squares, (len(codes) - sizes)[:, None])
    error = np.sqrt(inside[1] + outside[1])
    return ((inside[0] - outside[0]) / np.maximum(error, 1e-9))[usable]


def _moments(
    sums: NDArray[np.float64], squares: NDArray[np.float64], n: NDArray[np.intp]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean, and the squared standard error of the mean."""
    mean = sums / np.maximum(n, 1)
    return mean, np.maximum(squares - n * mean**2, 0) / np.maximum(n - 1, 1) / np.maximum(n, 1)


def as_panel(panel: ArrayLike, n_genes: int, name: str) -> NDArray[np.bool_]:
    """Gene positions, or a boolean mask, as a mask (n_genes,) of at least one gene."""
    values = np.asarray(panel)
    if values.dtype == np.bool_:
        return check_measured(values, n_genes)
    if values.ndim != 1 or values.dtype.kind not in "iu" or not len(values):
        message = (
            f"The panel {name!r} has dtype {values.dtype} and shape {values.shape}; gene positions or a boolean mask are needed."
        )
        raise DataError(message)
    if values.min() < 0 or values.max() >= n_genes or len(np.unique(values)) < len(values):
        message = (
            f"The panel {name!r} repeats genes or has positions outside 0 to {n_genes - 1}; name each gene of the counts once."
        )
        raise DataError(message)
    return positions_to_mask(values, n_genes)
