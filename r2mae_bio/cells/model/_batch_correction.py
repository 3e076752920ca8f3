"""Batches of cells: their names and numbers, what they add to embeddings, and taking it out."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import torch

from r2mae_bio._errors import DataError
from r2mae_bio._warn import warn
from r2mae_bio.cells.fit._batch_effects import (
    CELLS_PER_CLUSTER,
    FEWEST_CELLS,
    FEWEST_NEIGHBOURHOODS,
    add_batches,
    enough_cells,
    fit_batch_effects,
)
from r2mae_bio.cells.model._setup import query_layer
from r2mae_bio.cells.read._matrix import gene_totals, get_matrix
from r2mae_bio.cells.read._obs import cell_positions, complete, read_column, text_values
from r2mae_bio.cells.read._panels import read_panels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.model._record import GeneRecord
    from r2mae_bio.cells.network._batch_effects import BatchEffects

__all__ = [
    "batch_names",
    "batch_numbers",
    "fingerprint",
    "grow",
    "laid_on_reference",
    "query_names",
    "without_effects",
]

_WHOLE: Final = "query"
"""How the name of a query without batches begins; a fingerprint of its cells follows, so that
another query is another batch.
"""
_CORRECTED_AT_ONCE: Final = 4096


def batch_names(adata: AnnData, key: str, indices: Any = None) -> NDArray[Any]:
    """Batch of each cell, or of those at ``indices``, as text; a missing one is refused."""
    column, chosen = read_column(adata.obs, key), cell_positions(indices, adata.obs_names)
    return text_values(complete(column if chosen is None else column.iloc[chosen]))


def query_names(record: GeneRecord, query: AnnData, batch_key: str | None, layer: str | None) -> NDArray[Any]:
    """Batch of each cell of a query, as text; a query without batches is one, with a name of its
    own.

    Parameters
    ----------
    record
        Of the model.
    query
        The cells.
    batch_key, layer
        What the user asked for.
    """
    key = record.setup.batch_key if batch_key is None else batch_key
    if batch_key is None and (key is None or key not in query.obs):
        layer = query_layer(query, layer, record.setup.layer, record.config.gene_likelihood)
        return np.full(query.n_obs, f"{_WHOLE} {fingerprint(query, layer)}", dtype=object)
    return batch_names(query, str(key))


def batch_numbers(known: Sequence[str], names: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers of batches.

    Parameters
    ----------
    known
        Names of the batches that the model knows, in their order.
    names
        Batch of each cell (n_cells,).

    Raises
    ------
    DataError
        The model does not know one.
    """
    place = {name: number for number, name in enumerate(known)}
    unknown = sorted(set(names) - set(place))
    if unknown:
        message = (
            f"The model does not know the batches {', '.join(map(repr, unknown[:5]))} ({len(unknown)} in all); it knows "
            f"{', '.join(map(repr, known[:5]))} ({len(known)} in all). Map them with map_query() first, or pass correct_batch=False."
        )
        raise DataError(message)
    return np.array([place[name] for name in names], np.int64)


def grow(effects: BatchEffects, latent: NDArray[np.float32], names: NDArray[Any], new: list[str]) -> BatchEffects:
    """Batch effects with those of new batches behind them; too few cells give none, with a warning.

    Parameters
    ----------
    effects
        Of the batches that the model knows.
    latent
        Uncorrected embeddings of the new cells (n_cells, n_latent).
    names
        Their batches (n_cells,).
    new
        Names of the new batches, sorted.
    """
    found, number = np.unique(names.astype(str), return_counts=True)
    few = found[number < FEWEST_CELLS].tolist()
    if few:
        warn(f"Batches of fewer than {FEWEST_CELLS} cells are not corrected: {', '.join(few[:5])} ({len(few)} in all).")
    grown = add_batches(effects, latent, np.searchsorted(new, names), len(new))
    moved = grown.offsets[-len(new) :].abs().amax((1, 2)).cpu().numpy() > 0
    alone = sorted({str(name) for name, known in zip(new, moved, strict=True) if not known} - set(few))
    if alone:
        why = "Their cells lie in too few neighbourhoods of the reference"
        if len(effects.centroids) < FEWEST_NEIGHBOURHOODS:
            why = f"A reference of fewer than {FEWEST_NEIGHBOURHOODS * CELLS_PER_CLUSTER} cells has too few neighbourhoods"
        warn(f"Batches not corrected: {', '.join(alone[:5])} ({len(alone)} in all). {why} to tell a batch from a cell type.")
    return grown


def laid_on_reference(
    reference: NDArray[np.float32], query: NDArray[np.float32], names: NDArray[Any], generator: np.random.Generator
) -> NDArray[np.float32]:
    """Embeddings of a query without what its batches add to those of a reference.

    Parameters
    ----------
    reference
        Embeddings of the reference (n_reference, n_latent), taken as one batch.
    query
        Embeddings of the query (n_query, n_latent).
    names
        Batch of each cell of the query (n_query,).
    generator
        Starts the neighbourhoods.

    Returns
    -------
    (n_query, n_latent). Batches that cannot be told from cell types stay, with a warning, and so do
    a few cells, without one.
    """
    if len(query) < FEWEST_CELLS:
        return query
    cells = enough_cells(len(reference), generator)
    effects = fit_batch_effects(reference[cells], np.zeros(len(cells), np.int64), 1, generator)
    new, numbers = np.unique(names.astype(str), return_inverse=True)
    return without_effects(grow(effects, query, names, new.tolist()), query, 1 + numbers)


@torch.inference_mode()
def without_effects(effects: BatchEffects, latent: NDArray[np.float32], numbers: NDArray[np.int64]) -> NDArray[np.float32]:
    """Embeddings without what their batches add, cell by cell.

    Parameters
    ----------
    effects
        Of the batches.
    latent
        Embeddings (n_cells, n_latent).
    numbers
        Batch of each cell (n_cells,).
    """
    corrected, device = np.zeros(latent.shape, np.float32), effects.centroids.device
    for start in range(0, len(latent), _CORRECTED_AT_ONCE):
        rows = slice(start, start + _CORRECTED_AT_ONCE)
        there = torch.from_numpy(latent[rows]).to(device), torch.from_numpy(numbers[rows]).to(device)
        corrected[rows] = effects(*there).cpu().numpy()
    return corrected


def fingerprint(query: AnnData, layer: str | None) -> str:
    """Eight letters that tell sets of cells apart.

    Parameters
    ----------
    query
        The cells.
    layer
        Layer whose totals are taken; ``X`` if None.
    """
    digest = hashlib.sha256("\n".join(map(str, (*query.obs_names, "", *query.var_names))).encode())
    digest.update(np.asarray(gene_totals(get_matrix(query, layer), read_panels(query)), np.float64).tobytes())
    return digest.hexdigest()[:8]
