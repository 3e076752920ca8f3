"""Two lines that every table of cell types needs: the plain genes, and no information at all."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio.evaluate.methods._log_normalize import check_measured, log_normalize
from r2mae_bio.evaluate.methods._variable_genes import variable_panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["HighlyVariableGenes", "MajorityClass"]


@dataclass(frozen=True)
class HighlyVariableGenes:
    """Log-normalised counts of the most variable genes as the embedding, genes that were not
    measured taken as zero.

    Counts are scaled to 1e4 per cell by the total over the measured genes, then log1p. Nothing is
    learned but which genes to take.
    """

    n_genes: int = 500
    """Genes taken (k), chosen by :func:`variable_panel` on the training cells; all detected ones if
    there are fewer.
    """
    name: str = "highly variable genes"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedGenes:
        """Choose genes on counts (n_cells, n_genes); ``seed`` is not needed.

        Raises
        ------
        ConfigError
            ``n_genes`` is not positive.
        DataError
            No gene is detected.
        """
        return FittedGenes(np.flatnonzero(variable_panel(counts, self.n_genes)), counts.shape[1])


@dataclass(frozen=True)
class FittedGenes:
    """A trained :class:`HighlyVariableGenes`."""

    genes: NDArray[np.intp] = field(repr=False)
    """Positions of the genes (k,), sorted."""
    n_genes: int
    """Genes of the training data."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Expression (n_cells, k), zero for genes that were not measured; see
        :meth:`FittedEmbedder.embed`.
        """
        measured = check_measured(measured, self.n_genes)
        known = measured[self.genes]
        embedding = np.zeros((counts.shape[0], len(self.genes)), np.float32)
        position = np.cumsum(measured) - 1  # of a measured gene among the measured ones
        embedding[:, known] = log_normalize(counts, measured)[:, position[self.genes[known]]].toarray()
        return embedding


@dataclass(frozen=True)
class MajorityClass:
    """The same number for every cell, from which any probe of :func:`fit_probe` predicts the
    largest reference class.
    """

    name: str = "majority class"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int) -> MajorityClass:
        """Nothing is learned."""
        return self

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Zeros (n_cells, 1)."""
        check_measured(measured, counts.shape[1])
        return np.zeros((counts.shape[0], 1), np.float32)
