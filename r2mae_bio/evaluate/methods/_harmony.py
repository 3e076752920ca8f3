"""Harmony as a method of a table: principal components from which batches are taken out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import SetupError
from r2mae_bio._rng import derive_seed
from r2mae_bio._splits import as_batches
from r2mae_bio.evaluate.methods._linear_controls import PCAZeroFill

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.evaluate.methods._embedder import SparseCounts
    from r2mae_bio.evaluate.methods._linear_controls import FittedPCA

__all__ = ["FittedHarmony", "Harmony"]


@dataclass(frozen=True)
class Harmony:
    """Harmony (Korsunsky et al. 2019, doi:10.1038/s41592-019-0619-0) on principal components, by
    harmonypy with its defaults. Needs harmonypy: ``pip install "r2mae_bio[evaluate]"``.

    Components are those of :class:`PCAZeroFill`. Batches are taken out of cells that are embedded
    together, so a cell's embedding depends on the others: to map a query, embed it together with
    the reference, which makes it a transductive method.
    """

    n_components: int = 50
    """Components kept (k), fewer than cells and genes."""
    harmony_kwargs: dict[str, Any] = field(default_factory=dict)
    """Further arguments of ``harmonypy.run_harmony``, such as ``theta``."""
    uses_batch: bool = True
    """Whether tasks that know the batches tell them; without, this is a PCA."""
    name: str = "Harmony"
    """Name in tables."""

    def fit(self, counts: SparseCounts, *, seed: int, batch: ArrayLike | None = None) -> FittedHarmony:
        """Principal components of counts (n_cells, n_genes); ``batch`` is not needed before cells
        are embedded.

        Raises
        ------
        ConfigError
            ``n_components`` does not fit the data.
        DataError
            The counts do not vary.
        """
        components = PCAZeroFill(self.n_components).fit(counts, seed=seed)
        return FittedHarmony(components, self.harmony_kwargs, seed)


@dataclass(frozen=True)
class FittedHarmony:
    """A trained :class:`Harmony`."""

    components: FittedPCA
    """Principal components."""
    harmony_kwargs: dict[str, Any] = field(repr=False)
    """Further arguments of ``harmonypy.run_harmony``."""
    seed: int
    """Seed of its clusters."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Principal components (n_cells, k), nothing taken out; see
        :meth:`FittedEmbedder.embed`.
        """
        return self.components.embed(counts, measured)

    def embed_batches(self, counts: SparseCounts, measured: NDArray[np.bool_], batch: ArrayLike) -> NDArray[np.float32]:
        """Principal components (n_cells, k) without what the batches (n_cells,) of these cells add;
        see :meth:`BatchCorrecting.embed_batches`.

        Raises
        ------
        DataError
            The batches do not fit the counts.
        SetupError
            harmonypy is not installed.
        """
        batches = as_batches(batch, counts.shape[0])
        embedding = self.embed(counts, measured)
        if len(np.unique(batches)) < 2:
            return embedding
        try:
            import harmonypy
        except ModuleNotFoundError as error:
            message = 'Harmony needs harmonypy, which is not installed: pip install "r2mae_bio[evaluate]".'
            raise SetupError(message) from error
        seed = derive_seed(self.seed, "harmony") % 2**31  # it takes no longer seeds
        options = {"random_state": seed, "verbose": False, **self.harmony_kwargs}
        found = harmonypy.run_harmony(embedding.astype(np.float64), {"batch": batches}, "batch", **options)
        return np.asarray(found.Z_corr, np.float32)
