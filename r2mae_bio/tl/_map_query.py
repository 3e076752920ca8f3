"""``tl.map_query``: cells of new batches into the embedding of the reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._uns import check_file_key
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model
from r2mae_bio.tl._embed import provenance_of, write_embedding

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData


@answers_misspelt
def map_query(
    adata: AnnData,
    model: GeneMAE | str | Path,
    *,
    batch_key: str | None = None,
    key_added: str = KEYS.obsm,
    layer: str | None = None,
    batch_size: int | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed cells of new batches among those of the reference, without retraining.

    Parameters
    ----------
    adata
        Cells; see :func:`embed`.
    model
        A model, which then knows the new batches, or the folder of a saved one, which stays as it
        is.
    batch_key
        Column of ``.obs`` with the batch; see :meth:`GeneMAE.map_query`.
    key_added
        Key of ``.obsm``.
    layer, batch_size, duplicates, min_coverage
        As for :func:`embed`.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written is what :func:`embed` writes.

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    SetupError
        The model was made without ``batch_key`` and holds no training data, or a column does not
        exist.
    CountsError, DataError, GeneIdentityError
        The data cannot be used; nothing is written.
    """
    check_file_key(key_added)
    model = open_model(model, GeneMAE, what="model of cells")
    adata = writable(adata, copy=copy)
    latent = model.map_query(
        adata,
        batch_key=batch_key,
        layer=layer,
        batch_size=batch_size,
        duplicates=duplicates,
        min_coverage=min_coverage,
    )
    write_embedding(adata, latent, key_added, {**provenance_of(model, layer), "batches": model.batches})
    return adata if copy else None
