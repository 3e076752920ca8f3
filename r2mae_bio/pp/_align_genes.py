from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from r2mae_bio._errors import DataError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._align import align_anndata
from r2mae_bio.cells.read._cells import open_cells
from r2mae_bio.cells.read._genes import GeneVocabulary
from r2mae_bio.cells.read._matrix import gene_totals
from r2mae_bio.cells.read._panels import read_panels
from r2mae_bio.cells.read._uns import all_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._align import GeneAlignment
    from r2mae_bio.cells.read._cells import CellSource

_CHUNK: Final = 4096
"""Cells aligned at a time."""


def align_genes(
    adata: AnnData,
    reference: Any,
    *,
    layer: str | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    case_sensitive: bool = True,
) -> AnnData:
    """Bring a data set onto the genes of a reference, by name.

    A gene of the reference that ``adata`` does not measure gets an empty column and
    ``var["measured"]`` False. Empty does not mean zero: a model must treat such a gene as hidden.
    The models and verbs of this package read ``var["measured"]`` and do so; other tools do not.

    Parameters
    ----------
    adata
        Cells x genes, in memory or backed; it is not changed. If it has a column
        ``var["measured"]`` (bool), genes that are False there count as not measured.
    reference
        Where the genes come from: a ``GeneVocabulary``, anything with an attribute ``vocabulary``
        (such as a model), an AnnData, or a sequence of gene names.
    layer
        Layer to align; ``adata.X`` if None.
    duplicates
        What to do with several columns of one gene: ``"error"`` or ``"sum"``.
    min_coverage
        Smallest accepted fraction of the reference that is measured, in [0, 1]; if None, see
        :func:`r2mae_bio.io.align_genes`.
    case_sensitive
        Whether upper and lower case of gene names differ.

    Returns
    -------
    A new AnnData over the reference's genes, with

    ``.X`` : csr_matrix (float32)
        Aligned values, shape (cells, reference genes).
    ``.var["measured"]`` : bool
        False: not measured, and to be hidden.
    ``.varm["r2mae_measured"]`` : bool
        Which batch measured which gene, where ``adata`` says so; see :func:`measured_by_batch`.
    ``.uns["r2mae"]["coverage"]`` : dict
        The coverage report: int, float, str and arrays of str.

    ``.obs``, ``.obsm`` and ``.uns`` are copied; further layers, ``.varm``, ``.obsp`` and ``.raw``
    are left out.

    Raises
    ------
    SetupError
        The layer does not exist.
    DataError
        ``reference`` holds no genes.
    DuplicateGenesError
        Several columns are the same gene and ``duplicates="error"``.
    GeneCoverageError
        Too few genes of the reference are measured; the message guesses why.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> adata = rb.datasets.pbmc68k()
    >>> panel = adata[:, ::3].copy()
    >>> aligned = rb.pp.align_genes(panel, adata)
    >>> aligned.n_vars, int(aligned.var["measured"].sum())
    (765, 255)
    """
    vocabulary = _vocabulary(reference)
    alignment = align_anndata(vocabulary, adata, duplicates=duplicates, min_coverage=min_coverage, case_sensitive=case_sensitive)
    matrix = _read(open_cells(adata, layer=layer, alignment=alignment))
    aligned = AnnData(matrix, obs=adata.obs.copy(), var=_var(vocabulary, alignment), uns=deepcopy(dict(adata.uns)))
    for key, value in adata.obsm.items():
        aligned.obsm[key] = value.copy()
    # a setup may name a layer that the result no longer has
    kept = {key: value for key, value in all_records(aligned).items() if key != KEYS.setup}
    if KEYS.measured in kept:
        aligned.varm[KEYS.measured_varm] = _panels_of_genes(np.asarray(adata.varm[KEYS.measured_varm]), alignment)
    aligned.uns[KEYS.uns] = {**kept, KEYS.coverage: alignment.report.to_uns()}
    return aligned


def _panels_of_genes(panels: NDArray[np.bool_], alignment: GeneAlignment) -> NDArray[np.bool_]:
    """What each panel measured, from (columns, n_panels) to (genes, n_panels)."""
    genes = np.zeros((alignment.measured.size, panels.shape[1]), bool)
    column, panel = np.nonzero(panels & (alignment.column_to_gene >= 0)[:, None])
    genes[alignment.column_to_gene[column], panel] = True
    return genes


def _vocabulary(reference: Any) -> GeneVocabulary:
    reference = getattr(reference, "vocabulary", reference)
    if isinstance(reference, GeneVocabulary):
        return reference
    if isinstance(reference, AnnData):
        return GeneVocabulary.from_anndata(reference, _totals(reference))
    if isinstance(reference, str) or not hasattr(reference, "__iter__"):
        message = (
            f"reference is a {type(reference).__name__}; needed is a GeneVocabulary, a model, an AnnData or a sequence of gene "
            "names. To align to a saved model, load it first."
        )
        raise DataError(message)
    names = tuple(str(name) for name in reference)
    return GeneVocabulary(names, {}, np.zeros(len(names)))


def _totals(reference: AnnData) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Count totals of the reference; zeros, for "not known", if its matrix is absent or cannot be
    counts.
    """
    if reference.X is None:
        return np.zeros(reference.n_vars)
    totals = gene_totals(reference.X, read_panels(reference))
    return totals if np.all(totals >= 0) and np.all(np.isfinite(totals)) else np.zeros(reference.n_vars)


def _var(vocabulary: GeneVocabulary, alignment: GeneAlignment) -> pd.DataFrame:
    columns = {**vocabulary.aliases, "measured": alignment.measured}
    return pd.DataFrame(columns, index=pd.Index(list(vocabulary.names)))


def _read(cells: CellSource) -> sparse.csr_matrix:
    parts = [_matrix(cells, start) for start in range(0, cells.n_cells, _CHUNK)]
    empty = sparse.csr_matrix((cells.n_cells, cells.n_genes), dtype=np.float32)
    return sparse.vstack(parts, format="csr", dtype=np.float32) if parts else empty


def _matrix(cells: CellSource, start: int) -> sparse.csr_matrix:
    rows = cells.rows(np.arange(start, min(start + _CHUNK, cells.n_cells)))
    return sparse.csr_matrix((rows.values, rows.genes, rows.indptr), shape=(rows.indptr.size - 1, rows.n_genes))
