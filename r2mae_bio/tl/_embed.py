"""``tl.embed``: an embedding into ``.obsm``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2mae_bio._keys import KEYS
from r2mae_bio.cells._embedded import Embedding, write_embeddings
from r2mae_bio.cells._opened import check_places, matrix_of, opened
from r2mae_bio.cells.fit._table import cells_at_a_time
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.model._reader import EMBEDDED_AT_ONCE, read_layer
from r2mae_bio.cells.read._data import in_files, writable
from r2mae_bio.cells.read._uns import add_entry, check_file_key, write_record
from r2mae_bio.cells.stored._computed import ModelWork
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from anndata import AnnData
    from distributed import Client
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._store import CellStore


@answers_misspelt
def embed(
    adata: AnnData | str | Path | Sequence[str | Path],
    model: GeneMAE | str | Path,
    *,
    key_added: str = KEYS.obsm,
    layer: str | None = None,
    batch_size: int | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    correct_batch: bool | None = None,
    out: str | Path | None = None,
    overwrite: bool = False,
    client: Client | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed cells with a pretrained model.

    Embeddings of a :class:`r2mae_bio.io.CellStore`, or of files, are written into these files, or
    to a new one, and are never in memory as a whole. They grow in a journal (``.part`` and
    ``.part.json`` beside the file), from which a killed run goes on when it is called again; a file
    has them all or none.

    Parameters
    ----------
    adata
        Cells, in an AnnData, a store, or files: the path of an h5ad file, a zarr folder or an
        annbatch collection, or several of them, become a store. Genes are matched by name, and
        genes of the model that are missing count as hidden, not as zero. Of data joined from
        several panels, say first which measured what, see :func:`r2mae_bio.pp.measured_by_batch`.
    model
        A model, or the folder of a saved one.
    key_added
        Key of ``.obsm``.
    layer
        Layer of raw counts; see :meth:`GeneMAE.get_latent_representation`.
    batch_size
        Cells at a time.
    duplicates
        ``"error"`` or ``"sum"`` for columns of the same gene.
    min_coverage
        Smallest share of the model's genes that must be measured.
    correct_batch
        Take batches out; if None, where the model was set up with ``batch_key`` and ``adata`` has
        this column. Batches that the model does not know are refused; see :func:`map_query`.
    out
        For cells of a store: a new ``.zarr`` folder or ``.h5ad`` file, with the names and ``.obs``
        of the store; if None, ``.obsm`` of the store's own files, whose matrices are not touched.
    overwrite
        For cells of a store: replace an ``out`` that exists, but for files that are read, or
        embeddings of other models or settings under the same key.
    client
        For cells in files: a ``dask.distributed.Client``, whose workers embed blocks of cells; they
        must see the files under the same paths. Results are those of one process to rounding. This
        process embeds if None.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are ``.obsm[key_added]`` (float32, (n_cells, n_latent)),
    ``.uns["r2mae"]["embed"][key_added]`` (dict of str, int, float: model, settings, versions) and
    ``.uns["r2mae"]["coverage"]`` (dict: how the genes matched).

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    NotTrainedError, ConfigError
        The model has no weights, ``batch_size`` is not positive, or what is to be written exists.
    JournalError
        Another run with other settings was begun, or is writing.
    CountsError, DataError, GeneIdentityError, SetupError
        The data cannot be used; nothing is written.
    """
    check_file_key(key_added)
    model = open_model(model, GeneMAE, what="model of cells")
    genes = {"duplicates": duplicates, "min_coverage": min_coverage}
    with opened(adata, layer=layer, obs=[model.record.setup.batch_key], **genes) as cells:
        check_places(cells, out, client, overwrite=overwrite, copy=copy)
        reading: dict[str, Any] = {"layer": layer, "batch_size": batch_size, "correct_batch": correct_batch, **genes}
        if in_files(cells):
            path = None if out is None else Path(out).expanduser()
            write_embeddings(cells, _embedding(cells, model, key_added, reading), out=path, overwrite=overwrite, client=client)
            if model.coverage is not None:
                write_record(cells, KEYS.coverage, model.coverage.to_uns())
            return None
        cells = writable(cells, copy=copy)
        latent = model.get_latent_representation(cells, **reading)
        write_embedding(cells, latent, key_added, provenance_of(model, layer))
    return cells if copy else None


def _embedding(store: CellStore, model: GeneMAE, key_added: str, reading: dict[str, Any]) -> Embedding:
    """What the files of a store are to hold."""

    def records() -> dict[str, dict[str, Any]]:
        coverage = {} if model.coverage is None else {KEYS.coverage: model.coverage.to_uns()}
        return {f"{KEYS.embed}/{key_added}": provenance_of(model, reading["layer"]), **coverage}

    settings = {**reading, "model": model.checksum(), "batches": list(model.batches)}
    step = cells_at_a_time(reading["batch_size"], EMBEDDED_AT_ONCE)
    work = ModelWork(model, "_open_latent", store, reading, model.config.n_latent, step)
    matrix = matrix_of(store, read_layer(model, store, reading["layer"]))
    batch = model.record.setup.batch_key
    obs = [batch] if batch is not None and batch in store.obs and reading["correct_batch"] is not False else []
    return Embedding(key_added, work, matrix, settings, obs, records)


def write_embedding(adata: AnnData, latent: NDArray[np.float32], key_added: str, provenance: dict[str, Any]) -> None:
    """Write an embedding, and where it comes from."""
    adata.obsm[key_added] = latent
    add_entry(adata, KEYS.embed, key_added, provenance)


def provenance_of(model: GeneMAE, layer: str | None) -> dict[str, Any]:
    """What h5ad can hold of where an embedding comes from."""
    record = model.record
    return {
        "model": "GeneMAE",
        "mask_ratio": str(record.law),
        "layer": "" if layer is None else layer,
        "seed": record.seed,
        "epochs": len(record.history),
        "data_fingerprint": record.data_fingerprint,
        "vocabulary": record.vocabulary.fingerprint(),
        **{f"config_{key}": value for key, value in record.config.to_json().items()},
        **{f"version_{key}": value for key, value in model.versions().items()},
    }
