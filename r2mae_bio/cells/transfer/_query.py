"""Labels from a reference to a query, both read by the genes that both measured."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from scipy.special import entr

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._rng import derive_generator
from r2mae_bio._warn import warn
from r2mae_bio.cells.fit._table import cells_at_a_time
from r2mae_bio.cells.read._data import check_anndata
from r2mae_bio.cells.read._obs import group_values, label_values, read_column
from r2mae_bio.cells.stored._computed import compute_here
from r2mae_bio.cells.transfer._class_shares import match_shares
from r2mae_bio.cells.transfer._embedding import embed_pair
from r2mae_bio.cells.transfer._label_transfer import LabelTransfer
from r2mae_bio.cells.transfer._shared_genes import share_genes

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.model._gene_mae import GeneMAE
    from r2mae_bio.cells.transfer._embedding import EmbeddedPair, Reading
    from r2mae_bio.cells.transfer._label_transfer import Transferred
    from r2mae_bio.cells.transfer._shared_genes import SharedGenes
    from r2mae_bio.cells.transfer._shared_work import SharedWork

__all__ = ["LabelledQuery", "label_query"]

_UNKNOWN: Final = "unknown"
_FEWEST: Final = 2
_KEPT_SPREAD: Final = 0.99
"""A corrected query must spread over so many of the classes that it spread over before."""


@dataclass(frozen=True, eq=False)
class LabelledQuery:
    """What was transferred to the cells of a query."""

    names: list[Any]
    """Labels that a cell can have: the classes in the type of the reference's, and ``"unknown"`` if
    there is a threshold for it and they are text.
    """
    codes: NDArray[np.intp]
    """Label of each cell, as its position in ``names``, or -1 for none, (n_cells,)."""
    probabilities: NDArray[np.float32]
    """Calibrated probabilities of the classes, (n_cells, n_classes)."""
    unknown: NDArray[np.float32]
    """Score for a type that the reference lacks, (n_cells,)."""
    record: dict[str, Any]
    """What h5ad can hold of how this was learned."""


def label_query(
    model: GeneMAE,
    query: AnnData,
    reference: AnnData,
    *,
    labels_key: str,
    groups_key: str | None,
    unknown_threshold: float | None,
    duplicates: str,
    min_coverage: float | None,
    reading: Reading,
    compute: Callable[[SharedWork], NDArray[np.float32]] | None = None,
) -> LabelledQuery:
    """Learn labels from a reference, and give them to a query.

    Parameters
    ----------
    model
        Reads both.
    query, reference, labels_key, groups_key, unknown_threshold, duplicates, min_coverage
        As in :func:`r2mae_bio.tl.transfer_labels`, whose errors these are.
    reading
        The other arguments.
    compute
        Does the work on the query, see :func:`embed_pair`; in memory if None.

    Returns
    -------
    One label per cell of the query, and what stands behind it.
    """
    _check_threshold(unknown_threshold)
    _check_seed(reading.seed)
    cells_at_a_time(reading.batch_size)
    check_anndata(query)
    check_anndata(reference)
    labels = label_values(read_column(reference.obs, labels_key, where="reference.obs"))
    cells = _usable(labels, labels_key)
    _check_unknown(labels[cells], labels_key, unknown_threshold)
    groups = None if groups_key is None else group_values(reference.obs, groups_key, cells, where="reference.obs")
    genes = share_genes(model.vocabulary, query, reference, duplicates=duplicates, min_coverage=min_coverage)
    here = partial(compute_here, n_cells=query.n_obs)
    pair = embed_pair(model, query, reference, cells, genes, reading, compute or here)
    transfer = LabelTransfer.fit(pair.reference, labels[cells], groups=groups, counted=pair.counted, seed=reading.seed)
    latent = _without_merging_types(transfer, pair)
    answer = transfer.predict(latent, pair.uncorrected, pair.empty)
    matched = _match_shares(transfer, answer, pair, reading) if reading.match_shares else []
    columns = {
        "labels_key": labels_key,
        "groups_key": groups_key,
        "layer": reading.layer,
        "reference_layer": reading.reference_layer,
    }
    texts = {name: value or "" for name, value in columns.items()}  # h5ad has no None
    numbers = {"n_reference": len(cells), "seed": int(reading.seed), **pair.record}
    numbers["query_corrected"] = int(not np.array_equal(latent, pair.uncorrected))
    numbers["batches_with_own_shares"] = len(matched)
    threshold = {} if unknown_threshold is None else {"unknown_threshold": float(unknown_threshold)}
    names, codes = _answers(transfer, answer, unknown_threshold)
    record = {**_results(model, transfer, genes), **texts, **numbers, **threshold}
    return LabelledQuery(names, codes, answer.probabilities, answer.unknown, record)


def _without_merging_types(transfer: LabelTransfer, pair: EmbeddedPair) -> NDArray[np.float32]:
    """The query as laid on the reference, but as it was read for batches that this would spread
    over fewer classes: then types were taken for a batch, and laid on each other.
    """
    if pair.query is pair.uncorrected:
        return pair.query
    latent, known, stay = pair.query, ~pair.empty, []
    for name in pd.unique(pair.batches[known]):
        rows = np.flatnonzero(known & (pair.batches == name))
        before, after = (_spread(transfer.mean_probabilities(of, rows)) for of in (pair.uncorrected, pair.query))
        if after < _KEPT_SPREAD * before:
            latent = latent.copy() if latent is pair.query else latent
            latent[rows] = pair.uncorrected[rows]
            stay.append(f"{name} ({before:.2f} to {after:.2f})")
    if stay:
        message = (
            f"Not laid on the reference: {', '.join(stay[:5])} ({len(stay)} in all). Their cells would have spread over fewer classes "
            "(in brackets, their effective number), which is what happens where cell types are taken for a batch."
        )
        warn(message)
    return latent


def _match_shares(transfer: LabelTransfer, answer: Transferred, pair: EmbeddedPair, reading: Reading) -> list[str]:
    """Give the cells of each batch the probabilities that go with the shares of its classes."""
    rates = np.bincount(transfer.codes, weights=pair.without) / np.bincount(transfer.codes)
    generator = derive_generator(reading.seed, "transfer shares")
    return match_shares(answer.probabilities, transfer.learned, transfer.prior, rates, pair.batches, pair.empty, generator)


def _spread(shares: NDArray[np.float64]) -> float:
    """Effective number of classes that cells spread over: the exponential of the entropy of their
    mean probabilities (n_classes,).
    """
    return float(np.exp(entr(shares).sum()))


def _check_threshold(unknown_threshold: float | None) -> None:
    if unknown_threshold is not None and not (isinstance(unknown_threshold, Real) and 0 <= unknown_threshold <= 1):
        message = f"unknown_threshold is {unknown_threshold!r}; needed is a number between 0 and 1, such as 0.99, or None."
        raise ConfigError(message)


def _check_seed(seed: Any) -> None:
    if not isinstance(seed, Integral) or isinstance(seed, bool) or seed < 0:
        message = f"seed is {seed!r}; needed is a whole number, at least 0."
        raise ConfigError(message)


def _check_unknown(labels: NDArray[np.object_], key: str, unknown_threshold: float | None) -> None:
    """A class of the reference may be a word for having none."""
    alike = sorted({name for name in set(labels) if isinstance(name, str) and name.casefold() == _UNKNOWN})
    if alike and unknown_threshold is not None:
        message = (
            f"reference.obs[{key!r}] has a class {alike[0]!r}, and unknown_threshold gives {_UNKNOWN!r} to cells that are like no class. "
            "Set the label of these cells to missing, rename it, or leave unknown_threshold away."
        )
        raise ConfigError(message)
    if alike:
        message = (
            f"reference.obs[{key!r}] has a class {alike[0]!r}, which is learned like any other and given to cells of the query. If it "
            "means that there is no label, set it to missing: such cells are left out."
        )
        warn(message)


def _answers(transfer: LabelTransfer, answer: Transferred, threshold: float | None) -> tuple[list[Any], NDArray[np.intp]]:
    """Labels that a cell can have, and that of each cell as its position among them."""
    names, codes = transfer.classes.tolist(), answer.probabilities.argmax(axis=1)
    if threshold is None:
        return names, codes
    unknown = ~(answer.unknown <= threshold)  # a missing score is not below any threshold
    if not isinstance(names[0], str):  # numbers and truth values have no name for it
        return names, np.where(unknown, -1, codes)
    return [*names, _UNKNOWN], np.where(unknown, len(names), codes)


def _usable(labels: NDArray[np.object_], key: str) -> NDArray[np.intp]:
    """Positions of the cells to learn from."""
    present = np.flatnonzero(pd.notna(labels))
    names, code, size = np.unique(labels[present], return_inverse=True, return_counts=True)
    cells, single = present[size[code] >= _FEWEST], names[size < _FEWEST]
    if np.count_nonzero(size >= _FEWEST) < _FEWEST:
        message = (
            f"reference.obs[{key!r}] has {len(present)} labelled cells of {len(names)} classes ({', '.join(map(str, names[:5])) or 'none'}), of which "
            f"{len(names) - single.size} have at least two cells; needed are two such classes. Check the column, or merge small classes."
        )
        raise DataError(message)
    if len(present) < len(labels):
        message = f"{len(labels) - len(present)} of {len(labels)} reference cells have no label in obs[{key!r}] and are left out."
        warn(message)
    if single.size:
        message = f"Classes with a single reference cell are left out, since nothing can be validated on it: {', '.join(map(str, single[:5]))}."
        warn(message)
    return cells


def _results(model: GeneMAE, transfer: LabelTransfer, genes: SharedGenes) -> dict[str, Any]:
    """What h5ad can hold of what was learned."""
    return {
        "classes": transfer.classes if transfer.classes.dtype.kind != "U" else transfer.classes.astype(object),
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
