"""Two data sets read by the same genes: those of the model that both measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import GeneCoverageError
from r2mae_bio.cells.fit._table import CellTable
from r2mae_bio.cells.model._setup import Setup, query_layer
from r2mae_bio.cells.read._align import align_anndata
from r2mae_bio.cells.read._cells import open_cells
from r2mae_bio.cells.read._coverage import CoverageFloor

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.model._gene_mae import GeneMAE
    from r2mae_bio.cells.read._align import GeneAlignment
    from r2mae_bio.cells.read._cells import CellSource
    from r2mae_bio.cells.read._genes import GeneVocabulary
    from r2mae_bio.cells.transfer._depth import ThinnedCells

__all__ = ["SharedGenes", "embed_cells", "open_shared", "share_genes"]


@dataclass(frozen=True, eq=False)
class SharedGenes:
    """Genes of a model that were measured in all cells of the query and of the reference."""

    query: GeneAlignment
    """Columns of the query; those of other genes are not used."""
    reference: GeneAlignment
    """Columns of the reference; likewise."""
    n_query: int
    """Genes of the model that all cells of the query measured."""
    n_reference: int
    """Genes of the model that all cells of the reference measured."""

    @property
    def n_shared(self) -> int:
        """Genes that both measured, in all cells."""
        return int(self.query.measured.sum())


def share_genes(
    vocabulary: GeneVocabulary,
    query: AnnData,
    reference: AnnData,
    *,
    duplicates: str = "error",
    min_coverage: float | None = None,
) -> SharedGenes:
    """Find the genes that all cells of two data sets have in common, by the names that the model
    knows.

    Parameters
    ----------
    vocabulary
        Genes of the model.
    query, reference
        The data; nothing but ``.var``, and what says which genes were measured in which cells, is
        read.
    duplicates
        What to do with columns of the same gene: ``"error"`` or ``"sum"``.
    min_coverage
        Smallest share of the model's genes that both must have measured; see :func:`align_genes`.

    Returns
    -------
    Alignments of both to the same genes.

    Raises
    ------
    ConfigError
        ``duplicates`` or ``min_coverage`` cannot be used.
    DuplicateGenesError, GeneCoverageError
        The genes of one cannot be matched with those of the model, or too few are in both.
    """
    floor = CoverageFloor.of(len(vocabulary), min_coverage)
    first = align_anndata(vocabulary, query, duplicates=duplicates, min_coverage=min_coverage)
    second = align_anndata(vocabulary, reference, duplicates=duplicates, min_coverage=min_coverage)
    in_query, in_reference = first.common, second.common
    shared = in_query & in_reference
    if not floor.passed(int(shared.sum()), shared.size, vocabulary.count_share(shared)):
        message = (
            f"Query and reference have {int(shared.sum()):,} of the model's {shared.size:,} genes in common ({shared.mean():.2%}); "
            f"needed are at least {floor.describe(shared.size)}. The query measures {int(in_query.sum()):,} of them, the reference "
            f"{int(in_reference.sum()):,}. Take a reference that measures the genes of the query, or lower min_coverage."
        )
        raise GeneCoverageError(message)
    return SharedGenes(_restrict(first, shared), _restrict(second, shared), int(in_query.sum()), int(in_reference.sum()))


def _restrict(alignment: GeneAlignment, shared: NDArray[np.bool_]) -> GeneAlignment:
    columns = alignment.column_to_gene
    return replace(alignment, column_to_gene=np.where((columns >= 0) & shared[columns], columns, -1), measured=shared)


def open_shared(
    model: GeneMAE,
    adata: AnnData,
    alignment: GeneAlignment,
    *,
    layer: str | None = None,
    indices: Any = None,
    checked: bool = False,
) -> CellSource:
    """Cells, to be read by some of the genes that were measured.

    The matrix is read where it is, in memory or on disk; no copy with fewer columns is made.

    Parameters
    ----------
    model
        The model.
    adata
        The cells.
    alignment
        Of ``adata``, from :func:`share_genes`.
    layer
        Layer of counts, as for :meth:`GeneMAE.get_latent_representation`.
    indices
        Positions of cells, or a boolean mask; all if None.
    checked
        The values are known to be sound, and are not looked at.

    Raises
    ------
    NotTrainedError
        There are no weights yet.
    CountsError, SetupError
        The counts cannot be used.
    """
    model._network()  # refuses a model without weights before the counts are read
    likelihood = model.record.config.gene_likelihood
    layer = query_layer(adata, layer, model.record.setup.layer, likelihood)
    if not checked:
        Setup(layer, likelihood).check(adata, allow_empty=True, compare=model.record.setup.batch_key)
    return open_cells(adata, layer=layer, alignment=alignment, indices=indices)


def embed_cells(model: GeneMAE, cells: CellSource | ThinnedCells, batch_size: int | None = None) -> NDArray[np.float32]:
    """Embed cells, as :meth:`GeneMAE.get_latent_representation` would if the data held no other
    genes.

    Parameters
    ----------
    model
        The model.
    cells
        From :func:`open_shared`, thinned or not.
    batch_size
        Cells at a time; 512 if None.

    Returns
    -------
    Embedding, float32 (n_cells, n_latent).
    """
    return model._embed(CellTable(cells, model.record.covariates.blank(cells.n_cells)), batch_size)
