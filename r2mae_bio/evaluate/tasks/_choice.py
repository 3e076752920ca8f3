"""Which of several methods suits a data set, by its reference cells alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._errors import ConfigError
from r2mae_bio._splits import stratified_split
from r2mae_bio.evaluate.tasks._panel_transfer import panel_transfer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from r2mae_bio.evaluate.methods._embedder import Embedder, SparseCounts

__all__ = ["choose_method"]


def choose_method(
    methods: Sequence[Embedder],
    counts: SparseCounts,
    labels: ArrayLike,
    *,
    fractions: Sequence[float] = (1.0, 0.1),
    query_fraction: float = 0.3,
    seed: int = 0,
) -> Embedder:
    """Choose among methods as a careful user would, on cells that are no part of the test.

    A control with settings of its own is weak at the wrong ones. Here each method is trained on
    part of the reference cells and asked about the others, with all genes and with random panels;
    the one with the best mean macro-F1 over panels and both probes is returned, to be trained on
    all reference cells.

    Parameters
    ----------
    methods
        Candidates with different names; the first of equals is taken.
    counts
        Raw counts of the reference cells (n_cells, n_genes).
    labels
        Their classes (n_cells,).
    fractions
        Shares of the genes that are measured in the cells asked about.
    query_fraction
        Share of each class that is asked about.
    seed
        Seed of split, panels and methods.

    Returns
    -------
    One of the methods, not trained.

    Raises
    ------
    ConfigError
        There is no method, or a setting is out of range.
    DataError
        The labels do not suit the cells.
    """
    if not methods:
        message = "methods is empty; needed is at least one method to choose from."
        raise ConfigError(message)
    split = stratified_split(labels, query_fraction=query_fraction, seed=seed)
    frame = panel_transfer(list(methods), counts, labels, split=split, fractions=tuple(fractions), seeds=(seed,))
    scores = frame.groupby("method", sort=False)["macro_f1"].mean()
    return next(method for method in methods if method.name == scores.idxmax())
