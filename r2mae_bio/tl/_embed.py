"""``tl.embed``: an embedding into ``.obsm``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._uns import add_entry
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from anndata import AnnData
    from numpy.typing import NDArray


def embed(
    adata: AnnData,
    model: GeneMAE | str | Path,
    *,
    key_added: str = KEYS.obsm,
    layer: str | None = None,
    batch_size: int | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    correct_batch: bool | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Embed cells with a pretrained model.

    Parameters
    ----------
    adata
        Cells; genes are matched by name, and genes of the model that are missing count as hidden,
        not as zero. Of data joined from several panels, say first which measured what, see
        :func:`r2mae_bio.pp.measured_by_batch`.
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
        The model has no weights, or ``batch_size`` is not positive.
    CountsError, DataError, GeneIdentityError, SetupError
        The data cannot be used; nothing is written.
    """
    model = open_model(model, GeneMAE, what="model of cells")
    adata = writable(adata, copy=copy)
    latent = model.get_latent_representation(
        adata,
        batch_size=batch_size,
        layer=layer,
        duplicates=duplicates,
        min_coverage=min_coverage,
        correct_batch=correct_batch,
    )
    write_embedding(adata, latent, key_added, provenance_of(model, layer))
    return adata if copy else None


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
