"""The simple controls, which every table of cell types needs: the plain genes, and no information
at all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate.methods._log_normalize import check_measured, log_normalize
from r2mae_bio.evaluate.methods._variable_genes import variable_panel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.evaluate.methods._embedder import SparseCounts

__all__ = ["HighlyVariableGenes", "MajorityClass", "Noise"]


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


@dataclass(frozen=True)
class Noise:
    """Standard normal numbers, whatever the cells: the weakest control of every table."""

    n_components: int = 64
    """Width of the embedding (k)."""
    name: str = "noise"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedNoise:
        """Nothing is learned from ``counts``; ``seed`` names the stream."""
        return FittedNoise(self.n_components, seed)


@dataclass
class FittedNoise:
    """A trained :class:`Noise`. Every call draws anew: repeated rows would let a probe recognise
    cells by their position.
    """

    n_components: int
    """Width of the embedding (k)."""
    seed: int
    """Seed of the stream."""
    n_calls: int = 0
    """Calls so far, the position in the stream."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Independent standard normal numbers (n_cells, k)."""
        check_measured(measured, counts.shape[1])
        rng = derive_generator(self.seed, "noise-embedding", self.n_calls)
        self.n_calls += 1
        return rng.standard_normal((counts.shape[0], self.n_components), dtype=np.float32)
