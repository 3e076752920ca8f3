"""Scores of an embedding by which batches mix, and classes stay apart.

Luecken et al. (2022), "Benchmarking atlas-level data integration in single-cell genomics", Nature
Methods 19, 41-50; BRAS from Rautenstrauch & Ohler (2025). The arithmetic is that of scib-metrics.
"""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio._keys import as_names
from r2mae_bio._rng import derive_generator
from r2mae_bio._splits import as_batches, as_labels
from r2mae_bio.evaluate._checks import check_unique

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike

__all__ = [
    "INTEGRATION_METRICS",
    "check_design",
    "check_embedding",
    "check_metrics",
    "integration_scores",
    "require_scib_metrics",
]

BIO, MIXING = "bio conservation", "batch mixing"
INTEGRATION_METRICS = {
    "isolated_labels": BIO,
    "nmi": BIO,
    "ari": BIO,
    "silhouette_label": BIO,
    "clisi": BIO,
    "bras": MIXING,
    "ilisi": MIXING,
    "kbet": MIXING,
    "graph_connectivity": MIXING,
    "pcr_comparison": MIXING,
}
"""Metrics, and what each is about; all are between 0 and 1, larger is better; ari is 0 by chance,
and can be a little less.
"""
N_NEIGHBORS = {"clisi": 90, "ilisi": 90, "kbet": 50, "graph_connectivity": 15}
"""Neighbours, the cell itself included, as in ``scib_metrics.benchmark.Benchmarker``; all cells if
there are fewer.
"""

Floats = NDArray[np.float32]


def integration_scores(
    embedding: ArrayLike,
    labels: ArrayLike,
    batch: ArrayLike,
    *,
    baseline: ArrayLike | None = None,
    metrics: str | Sequence[str] | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Score one embedding, whatever made it. Needs scib-metrics:
    ``pip install "r2mae_bio[evaluate]"``.

    Bio conservation: ``isolated_labels`` (silhouette of the classes that lie in the fewest
    batches), ``nmi`` and ``ari`` (k-means with as many clusters as classes, against the classes),
    ``silhouette_label``, ``clisi`` (classes among 90 neighbours). Batch mixing: ``bras``
    (silhouette of the batches within each class), ``ilisi`` (batches among 90 neighbours), ``kbet``
    (share of cells whose neighbours of the same class have the batches of the class),
    ``graph_connectivity`` (largest connected part of each class among 15 neighbours),
    ``pcr_comparison`` (variance that the batch explains, its relative decrease from the control; 0
    if it grew). Neighbours are exact and Euclidean; with fewer than 90 cells, all are neighbours.

    Parameters
    ----------
    embedding
        Embedding (n_cells, k), finite.
    labels
        Class per cell (n_cells,), at least two classes.
    batch
        Batch per cell (n_cells,), at least two, and a class that has cells of two.
    baseline
        The control, an embedding without integration (n_cells, any k), see
        :func:`integration_baseline`; needed for pcr_comparison alone.
    metrics
        Names as above; if None all, but pcr_comparison only if there is a ``baseline``.
    seed
        Seed of the order of the cells, from which k-means starts.

    Returns
    -------
    One row per metric, with columns kind, metric and value: 0 to 1, larger is better, ari a little
    below 0 by chance; NaN where a metric is not defined, such as kbet if every class of two batches
    has fewer than ten cells.

    Raises
    ------
    ConfigError
        A metric is unknown, or pcr_comparison is asked for without a ``baseline``.
    DataError
        Sizes do not fit, values are not finite or all the same, or there is nothing to mix.
    SetupError
        scib-metrics is not installed.
    """
    default = [name for name in INTEGRATION_METRICS if baseline is not None or name != "pcr_comparison"]
    asked = default if metrics is None else check_metrics(metrics)
    classes = as_labels(labels)
    batches = as_batches(batch, len(classes))
    check_design(classes, batches)
    values = check_embedding(embedding, len(classes), "embedding")
    before = np.zeros((len(classes), 0), np.float32) if baseline is None else check_embedding(baseline, len(classes), "baseline")
    if baseline is None and "pcr_comparison" in asked:
        message = "pcr_comparison compares with an embedding before integration; pass baseline=integration_baseline(counts)."
        raise ConfigError(message)
    order = derive_generator(seed, "integration").permutation(len(classes))
    with _undisturbed():
        cells = _Scored(values[order], classes[order], batches[order], before[order])
        rows = [(INTEGRATION_METRICS[name], name, float(_ARITHMETIC[name](cells))) for name in asked]
    return pd.DataFrame(rows, columns=["kind", "metric", "value"])


def require_scib_metrics() -> Any:
    """The package scib-metrics.

    Raises
    ------
    SetupError
        It is not installed.
    """
    with _undisturbed():
        try:
            import scib_metrics
        except ImportError as error:
            message = 'Integration metrics need scib-metrics, which is not installed: pip install "r2mae_bio[evaluate]".'
            raise SetupError(message) from error
    return scib_metrics


@dataclass(frozen=True, eq=False)
class _Scored:
    """Cells as the metrics want them."""

    embedding: Floats
    """Embedding (n_cells, k)."""
    labels: NDArray[np.str_]
    """Class per cell (n_cells,)."""
    batch: NDArray[np.str_]
    """Batch per cell (n_cells,)."""
    control: Floats
    """Embedding without integration (n_cells, any k); k is 0 if there is none."""

    @cached_property
    def scib(self) -> Any:
        return require_scib_metrics()

    @cached_property
    def kmeans(self) -> dict[str, float]:
        """NMI and ARI of one clustering."""
        scores: dict[str, float] = self.scib.nmi_ari_cluster_labels_kmeans(self.embedding, self.labels)
        return scores

    @cached_property
    def _neighbors(self) -> Any:
        return _exact_neighbors(self.embedding, max(N_NEIGHBORS.values()))

    def neighbors(self, metric: str) -> Any:
        """As many neighbours as the metric looks at."""
        return self._neighbors.subset_neighbors(min(N_NEIGHBORS[metric], len(self.labels)))

    def kbet(self) -> float:
        """Neighbours in the diffusion map of each class are exact, too: the approximate search
        takes minutes to compile.
        """
        from scib_metrics import nearest_neighbors

        replaced = nearest_neighbors.pynndescent
        nearest_neighbors.pynndescent = _exact_neighbors
        try:
            return float(self.scib.kbet_per_label(self.neighbors("kbet"), self.batch, self.labels))
        finally:
            nearest_neighbors.pynndescent = replaced

    def pcr_comparison(self) -> float:
        """A direction without variance has no explained share of it, and is left out."""
        before, after = (values[:, np.ptp(values, axis=0) > 0] for values in (self.control, self.embedding))
        return float(self.scib.pcr_comparison(before, after, self.batch, categorical=True))


def _exact_neighbors(values: NDArray[Any], n_neighbors: int) -> Any:
    """Neighbours of every cell, itself first; all cells if there are fewer."""
    from scib_metrics.nearest_neighbors import NeighborsResults
    from sklearn.neighbors import NearestNeighbors

    search = NearestNeighbors(n_neighbors=min(n_neighbors, len(values))).fit(values)
    distances, indices = search.kneighbors(values)
    return NeighborsResults(indices, distances)


_ARITHMETIC: dict[str, Callable[[_Scored], float]] = {
    "isolated_labels": lambda c: c.scib.isolated_labels(c.embedding, c.labels, c.batch),
    "nmi": lambda c: c.kmeans["nmi"],
    "ari": lambda c: c.kmeans["ari"],
    "silhouette_label": lambda c: c.scib.silhouette_label(c.embedding, c.labels),
    "clisi": lambda c: c.scib.clisi_knn(c.neighbors("clisi"), c.labels),
    "bras": lambda c: c.scib.bras(c.embedding, c.labels, c.batch),
    "ilisi": lambda c: c.scib.ilisi_knn(c.neighbors("ilisi"), c.batch),
    "kbet": _Scored.kbet,
    "graph_connectivity": lambda c: c.scib.graph_connectivity(c.neighbors("graph_connectivity"), c.labels),
    "pcr_comparison": _Scored.pcr_comparison,
}


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Silence the libraries, which also give the root logger a handler."""
    root = logging.getLogger()
    handlers = list(root.handlers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            root.handlers[:] = handlers


def check_metrics(metrics: str | Sequence[str] | None) -> list[str]:
    """Names of metrics, all if None, each known and named once."""
    asked = list(INTEGRATION_METRICS if metrics is None else as_names(metrics))
    check_unique(metrics=asked)
    unknown = [name for name in asked if name not in INTEGRATION_METRICS]
    if unknown:
        message = f"The metric {unknown[0]!r} is unknown; choose from {', '.join(INTEGRATION_METRICS)}."
        raise ConfigError(message)
    return asked


def check_design(labels: NDArray[np.str_], batch: NDArray[np.str_]) -> None:
    """Refuse cells of one batch or one class, or classes that each have a batch of their own."""
    for what, values in (("batch", batch), ("class", labels)):
        if len(np.unique(values)) < 2:
            message = f"All {len(values)} cells are of the {what} {str(values[0])!r}; integration needs at least two batches and two classes."
            raise DataError(message)
    table = pd.crosstab(labels, batch).to_numpy()
    if not ((table > 0).sum(axis=1) > 1).any():
        message = (
            "No class has cells of two batches: what the batch does cannot be told from what the class does. Use other batches."
        )
        raise DataError(message)


def check_embedding(embedding: ArrayLike, n_cells: int, name: str) -> Floats:
    """An embedding (n_cells, k) of finite values that are not all the same."""
    values = np.asarray(embedding, dtype=np.float32)
    if values.ndim != 2 or len(values) != n_cells or not values.shape[1]:
        message = f"{name!r} has shape {values.shape}; an embedding (n_cells, k) of {n_cells} cells is needed."
        raise DataError(message)
    if not np.isfinite(values).all():
        message = f"{name!r} holds NaN or infinite values; every cell needs a finite embedding."
        raise DataError(message)
    if not np.ptp(values, axis=0).any():
        message = f"{name!r} is the same for all {n_cells} cells; there is nothing to score."
        raise DataError(message)
    return values
