"""The package's own models as methods of a table."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from r2mae_bio._splits import as_batches
from r2mae_bio.evaluate.methods._as_anndata import as_anndata
from r2mae_bio.evaluate.methods._embedder import all_measured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.cells.model._gene_mae import GeneMAE
    from r2mae_bio.evaluate.methods._embedder import SparseCounts
    from r2mae_bio.masking import RatioLaw

__all__ = ["FittedGeneMAE", "MaskedAutoencoder"]


@dataclass(frozen=True)
class MaskedAutoencoder:
    """A :class:`~r2mae_bio.model.GeneMAE`, trained through its public interface on the reference
    cells.

    Parameters
    ----------
    name
        Name in tables.
    mask_ratio
        A number, a pair or a law.
    trained
        False gives the untrained control: the network as it is before the first step.
    model_kwargs
        Further arguments of ``GeneMAE``, such as ``encoder``.
    train_kwargs
        Arguments of ``GeneMAE.train``.
    uses_batch
        Whether tasks that know the batches give them as ``batch_key``.
    n_masks
        Masks under which expected counts are predicted, see :class:`FittedGeneMAE`.
    depth
        Add the logarithm of the estimated depth of a cell to its embedding, as a further column.
    """

    name: str
    mask_ratio: float | tuple[float, float] | RatioLaw = (0, 1)
    trained: bool = True
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    train_kwargs: dict[str, Any] = field(default_factory=dict)
    uses_batch: bool = True
    n_masks: int = 0
    depth: bool = False

    def fit(self, counts: SparseCounts, *, seed: int, batch: ArrayLike | None = None) -> FittedGeneMAE:
        """Train on raw counts (n_cells, n_genes) with every gene measured.

        Parameters
        ----------
        counts
            Raw counts; every cell has at least one.
        seed
            Seed of the model.
        batch
            Batch per cell (n_cells,), which the decoder then sees; none if None.

        Returns
        -------
        The trained method.

        Raises
        ------
        DataError
            The batches do not fit the counts.
        """
        from r2mae_bio.cells.model._gene_mae import GeneMAE

        started = time.perf_counter()
        adata = _as_anndata(counts, all_measured(counts))
        if batch is not None:
            adata.obs["batch"] = as_batches(batch, adata.n_obs)
        GeneMAE.setup_anndata(adata, batch_key=None if batch is None else "batch")
        model = GeneMAE(adata, mask_ratio=self.mask_ratio, seed=seed, **self.model_kwargs)
        if self.trained:
            model.train(progress_bar=False, **self.train_kwargs)
        else:
            model.initialize()
        return FittedGeneMAE(model, time.perf_counter() - started, self.n_masks, self.depth)


@dataclass(frozen=True)
class FittedGeneMAE:
    """A trained model; unmeasured genes are left out of what it is given, as in a real panel."""

    model: GeneMAE
    train_seconds: float = 0.0
    """Seconds that the training took."""
    n_masks: int = 0
    """Masks of :meth:`rates`; if 0, genes are decoded from all measured genes, otherwise from
    others, own counts weighed in.
    """
    depth: bool = False
    """Whether the last column of an embedding is the logarithm of the depth."""

    def embed(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Embed cells from the measured genes alone.

        Parameters
        ----------
        counts
            Raw counts (n_cells, n_genes).
        measured
            Measured genes (n_genes,).

        Returns
        -------
        Embedding, float32 (n_cells, n_latent), one column more with ``depth``.
        """
        adata = _as_anndata(counts, measured)
        with _empty_cells_allowed():
            latent = self.model.get_latent_representation(adata, min_coverage=0.0, correct_batch=False)
            if not self.depth:
                return latent
            return np.column_stack([latent, np.log(self.model.get_latent_library_size(adata, min_coverage=0.0))])

    def embed_batches(self, counts: SparseCounts, measured: NDArray[np.bool_], batch: ArrayLike) -> NDArray[np.float32]:
        """Embed cells without what their batches (n_cells,) add; see
        :meth:`BatchCorrecting.embed_batches`.
        """
        adata = _as_anndata(counts, measured)
        adata.obs["batch"] = as_batches(batch, adata.n_obs)
        with _empty_cells_allowed():
            return self.model.get_latent_representation(adata, min_coverage=0.0, correct_batch=True)

    def rates(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Expected counts of every gene at the depth that the model estimates for the cell.

        A model that was trained with batches decodes cells as of no batch.

        Parameters
        ----------
        counts
            Raw counts (n_cells, n_genes).
        measured
            Measured genes (n_genes,).

        Returns
        -------
        Expected counts, float32 (n_cells, n_genes).

        Raises
        ------
        ConfigError
            The model was trained on log-normalised values.
        """
        with _empty_cells_allowed():
            return self.model.get_normalized_expression(
                _as_anndata(counts, measured), library_size="latent", n_masks=self.n_masks, return_numpy=True, min_coverage=0.0
            )

    def moments(
        self,
        counts: SparseCounts,
        *,
        measured: NDArray[np.bool_] | None = None,
        reference: SparseCounts | None = None,
        **masks: Any,
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Mean and standard deviation of predicted counts, for :func:`interval_coverage`.

        Parameters
        ----------
        counts
            Raw counts (n_cells, n_genes).
        measured
            Measured genes (n_genes,); all if None.
        reference
            Counts (n_reference, n_genes) of cells that correct the totals of genes that are not
            measured; none if None.
        masks
            Further arguments of :meth:`GeneMAE.get_predictive_moments`, such as
            ``own_counts=False``.

        Returns
        -------
        Two arrays float32 (n_cells, n_genes).
        """
        with _empty_cells_allowed():
            adata = _as_anndata(counts, all_measured(counts) if measured is None else measured)
            known = None if reference is None else _as_anndata(reference, all_measured(reference))
            return self.model.get_predictive_moments(adata, reference=known, min_coverage=0.0, **masks)


@contextmanager
def _empty_cells_allowed() -> Iterator[None]:
    with warnings.catch_warnings():
        # a cell without a count on a small panel is embedded as an average cell, as by every other
        # method
        warnings.filterwarnings("ignore", message=".*embedded all the same.*")
        yield


def _as_anndata(counts: SparseCounts, measured: NDArray[np.bool_]) -> AnnData:
    matrix = sparse.csr_matrix(counts)[:, measured].astype(np.float32)
    return as_anndata(matrix, np.flatnonzero(measured))
