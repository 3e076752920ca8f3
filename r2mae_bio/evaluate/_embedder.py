"""What a method must offer to enter a table: fit on raw counts, embed from the measured genes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias, runtime_checkable

from scipy import sparse

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Embedder", "FittedEmbedder", "SparseCounts"]

SparseCounts: TypeAlias = sparse.csr_matrix | sparse.csr_array
"""Raw counts (n_cells, n_genes) in compressed sparse rows."""


@runtime_checkable
class FittedEmbedder(Protocol):
    """A method after training."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Embed cells from the measured genes alone.

        Parameters
        ----------
        counts
            Raw counts (n_cells, n_genes), genes as in training. Columns that are not measured may hold anything, NaN included.
        measured
            Measured genes (n_genes,), at least one.

        Returns
        -------
        Embedding (n_cells, k), finite for every cell, also for one without a count in the measured genes.
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
