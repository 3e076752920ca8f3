"""``tl.gene_embeddings``: what a model learned about genes, into ``.varm``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.model._gene_embeddings import choose_kind
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.read._align import align_genes, spread_over_columns
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._genes import gene_aliases
from r2mae_bio.cells.read._uns import add_entry, check_file_key
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


@answers_misspelt
def gene_embeddings(
    adata: AnnData,
    model: GeneMAE | str | Path,
    *,
    kind: str | None = None,
    key_added: str = "X_r2mae_gene",
    duplicates: str = "error",
    min_coverage: float | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed genes: those that vary together among the cells the model was trained on point the same
    way.

    Compare genes by the cosine of their rows. No count is read: an embedding of a gene belongs to
    the model, and ``adata`` says which genes are wanted, in which order.

    Parameters
    ----------
    adata
        Data whose columns are matched by name with the genes of the model.
    model
        A model, or the folder of a saved one.
    kind
        ``"keys"``, loadings of the genes on the factors that the transformer reads, or
        ``"decoder"``, how the prediction of a gene moves with the embedding of a cell; see
        :meth:`GeneMAE.get_gene_embeddings`. If None, keys, or for the MLP encoder, which has none,
        the decoder.
    key_added
        Key of ``.varm``.
    duplicates
        What to do with several columns of one gene: ``"error"`` refuses them, with ``"sum"`` all
        get the gene's embedding.
    min_coverage
        Smallest share of the model's genes that must be among the columns.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are ``.varm[key_added]`` (float32, (n_vars, k); k is ``n_factors``
    for keys and ``n_latent`` for the decoder), in which genes that the model does not know have
    rows of NaN, and ``.uns["r2mae"]["gene_embeddings"][key_added]``, a dict of ``kind``,
    ``id_kind`` (which names were compared), ``vocabulary`` and ``data_fingerprint`` (str),
    ``matched``, ``unknown`` and ``duplicated`` (int: columns that got an embedding, that did not,
    and that share it with an earlier one).

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    ConfigError, NotTrainedError
        The model has no such embedding.
    DuplicateGenesError, GeneCoverageError
        The genes cannot be matched; nothing is written.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> adata = rb.datasets.pbmc68k()
    >>> model = rb.tl.pretrain(adata, layer="counts", max_epochs=1, progress_bar=False)
    >>> rb.tl.gene_embeddings(adata, model)
    >>> adata.varm["X_r2mae_gene"].shape
    (765, 32)
    """
    check_file_key(key_added)
    model = open_model(model, GeneMAE, what="model of cells")
    kind = choose_kind(kind, model.config)
    rows = model.get_gene_embeddings(kind=kind).to_numpy()
    # not align_anndata: a column marked as not measured is a gene that the model knows all the same
    alignment = align_genes(
        model.vocabulary,
        tuple(map(str, adata.var_names)),
        query_aliases=gene_aliases(adata.var),
        duplicates=duplicates,
        min_coverage=min_coverage,
    )
    adata = writable(adata, copy=copy)
    adata.varm[key_added] = spread_over_columns(rows, alignment.column_to_gene)
    record = {
        "kind": kind,
        "id_kind": alignment.report.id_kind,
        "vocabulary": model.vocabulary.fingerprint(),
        "data_fingerprint": model.record.data_fingerprint,
        "matched": alignment.report.n_query - alignment.report.unknown,
        "unknown": alignment.report.unknown,
        "duplicated": alignment.report.duplicated,
    }
    add_entry(adata, KEYS.gene_embeddings, key_added, record)
    return adata if copy else None
