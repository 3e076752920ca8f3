"""``tl.transfer_labels``: labels of a reference into ``.obs``, with a probability and a score for
types that the reference lacks.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.model._gene_mae import GeneMAE
from r2mae_bio.cells.read._uns import make_actual, write_record
from r2mae_bio.cells.transfer._label_transfer import LabelTransfer
from r2mae_bio.cells.transfer._shared_genes import embed_shared, share_genes
from r2mae_bio.core._saved import open_model

if TYPE_CHECKING:
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.transfer._label_transfer import Transferred
    from r2mae_bio.cells.transfer._shared_genes import SharedGenes

_UNKNOWN: Final = "unknown"
_FEWEST: Final = 2


def transfer_labels(
    adata: AnnData,
    reference: AnnData,
    *,
    labels_key: str,
    model: GeneMAE | str | Path,
    groups_key: str | None = None,
    unknown_threshold: float | None = None,
    key_added: str = "r2mae_label",
    layer: str | None = None,
    reference_layer: str | None = None,
    batch_size: int | None = None,
    duplicates: str = "error",
    min_coverage: float | None = None,
    seed: int = 0,
    copy: bool = False,
) -> AnnData | None:
    """Label cells by a reference, and say how far to trust each label.

    Both data sets are embedded by the same genes: those of the model that both measured. A logistic
    regression learns from the reference so embedded, so that a query measured on a panel meets a
    classifier made for this panel. Batches are taken out of both if the model knows those of all
    cells (see :func:`map_query`). Its strength and the temperature of its probabilities come from
    cross-validation within the reference. The score for unknown types compares a cell's distance to
    the mean of its class, and the odds against its label, with those of reference cells of that
    label that were held out: 0.95 means that 95% of the reference cells look less unusual.
    Differences between the studies make all cells of a query look more unusual. A cell's results do
    not depend on the other cells of the query, on their order or on ``batch_size`` (to about 1e-5).

    Parameters
    ----------
    adata
        Cells to label, with raw counts.
    reference
        Labelled cells, with raw counts; not changed. Cells without a label, and classes of a single
        cell, are left out with a warning.
    labels_key
        Column of ``reference.obs`` with the classes.
    model
        A model, or the folder of a saved one. It need not have been trained on either data set.
    groups_key
        Column of ``reference.obs`` with groups such as donors. If given, whole groups are held out
        in the cross-validation, and confidence is that in cells of a donor not seen before;
        advisable where there are three or more.
    unknown_threshold
        Cells with a score for unknown types above this, between 0 and 1, get the label
        ``"unknown"``; none does if None.
    key_added
        Beginning of the names that are written.
    layer, reference_layer
        Layers of raw counts; see :meth:`GeneMAE.get_latent_representation`.
    batch_size
        Cells at a time; 256 if None.
    duplicates
        ``"error"`` or ``"sum"`` for columns of the same gene, in either data set.
    min_coverage
        Smallest share of the model's genes that both data sets must have measured; 0.01 if None.
    seed
        Seed of the folds.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are

    - ``.obs[key_added]`` (categorical): the most probable class, or ``"unknown"``;
    - ``.obs[f"{key_added}_confidence"]`` (float32): the probability of the most probable class;
    - ``.obs[f"{key_added}_unknown"]`` (float32, at least 0 and below 1): score for a type that the
      reference lacks;
    - ``.obsm[f"{key_added}_probabilities"]`` (float32, (n_cells, n_classes)): probabilities of the
      classes of the reference;
    - ``.uns["r2mae"]["transfer_labels"][key_added]``, a dict of ``classes`` (str, (n_classes,)):
      the columns of the probabilities; ``temperature``, ``strength`` (inverse L2 penalty) and
      ``accuracy_out_of_fold`` (float): what cross-validation found; ``unknown_threshold`` (float,
      if given); ``n_genes_shared``, ``n_genes_query``, ``n_genes_reference``, ``n_genes_model``,
      ``n_reference`` (cells learned from), ``batches_taken_out`` (0 or 1) and ``seed`` (int);
      ``labels_key``, ``groups_key``, ``layer``, ``reference_layer``, ``vocabulary`` and
      ``checksum`` of the model (str).

    Raises
    ------
    CheckpointError
        The folder holds no model, or a damaged one.
    ConfigError
        ``unknown_threshold`` or ``batch_size`` is out of range, or the reference has a class
        ``"unknown"`` of its own.
    SetupError
        A column or a layer does not exist.
    CountsError, DataError, GeneIdentityError
        The data cannot be used, they share too few genes, or the reference has fewer than two
        classes; nothing is written.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> cells = rb.datasets.pbmc68k()
    >>> model = rb.tl.pretrain(cells, layer="counts", max_epochs=1, progress_bar=False)
    >>> reference, query = cells[:500].copy(), cells[500:].copy()
    >>> rb.tl.transfer_labels(query, reference, labels_key="bulk_labels", model=model)
    >>> query.obsm["r2mae_label_probabilities"].shape
    (200, 10)
    """
    model = open_model(model, GeneMAE, "setup_anndata", what="model of cells")
    _check_settings(unknown_threshold, batch_size)
    labels = _labels(reference, labels_key)
    cells = _usable(labels, labels_key)
    if unknown_threshold is not None and _UNKNOWN in set(labels[cells]):
        message = (
            f"reference.obs[{labels_key!r}] has a class {_UNKNOWN!r}, which unknown_threshold gives to cells that are like no class. Set "
            "the label of these cells to missing, rename it, or leave unknown_threshold away."
        )
        raise ConfigError(message)
    groups = None if groups_key is None else _groups(reference, groups_key, cells)
    genes = share_genes(model.vocabulary, adata, reference, duplicates=duplicates, min_coverage=min_coverage)
    learned = embed_shared(model, reference, genes.reference, layer=reference_layer, indices=cells, batch_size=batch_size)
    asked = embed_shared(model, adata, genes.query, layer=layer, batch_size=batch_size)
    if corrected := model.knows_batches(reference) and model.knows_batches(adata):
        learned, asked = model.without_batches(learned, reference, cells), model.without_batches(asked, adata)
    transfer = LabelTransfer.fit(learned, labels[cells].astype(str), groups=groups, seed=seed)
    if copy:
        adata = adata.copy()
    make_actual(adata)
    _write(adata, transfer.predict(asked), transfer.classes, key_added, unknown_threshold)
    columns = {"labels_key": labels_key, "groups_key": groups_key, "layer": layer, "reference_layer": reference_layer}
    texts = {name: value or "" for name, value in columns.items()}  # h5ad has no None
    numbers = {"n_reference": len(cells), "seed": int(seed), "batches_taken_out": int(corrected)}
    threshold = {} if unknown_threshold is None else {"unknown_threshold": float(unknown_threshold)}
    records = adata.uns.get(KEYS.uns, {}).get(KEYS.transfer_labels, {})
    write_record(
        adata, KEYS.transfer_labels, {**records, key_added: {**_results(model, transfer, genes), **texts, **numbers, **threshold}}
    )
    return adata if copy else None


def _check_settings(unknown_threshold: float | None, batch_size: int | None) -> None:
    if unknown_threshold is not None and not 0 <= unknown_threshold <= 1:
        message = f"unknown_threshold is {unknown_threshold}; needed is a number between 0 and 1, such as 0.99, or None."
        raise ConfigError(message)
    if batch_size is not None and batch_size < 1:
        message = f"batch_size is {batch_size}; needed is a positive number of cells, or None."
        raise ConfigError(message)


def _labels(reference: AnnData, key: str) -> NDArray[np.object_]:
    """Labels as text (n_cells,), None where there is none."""
    column = _column(reference, key)
    labels = column.astype(str).to_numpy(object).copy()
    labels[column.isna().to_numpy(bool)] = None
    return labels


def _usable(labels: NDArray[np.object_], key: str) -> NDArray[np.intp]:
    """Positions of the cells to learn from."""
    present = np.flatnonzero(pd.notna(labels))
    names, code, size = np.unique(labels[present].astype(str), return_inverse=True, return_counts=True)
    cells, single = present[size[code] >= _FEWEST], names[size < _FEWEST]
    if np.count_nonzero(size >= _FEWEST) < _FEWEST:
        message = (
            f"reference.obs[{key!r}] has {len(present)} labelled cells of {len(names)} classes ({', '.join(names[:5]) or 'none'}), of which "
            f"{len(names) - single.size} have at least two cells; needed are two such classes. Check the column, or merge small classes."
        )
        raise DataError(message)
    if len(present) < len(labels):
        message = f"{len(labels) - len(present)} of {len(labels)} reference cells have no label in obs[{key!r}] and are left out."
        warnings.warn(message, stacklevel=3)
    if single.size:
        message = (
            f"Classes with a single reference cell are left out, since nothing can be validated on it: {', '.join(single[:5])}."
        )
        warnings.warn(message, stacklevel=3)
    return cells


def _groups(reference: AnnData, key: str, cells: NDArray[np.intp]) -> NDArray[np.str_]:
    """Groups as text, of some cells."""
    column = _column(reference, key).iloc[cells]
    if column.isna().any():
        message = (
            f"{int(column.isna().sum())} of {len(column)} labelled reference cells have no group in obs[{key!r}]; needed is one for each. "
            "Fill them in, drop these cells, or leave groups_key away."
        )
        raise DataError(message)
    return column.astype(str).to_numpy(str)


def _column(reference: AnnData, key: str) -> pd.Series:
    if key not in reference.obs:
        columns = ", ".join(map(str, reference.obs.columns)) or "none"
        message = f"reference.obs has no column {key!r}; it has {columns}. Check the spelling of the key."
        raise SetupError(message)
    return reference.obs[key]


def _write(adata: AnnData, found: Transferred, classes: NDArray[np.str_], key: str, unknown_threshold: float | None) -> None:
    codes, names = found.probabilities.argmax(axis=1), list(map(str, classes))
    if unknown_threshold is not None:
        codes = np.where(found.unknown > unknown_threshold, len(names), codes)
        names.append(_UNKNOWN)
    adata.obs[key] = pd.Categorical.from_codes(codes, categories=names)
    adata.obs[f"{key}_confidence"] = found.probabilities.max(axis=1)
    adata.obs[f"{key}_unknown"] = found.unknown
    # an array, not a data frame: h5ad refuses names of columns with a slash, which names of cell
    # types have
    adata.obsm[f"{key}_probabilities"] = found.probabilities


def _results(model: GeneMAE, transfer: LabelTransfer, genes: SharedGenes) -> dict[str, Any]:
    """What h5ad can hold of what was learned."""
    return {
        "classes": transfer.classes.astype(object),
        "temperature": transfer.temperature,
        "strength": transfer.strength,
        "accuracy_out_of_fold": transfer.accuracy,
        "n_genes_shared": genes.n_shared,
        "n_genes_query": genes.n_query,
        "n_genes_reference": genes.n_reference,
        "n_genes_model": len(model.vocabulary),
        "vocabulary": model.vocabulary.fingerprint(),
        "checksum": model.checksum(),
    }
