"""The depth table: the same query cells, sequenced less deeply."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._errors import ConfigError, FractionalCountsError
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate._checks import check_unique
from r2mae_bio.evaluate.methods._embedder import all_measured
from r2mae_bio.evaluate.methods._log_normalize import take_measured
from r2mae_bio.evaluate.tasks._transfer import SCORES, Cells, Round, View, check_cells, check_split, transfer_table

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd
    from numpy.typing import ArrayLike
    from scipy import sparse

    from r2mae_bio._splits import Split
    from r2mae_bio.evaluate.methods._embedder import Embedder, SparseCounts
    from r2mae_bio.evaluate.scores._probe import ProbeKind

__all__ = ["depth_transfer", "thin_counts"]

COLUMNS = ["method", "seed", "depth", "mean_counts", *SCORES]


def thin_counts(counts: SparseCounts, share: float, *, seed: int) -> sparse.csr_array:
    """Keep every molecule with probability ``share``, independently: exact binomial thinning.

    Parameters
    ----------
    counts
        Raw counts (n_cells, n_genes), whole numbers.
    share
        Probability of keeping a molecule, above 0, at most 1.
    seed
        Seed of the draw.

    Returns
    -------
    Thinned counts (n_cells, n_genes), float32; what was taken away is the difference.

    Raises
    ------
    ConfigError
        ``share`` is out of range.
    FractionalCountsError, NegativeCountsError, NonFiniteError
        The counts are not whole numbers, or negative, or not finite.
    """
    if not 0 < share <= 1:
        message = f"The share of molecules to keep is {share}; a value above 0, at most 1, is needed."
        raise ConfigError(message)
    kept = take_measured(counts, all_measured(counts))
    if (kept.data != np.floor(kept.data)).any():
        message = "The counts hold values that are not whole numbers; molecules can only be drawn from raw counts."
        raise FractionalCountsError(message)
    kept.sum_duplicates()
    rng = derive_generator(seed, "thin", round(share * 2**40))  # positions in a stream are whole numbers
    kept.data = rng.binomial(kept.data.astype(np.int64), share).astype(np.float32)
    kept.eliminate_zeros()
    return kept


def depth_transfer(
    embedders: Sequence[Embedder],
    counts: SparseCounts,
    labels: ArrayLike,
    *,
    split: Split,
    depths: Sequence[float] = (1.0, 0.3, 0.1, 0.03),
    seeds: Sequence[int] = (0, 1, 2),
    probes: Sequence[ProbeKind] = ("linear", "knn"),
    by_class: bool = False,
    on_result: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Score every method on query cells of which only a share of the molecules was sequenced.

    As :func:`panel_transfer`, with all genes measured and the query counts thinned by
    :func:`thin_counts`, the same molecules for every method. Reference cells keep their depth.

    Parameters
    ----------
    embedders
        Methods with different names.
    counts
        Raw counts (n_cells, n_genes), whole numbers.
    labels
        Class per cell (n_cells,), seen by the probes only.
    split
        Reference and query cells, the same for every seed.
    depths
        Shares of the molecules of query cells, each above 0, at most 1.
    seeds
        Seeds of thinning and methods.
    probes
        Kinds of probe, see :func:`fit_probe`.
    by_class
        One row per class among the query cells, with the further columns label, n_label (query
        cells of the class) and f1.
    on_result
        Called with one line of text after each score.

    Returns
    -------
    One row per method, seed, depth and probe, with columns method, seed, depth, mean_counts (counts
    per query cell), probe, accuracy and macro_f1.

    Raises
    ------
    ConfigError
        Names repeat, nothing is asked for, or a depth is out of range.
    DataError
        Labels or split do not fit the counts, or these are not whole numbers.
    """
    check_unique(embedders=embedders, depths=depths, seeds=seeds, probes=probes)
    cells = check_cells(counts, labels)
    check_split(split, len(cells.labels))
    reference, query = cells.take(split.reference), cells.take(split.query)
    rounds = (Round(seed, reference, [_view(query, depth, seed) for depth in depths]) for seed in seeds)
    return transfer_table(embedders, rounds, columns=COLUMNS, probes=probes, by_class=by_class, on_result=on_result)


def _view(query: Cells, depth: float, seed: int) -> View:
    counts = thin_counts(query.counts, depth, seed=seed)
    columns = {"depth": depth, "mean_counts": float(counts.sum() / counts.shape[0])}
    return View(columns, f"depth {depth:g}", Cells(counts, query.labels), all_measured(counts))
