"""Integration: whether the batches mix, and the classes stay apart."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError
from r2mae_bio._rng import derive_generator, derive_seed
from r2mae_bio._splits import as_batches
from r2mae_bio.evaluate._checks import check_unique
from r2mae_bio.evaluate.methods._embedder import all_measured, embed_known_batches
from r2mae_bio.evaluate.methods._log_normalize import log_normalize
from r2mae_bio.evaluate.scores._integration_scores import (
    check_design,
    check_embedding,
    check_metrics,
    integration_scores,
    require_scib_metrics,
)
from r2mae_bio.evaluate.tasks._transfer import check_cells

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.evaluate.methods._embedder import Embedder, SparseCounts

__all__ = ["integration", "integration_baseline"]

COLUMNS = ["method", "seed", "kind", "metric", "value"]
N_COMPONENTS = 50


def integration(
    embedders: Sequence[Embedder] | Mapping[str, ArrayLike],
    counts: SparseCounts,
    labels: ArrayLike,
    *,
    batch: ArrayLike,
    seeds: Sequence[int] = (0, 1, 2),
    metrics: str | Sequence[str] | None = None,
    max_cells: int | None = 5000,
    on_result: Callable[[str], None] | None = None,
) -> pd.DataFrame:
    """Score how well methods remove the batch and keep the classes. Needs scib-metrics:
    ``pip install "r2mae_bio[evaluate]"``.

    Per seed, a method is fitted on all cells, without labels, and embeds the same cells; it is told
    the batches if it asks for them (:class:`BatchAware`), and again on embedding if it can use them
    there (:class:`BatchCorrecting`). No metric is enough alone: a constant mixes all batches, and
    an embedding that is all batch can keep the classes apart.

    Parameters
    ----------
    embedders
        Methods with different names; or ready embeddings of all cells by name, each (n_cells, k).
    counts
        Raw counts (n_cells, n_genes).
    labels
        Class per cell (n_cells,), seen by the metrics only.
    batch
        Batch per cell (n_cells,), at least two, and a class that has cells of two.
    seeds
        Seeds of the methods, of the choice of cells, and of the start of k-means.
    metrics
        Some of isolated_labels, nmi, ari, silhouette_label, clisi (bio conservation), bras, ilisi,
        kbet, graph_connectivity and pcr_comparison (batch mixing), see :func:`integration_scores`;
        all if None.
    max_cells
        Most cells to score, drawn at random, the same for every method; all if None. Methods are
        fitted on all cells.
    on_result
        Called with one line of text after each method and seed.

    Returns
    -------
    One row per method, seed and metric, with columns method, seed, kind (``"bio conservation"`` or
    ``"batch mixing"``), metric and value. There is no total: what the two kinds are worth to each
    other is for the reader to say.

    Raises
    ------
    ConfigError
        Names repeat, nothing is asked for, or a metric is unknown.
    DataError
        Labels, batches or an embedding do not fit the counts, or there is nothing to mix.
    SetupError
        scib-metrics is not installed.
    """
    ready = embedders if isinstance(embedders, Mapping) else {}
    check_unique(embedders=list(embedders), seeds=seeds)
    asked = check_metrics(metrics)
    cells = check_cells(counts, labels)
    batches = as_batches(batch, len(cells.labels))
    check_design(cells.labels, batches)
    require_scib_metrics()
    rows: list[dict[str, Any]] = []
    for seed in seeds:
        some = _chosen(len(batches), max_cells, seed)
        baseline = integration_baseline(cells.counts[some]) if "pcr_comparison" in asked else None
        for method in embedders:
            if isinstance(method, str):
                name, embedding = method, np.asarray(ready[method])
            else:
                name, embedding = method.name, embed_known_batches(method, cells.counts, seed=seed, batch=batches)
            check_embedding(embedding, len(batches), name)
            scores = integration_scores(
                embedding[some], cells.labels[some], batches[some], baseline=baseline, metrics=asked, seed=seed
            )
            rows += [{"method": name, "seed": seed, **score} for score in scores.to_dict("records")]
            if on_result is not None:
                values = ", ".join(f"{m} {v:.3f}" for m, v in zip(scores["metric"], scores["value"], strict=True))
                on_result(f"{name}, seed {seed}: {values}")
    return pd.DataFrame(rows, columns=COLUMNS)


def integration_baseline(counts: SparseCounts, *, n_components: int = N_COMPONENTS) -> NDArray[np.float32]:
    """The control of pcr_comparison, an embedding without integration: principal components of
    log-normalised counts, as ``scanpy.pp.pca`` has them.

    Parameters
    ----------
    counts
        Raw counts (n_cells, n_genes).
    n_components
        Components (k); fewer if there are no more cells or genes.

    Returns
    -------
    Scores, float32 (n_cells, k).

    Raises
    ------
    ConfigError
        ``n_components`` is not positive.
    CountsError
        The counts are negative or not finite.
    """
    from sklearn.decomposition import PCA

    if n_components < 1:
        message = f"n_components is {n_components}; at least one component is needed."
        raise ConfigError(message)
    values = log_normalize(counts, all_measured(counts))
    state = derive_seed(0, "integration-baseline") % 2**32  # scikit-learn takes no longer seeds
    model = PCA(min(n_components, min(values.shape) - 1), svd_solver="arpack", random_state=state)
    return np.asarray(model.fit_transform(values), dtype=np.float32)


def _chosen(n_cells: int, max_cells: int | None, seed: int) -> NDArray[np.intp]:
    if max_cells is None or n_cells <= max_cells:
        return np.arange(n_cells)
    return np.sort(derive_generator(seed, "integration-cells").permutation(n_cells)[:max_cells])
