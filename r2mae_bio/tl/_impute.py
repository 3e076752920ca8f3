"""``tl.impute``: expected expression and its uncertainty into ``.layers``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.read._align import align_genes, spread_over_columns
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._genes import gene_aliases
from r2mae_bio.cells.read._uns import add_entry
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray


def impute(
    adata: AnnData,
    model: GeneMAE | str | Path,
    *,
    n_masks: int = 8,
    hide: float = 0.25,
    own_counts: bool = True,
    unmeasured: bool = False,
    key_added: str = "r2mae",
    layer: str | None = None,
    seed: int = 0,
    batch_size: int | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    copy: bool = False,
) -> AnnData | None:
    """Denoise counts and fill in genes, with a standard deviation that says how far to trust each
    number.

    Each measured gene is hidden in an equal number of random masks and predicted from other genes;
    a gene that was not measured is predicted from all masks. The standard deviation holds the noise
    of counting, what the model leaves open, and the spread over masks, see
    :meth:`r2mae_bio.model.GeneMAE.get_predictive_moments`. A cell's result does not depend on the
    other cells, on their order or on ``batch_size`` (to about 1e-5).

    Parameters
    ----------
    adata
        Cells; genes are matched by name, and genes of the model that are missing count as hidden,
        not as zero.
    model
        A model, or the folder of a saved one.
    n_masks
        Number of masks, made up to whole sets of 1 / ``hide``.
    hide
        Share of the measured genes that a mask hides, at most 0.5.
    own_counts
        If True, the prediction of a measured gene is weighed against its own count: the best guess
        of what a second measurement of the cell would give. If False it is left as predicted from
        the other genes, which is what the counts at hand may be compared with: in search of
        outliers, or by :func:`r2mae_bio.evaluate.interval_coverage`.
    unmeasured
        Also write the genes of the model that have no column in ``adata``.
    key_added
        Beginning of the names that are written.
    layer
        Layer of raw counts; see :meth:`GeneMAE.get_latent_representation`.
    seed
        Seed of the masks.
    batch_size
        Cells at a time.
    duplicates
        ``"error"`` or ``"sum"`` for columns of the same gene, each of which is then given the
        prediction of their sum.
    min_coverage
        Smallest share of the model's genes that must be measured.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are ``.layers[f"{key_added}_mean"]`` and
    ``.layers[f"{key_added}_sd"]`` (float32, dense), counts at the depth of the cell, NaN for
    columns that are no gene of the model; with ``unmeasured`` the data frames
    ``.obsm[f"{key_added}_unmeasured_mean"]`` and ``.obsm[f"{key_added}_unmeasured_sd"]`` (float32,
    one column per gene); and ``.uns["r2mae"]["impute"][key_added]`` (dict of str, int, float:
    masks, settings, model) and ``.uns["r2mae"]["coverage"]``.

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    ConfigError
        A setting cannot work.
    CountsError, GeneIdentityError, SetupError
        The data cannot be used; nothing is written.
    """
    if n_masks < 1:
        message = f"n_masks is {n_masks}; needed is a positive number: without a mask no measured gene is predicted."
        raise ConfigError(message)
    model = open_model(model, GeneMAE, what="model of cells")
    adata = writable(adata, copy=copy)
    masks: dict[str, Any] = {"n_masks": n_masks, "hide": hide, "own_counts": own_counts, "seed": seed}
    moments = model.get_predictive_moments(
        adata, **masks, layer=layer, batch_size=batch_size, duplicates=duplicates, min_coverage=min_coverage
    )
    gene_of_column = _genes_of_columns(model, adata)
    missing = np.setdiff1d(np.arange(len(model.vocabulary)), gene_of_column)
    for name, values in zip(("mean", "sd"), moments, strict=True):
        adata.layers[f"{key_added}_{name}"] = np.ascontiguousarray(spread_over_columns(values.T, gene_of_column).T)
        if unmeasured:
            genes = pd.Index(model.vocabulary.names)[missing]
            adata.obsm[f"{key_added}_unmeasured_{name}"] = pd.DataFrame(values[:, missing], index=adata.obs_names, columns=genes)
    add_entry(adata, KEYS.impute, key_added, {**masks, **_provenance(model, layer)})
    return adata if copy else None


def _genes_of_columns(model: GeneMAE, adata: AnnData) -> NDArray[np.int64]:
    """Vocabulary position of each column, -1 where there is none; columns that say they were not
    measured have one too.
    """
    names = tuple(map(str, adata.var_names))
    aligned = align_genes(model.vocabulary, names, query_aliases=gene_aliases(adata.var), duplicates="sum", min_coverage=0.0)
    return aligned.column_to_gene


def _provenance(model: GeneMAE, layer: str | None) -> dict[str, Any]:
    """What h5ad can hold of where the layers come from."""
    return {
        "model": "GeneMAE",
        "layer": "" if layer is None else layer,
        "gene_likelihood": model.config.gene_likelihood,
        "vocabulary": model.vocabulary.fingerprint(),
        "checksum": model.checksum(),
        **{f"version_{key}": value for key, value in model.versions().items()},
    }
