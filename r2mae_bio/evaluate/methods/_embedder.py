"""What a method must offer to enter a table: fit on raw counts, embed from the measured genes, or
label cells itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

__all__ = [
    "Annotation",
    "Annotator",
    "BatchAware",
    "BatchCorrecting",
    "Denoiser",
    "Embedder",
    "FittedAnnotator",
    "FittedDenoiser",
    "FittedEmbedder",
    "SparseCounts",
    "all_measured",
    "embed_known_batches",
    "fit_embedder",
]

SparseCounts: TypeAlias = sparse.csr_matrix | sparse.csr_array
"""Raw counts (n_cells, n_genes) in compressed sparse rows."""


def all_measured(counts: SparseCounts) -> NDArray[np.bool_]:
    """The mask (n_genes,) of cells in which every gene was measured."""
    return np.ones(counts.shape[1], dtype=bool)


@runtime_checkable
class FittedEmbedder(Protocol):
    """A method after training."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Embed cells from the measured genes alone.

        Parameters
        ----------
        counts
            Raw counts (n_cells, n_genes), genes as in training. Columns that are not measured may
            hold anything, NaN included.
        measured
            Measured genes (n_genes,), at least one.

        Returns
        -------
        Embedding (n_cells, k), finite for every cell, also for one without a count in the measured
        genes.
        """
        ...


@runtime_checkable
class Embedder(Protocol):
    """A method before training. It never sees a label."""

    @property
    def name(self) -> str:
        """Name of the method in tables, unique within one table."""
        ...

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedEmbedder:
        """Train on raw counts (n_cells, n_genes) with every gene measured."""
        ...


@runtime_checkable
class BatchAware(Embedder, Protocol):
    """A method that can be told which batch each cell of its training data is from, so that its
    embedding need not carry it.
    """

    @property
    def uses_batch(self) -> bool:
        """Whether tasks that know the batches tell the method; False makes it a method that
        does not know them.
        """
        ...

    def fit(self, counts: SparseCounts, *, seed: int, batch: ArrayLike | None = None) -> FittedEmbedder:
        """Train on raw counts (n_cells, n_genes), cells of the batches ``batch`` (n_cells,); of no
        known batch if None.
        """
        ...


@runtime_checkable
class BatchCorrecting(FittedEmbedder, Protocol):
    """A trained method that can also be told which batch each cell is from when it embeds it, to
    take the batch out.
    """

    def embed_batches(self, counts: SparseCounts, measured: NDArray[np.bool_], batch: ArrayLike) -> NDArray[np.float32]:
        """Embed cells from the measured genes and the cells' batches (n_cells,); otherwise as
        :meth:`FittedEmbedder.embed`.
        """
        ...


@runtime_checkable
class FittedDenoiser(Protocol):
    """A method after training, asked for expression instead of an embedding."""

    def rates(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Expected counts of every gene, measured or not, at the cell's own depth.

        Parameters
        ----------
        counts
            Raw counts (n_cells, n_genes), genes as in training; columns that are not measured are
            ignored.
        measured
            Measured genes (n_genes,), at least one.

        Returns
        -------
        Expected counts (n_cells, n_genes), finite and not negative.
        """
        ...


@runtime_checkable
class Denoiser(Protocol):
    """A method before training, for :func:`denoising`."""

    @property
    def name(self) -> str:
        """Name of the method in tables, unique within one table."""
        ...

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedDenoiser:
        """Train on raw counts (n_cells, n_genes) with every gene measured."""
        ...


@dataclass(frozen=True, eq=False)
class Annotation:
    """Labels that a method gave to the cells of a query."""

    classes: NDArray[np.str_]
    """Names of the classes of the reference, sorted, (n_classes,)."""
    probabilities: NDArray[np.floating] = field(repr=False)
    """Probability of each class, (n_cells, n_classes)."""

    @property
    def labels(self) -> NDArray[np.str_]:
        """The most probable class of each cell (n_cells,)."""
        return self.classes[self.probabilities.argmax(axis=1)]


@runtime_checkable
class FittedAnnotator(Protocol):
    """A method that has learned the labels of a reference."""

    def annotate(self, counts: SparseCounts, *, batch: ArrayLike | None = None) -> Annotation:
        """Label the cells of a query.

        Parameters
        ----------
        counts
            Raw counts (n_cells, n_genes), genes as in training, all measured.
        batch
            Batch per cell (n_cells,), for methods that use it; one batch that the reference lacks
            if None.

        Returns
        -------
        Probabilities of the classes of the reference.
        """
        ...


@runtime_checkable
class Annotator(Protocol):
    """A method that labels cells itself, where an :class:`Embedder` needs a probe.

    A method that is transductive (``sees_query``) learns from the counts of the query as well,
    never from its labels; the label of a cell then depends on the other cells.
    """

    @property
    def name(self) -> str:
        """Name of the method in tables, unique within one table."""
        ...

    @property
    def sees_query(self) -> bool:
        """Whether it learns from the counts of the query."""
        ...

    def fit(self, counts: SparseCounts, labels: ArrayLike, *, seed: int, batch: ArrayLike | None = None) -> FittedAnnotator:
        """Learn from raw counts (n_cells, n_genes) and labels (n_cells,) of a reference, with the
        batches of its cells (n_cells,) if they are known.
        """
        ...


def fit_embedder(embedder: Embedder, counts: SparseCounts, *, seed: int, batch: ArrayLike | None = None) -> FittedEmbedder:
    """Train a method, with the batches of the cells (n_cells,) if they are known and the method
    asks for them.
    """
    if batch is not None and isinstance(embedder, BatchAware) and embedder.uses_batch:
        return embedder.fit(counts, seed=seed, batch=batch)
    return embedder.fit(counts, seed=seed)


def embed_known_batches(embedder: Embedder, counts: SparseCounts, *, seed: int, batch: ArrayLike) -> NDArray[np.float32]:
    """Train on cells of known batches (n_cells,), and embed the same cells: told the batches where
    the method asks for them.
    """
    fitted = fit_embedder(embedder, counts, seed=seed, batch=batch)
    if isinstance(fitted, BatchCorrecting) and isinstance(embedder, BatchAware) and embedder.uses_batch:
        return fitted.embed_batches(counts, all_measured(counts), batch)
    return fitted.embed(counts, all_measured(counts))
