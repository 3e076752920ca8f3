"""The most variable genes of a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio.evaluate.methods._embedder import all_measured
from r2mae_bio.evaluate.methods._log_normalize import log_normalize

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.evaluate.methods._embedder import SparseCounts


def variable_panel(counts: SparseCounts, n_genes: int) -> NDArray[np.bool_]:
    """The most variable genes, as ``scanpy.pp.highly_variable_genes`` ranks them (flavour
    ``"seurat"``).

    Parameters
    ----------
    counts
        Raw counts of the reference cells (n_cells, all genes).
    n_genes
        Genes to choose; all detected ones if there are no more.

    Returns
    -------
    Chosen genes (all genes,), boolean.

    Raises
    ------
    ConfigError
        ``n_genes`` is not positive.
    DataError
        No gene is detected.
    """
    check_panel_size(n_genes)
    genes = np.flatnonzero(check_detected(counts))
    if len(genes) > n_genes:
        genes = genes[_most_variable(log_normalize(counts, all_measured(counts))[:, genes], n_genes)]
    return positions_to_mask(genes, counts.shape[1])


def _most_variable(values: sparse.csr_array, n_genes: int) -> NDArray[np.bool_]:
    import scanpy as sc
    from anndata import AnnData

    adata = AnnData(sparse.csr_matrix(values))
    found = sc.pp.highly_variable_genes(adata, n_top_genes=n_genes, flavor="seurat", inplace=False)
    chosen = np.flatnonzero(found["highly_variable"])
    if len(chosen) > n_genes:  # scanpy takes all genes that are level with the last one
        dispersion = found["dispersions_norm"].to_numpy(np.float64)[chosen]
        chosen = chosen[np.argsort(-dispersion, kind="stable")[:n_genes]]
    return positions_to_mask(chosen, values.shape[1])


def check_panel_size(n_genes: int) -> None:
    """Refuse a panel of no gene."""
    if n_genes < 1:
        message = f"n_genes is {n_genes}; at least one gene is needed."
        raise ConfigError(message)


def detected_genes(counts: SparseCounts) -> NDArray[np.bool_]:
    """Whether each gene has a count (n_genes,)."""
    return np.asarray(counts.sum(axis=0)).ravel() > 0


def check_detected(counts: SparseCounts) -> NDArray[np.bool_]:
    """As :func:`detected_genes`; refuse cells without any count."""
    detected = detected_genes(counts)
    if not detected.any():
        message = "No gene is detected in counts; pass raw counts of the reference cells."
        raise DataError(message)
    return detected


def positions_to_mask(genes: ArrayLike, n_genes: int) -> NDArray[np.bool_]:
    """Mask (n_genes,) of some genes."""
    mask = np.zeros(n_genes, dtype=bool)
    mask[np.asarray(genes, dtype=np.intp)] = True
    return mask
