"""A query and the reference for it, embedded so that they can be compared: by the same genes, at
the same depth, without what batches add.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._rng import derive_generator
from r2mae_bio._warn import warn
from r2mae_bio.cells.model._batch_correction import batch_names, laid_on_reference
from r2mae_bio.cells.transfer._depth import ThinnedCells, as_deep_as, cell_depths, explained, no_count
from r2mae_bio.cells.transfer._shared_genes import embed_cells, open_shared
from r2mae_bio.cells.transfer._shared_work import SharedWork

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.model._gene_mae import GeneMAE
    from r2mae_bio.cells.read._cells import CellSource
    from r2mae_bio.cells.transfer._shared_genes import SharedGenes

__all__ = ["EmbeddedPair", "Reading", "embed_pair"]


@dataclass(frozen=True)
class Reading:
    """How two data sets are read; see :func:`r2mae_bio.tl.transfer_labels`."""

    correct_query: bool
    query_batch_key: str | None
    match_depth: bool
    match_shares: bool
    layer: str | None
    reference_layer: str | None
    batch_size: int | None
    seed: int


@dataclass(frozen=True, eq=False)
class EmbeddedPair:
    """Embeddings of a reference and a query."""

    reference: NDArray[np.float32]
    """Every draw of the reference cells, (n_draws, n_reference, n_latent)."""
    query: NDArray[np.float32]
    """(n_query, n_latent)."""
    uncorrected: NDArray[np.float32]
    """The query before it was laid on the reference, (n_query, n_latent)."""
    batches: NDArray[Any]
    """Batch of each query cell, text (n_query,)."""
    empty: NDArray[np.bool_]
    """Query cells without a count in the genes that were compared, (n_query,)."""
    without: NDArray[np.float64]
    """Chance of each reference cell to be left without a count at the depth of the query, 0 where
    depths are not compared, (n_reference,).
    """
    counted: NDArray[np.bool_]
    """Whether each reference cell has a count in each draw, (n_draws, n_reference)."""
    record: dict[str, int]
    """What was done."""


def embed_pair(
    model: GeneMAE,
    query: AnnData,
    reference: AnnData,
    cells: NDArray[np.intp],
    genes: SharedGenes,
    reading: Reading,
    compute: Callable[[SharedWork], NDArray[np.float32]],
) -> EmbeddedPair:
    """Embed a reference and a query.

    Parameters
    ----------
    model
        Reads both.
    query, reference
        The data.
    cells
        Positions of the reference cells to take, (n_reference,).
    genes
        That both measured.
    reading
        How.
    compute
        Does the work on the query, and returns all of its rows.
    """
    known = open_shared(model, reference, genes.reference, layer=reading.reference_layer, indices=cells)
    work = SharedWork(model, query, genes.query, reading.layer, reading.batch_size)
    latent, depths = work.split(compute(work))
    counts = model.config.gene_likelihood != "normal"
    depths = depths if counts else np.ones_like(depths)
    sources: list[CellSource | ThinnedCells] = [known]
    without = np.zeros(len(cells))
    if counts and reading.match_depth and depths.any():
        of_reference = cell_depths(known)
        without = no_count(of_reference, depths)
        sources = as_deep_as(explained(depths, without), known, of_reference, reading.seed)
    every = np.ones(len(cells), bool)
    counted = np.stack([source.kept > 0 if isinstance(source, ThinnedCells) else every for source in sources]) & (without < 1)
    learned = np.stack([embed_cells(model, source, reading.batch_size) for source in sources])
    before, batches = latent, _batches(query, reading.query_batch_key)
    if knows := model.knows_batches(reference) and model.knows_batches(query):
        learned = np.stack([model.without_batches(draw, reference, cells) for draw in learned])
        before = latent = model.without_batches(latent, query)
    elif reading.correct_query:
        generator = derive_generator(reading.seed, "transfer batch effects")
        latent = laid_on_reference(np.concatenate(learned), latent, batches, generator)
    done = {"batches_taken_out": int(knows), "depth_matched": int(sources != [known])}
    return EmbeddedPair(learned, latent, before, batches, _empty(depths, genes), without, counted, done)


def _batches(query: AnnData, key: str | None) -> NDArray[Any]:
    """Batch of each cell of the query; one if there is no key."""
    return np.full(query.n_obs, "the query", dtype=object) if key is None else batch_names(query, key)


def _empty(depths: NDArray[np.float64], genes: SharedGenes) -> NDArray[np.bool_]:
    """Which cells have no counts, with a warning."""
    empty = depths <= 0
    if empty.any():
        message = (
            f"{int(empty.sum())} of {len(empty)} query cells have no count in the {genes.n_shared:,} genes that query and reference "
            "share: nothing is known of them. Their probabilities are shares of the classes, and their score for "
            "unknown types is missing."
        )
        warn(message)
    return empty
