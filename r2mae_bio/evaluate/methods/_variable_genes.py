"""The most variable genes of a reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError
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
    detected = detected_genes(counts, n_genes)
    if len(detected) > n_genes:
        detected = detected[_most_variable(log_normalize(counts, np.ones(counts.shape[1], bool))[:, detected], n_genes)]
    return positions_to_mask(detected, counts.shape[1])


def _most_variable(values: sparse.csr_array, n_genes: int) -> NDArray[np.bool_]:
    import scanpy as sc
    from anndata import AnnData

    adata = AnnData(sparse.csr_matrix(values))
    found = sc.pp.highly_variable_genes(adata, n_top_genes=n_genes, flavor="seurat", inplace=False)
    return np.asarray(found["highly_variable"], dtype=bool)


def detected_genes(counts: SparseCounts, n_genes: int) -> NDArray[np.intp]:
    """Positions of the genes with a count."""
    if n_genes < 1:
        message = f"n_genes is {n_genes}; at least one gene is needed."
        raise ConfigError(message)
    detected = np.flatnonzero(np.asarray(counts.sum(axis=0)).ravel() > 0)
    if not len(detected):
        message = "No gene is detected in counts; pass raw counts of the reference cells."
        raise DataError(message)
    return detected


def positions_to_mask(genes: ArrayLike, n_genes: int) -> NDArray[np.bool_]:
    """Mask (n_genes,) of some genes."""
    mask = np.zeros(n_genes, dtype=bool)
    mask[np.asarray(genes, dtype=np.intp)] = True
    return mask
