"""The panel table: train on whole measurements, score cells of which only a panel of genes was
measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio.evaluate._checks import check_unique
from r2mae_bio.evaluate.tasks._gene_panels import as_panel, panel_mask
from r2mae_bio.evaluate.tasks._transfer import SCORES, Round, View, check_cells, check_split, transfer_table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    import pandas as pd
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio._splits import Split
    from r2mae_bio.evaluate.methods._embedder import Embedder, SparseCounts
    from r2mae_bio.evaluate.scores._probe import ProbeKind
    from r2mae_bio.evaluate.tasks._transfer import Cells

__all__ = ["panel_transfer"]

REFERENCES = ("all genes", "panel")
"""Genes of the reference cells that a probe learns from."""
COLUMNS = ["method", "seed", "panel", "fraction", "n_genes"]
"""Columns before the scores."""


def panel_transfer(
    embedders: Sequence[Embedder],
    counts: SparseCounts,
    labels: ArrayLike,
    *,
    split: Split,
    fractions: Sequence[float] = (1.0, 0.3, 0.1, 0.03),
    panels: Mapping[str, ArrayLike] | None = None,
    seeds: Sequence[int] = (0, 1, 2),
    probes: Sequence[ProbeKind] = ("linear", "knn"),
    matched: bool = False,
    by_class: bool = False,
    on_result: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Score every method on query cells of which only a panel of genes was measured.

    Per seed, a method is fitted once on the counts of the reference cells, without labels;
    reference cells are embedded with every gene measured, and each probe is trained on them once.
    Query cells are then embedded with each panel, the same for every method, and scored by the same
    probe. Random panels of one seed are nested, see :func:`panel_mask`.

    Parameters
    ----------
    embedders
        Methods with different names.
    counts
        Raw counts (n_cells, n_genes).
    labels
        Class per cell (n_cells,), seen by the probes only.
    split
        Reference and query cells, the same for every seed.
    fractions
        Shares of the genes that random panels measure, each above 0, at most 1; may be empty if
        ``panels`` are given.
    panels
        Further panels by name, the same for every seed: positions of genes, or a boolean mask
        (n_genes,). Designed panels must be chosen from the reference cells, see
        :func:`variable_panel` and :func:`marker_panel`.
    seeds
        Seeds of random panels and methods; the spread over seeds is what :func:`summarize` reports.
    probes
        Kinds of probe, see :func:`fit_probe`.
    matched
        Score each panel a second time with probes that learned from reference cells of which the
        same panel was taken, as the genes of a query are known when its labels are asked for. Rows
        are told apart by a further column, reference: ``"all genes"`` or ``"panel"``.
    by_class
        One row per class among the query cells, with the further columns label, n_label (query
        cells of the class) and f1.
    on_result
        Called with one line of text after each scored panel.

    Returns
    -------
    One row per method, seed, panel and probe, with columns method, seed, panel (a name, or
    ``"30%"``), fraction (share of genes measured), n_genes (measured genes), probe, accuracy and
    macro_f1 (over the classes among the query cells).

    Raises
    ------
    ConfigError
        Names repeat or nothing is asked for.
    DataError
        Labels, split or a panel do not fit the counts.
    """
    named = dict(panels or {})
    check_unique(embedders=embedders, panels=[*map(_percent, fractions), *named], seeds=seeds, probes=probes)
    cells = check_cells(counts, labels)
    check_split(split, len(cells.labels))
    reference, query = cells.take(split.reference), cells.take(split.query)
    n_genes = cells.counts.shape[1]
    designed = {name: as_panel(panel, n_genes, name) for name, panel in named.items()}
    references = REFERENCES if matched else (None,)

    def views(seed: int) -> list[View]:
        masks = {_percent(fraction): panel_mask(n_genes, fraction, seed=seed) for fraction in fractions}
        shares = dict(zip(masks, fractions, strict=True))
        measured = {**masks, **designed}
        return [_view(name, mask, query, shares.get(name), genes) for name, mask in measured.items() for genes in references]

    rounds = (Round(seed, reference, views(seed)) for seed in seeds)
    columns = [*COLUMNS, *["reference"] * matched, *SCORES]
    return transfer_table(embedders, rounds, columns=columns, probes=probes, by_class=by_class, on_result=on_result)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.3g}%"


def _view(name: str, measured: NDArray[np.bool_], query: Cells, fraction: float | None, learned_from: str | None) -> View:
    n_genes = int(measured.sum())
    columns = {"panel": name, "fraction": n_genes / len(measured) if fraction is None else fraction, "n_genes": n_genes}
    if learned_from is not None:
        columns["reference"] = learned_from
    return View(columns, f"{n_genes} genes", query, measured, matched=learned_from == REFERENCES[1])
