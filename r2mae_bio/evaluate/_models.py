"""The package's own models as methods of a table."""

from __future__ import annotations

import time
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio.evaluate._split import as_batches

if TYPE_CHECKING:
    from collections.abc import Iterator

    from anndata import AnnData
    from numpy.typing import ArrayLike, NDArray

    from r2mae_bio.evaluate._embedder import SparseCounts
    from r2mae_bio.likelihoods import GeneParams
    from r2mae_bio.masking import RatioLaw
    from r2mae_bio.model import GeneMAE

__all__ = ["FittedGeneMAE", "MaskedAutoencoder"]


@dataclass(frozen=True)
class MaskedAutoencoder:
    """A :class:`~r2mae_bio.model.GeneMAE`, trained through its public interface on the reference cells.

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
    """

    name: str
    mask_ratio: float | tuple[float, float] | RatioLaw = (0, 1)
    trained: bool = True
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    train_kwargs: dict[str, Any] = field(default_factory=dict)
    uses_batch: bool = True

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
        from r2mae_bio.model import GeneMAE

        started = time.perf_counter()
        adata = _as_anndata(counts, np.ones(counts.shape[1], bool))
        if batch is not None:
            adata.obs["batch"] = as_batches(batch, adata.n_obs)
        GeneMAE.setup_anndata(adata, batch_key=None if batch is None else "batch")
        model = GeneMAE(adata, mask_ratio=self.mask_ratio, seed=seed, **self.model_kwargs)
        if self.trained:
            model.train(progress_bar=False, **self.train_kwargs)
        else:
            model.initialize()
        return FittedGeneMAE(model, time.perf_counter() - started)


@dataclass(frozen=True)
class FittedGeneMAE:
    """A trained model; unmeasured genes are left out of what it is given, as in a real panel."""

    model: GeneMAE
    train_seconds: float = 0.0
    """Seconds that the training took."""

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
        Embedding, float32 (n_cells, n_latent).
        """
        with _empty_cells_allowed():
            return self.model.get_latent_representation(_as_anndata(counts, measured), min_coverage=0.0)

    def rates(self, counts: SparseCounts, measured: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Expected counts of every gene, decoded from all measured genes at the depth that the model estimates for the cell.

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
        import torch

        from r2mae_bio.train import CellTable

        model, adata = self.model, _as_anndata(counts, measured)
        if model.record.config.gene_likelihood == "normal":
            msg = "gene_likelihood='normal' predicts log-normalised values; a model of counts ('nb', 'zinb' or 'poisson') is needed."
            raise ConfigError(msg)
        with _empty_cells_allowed():
            # the cells as get_latent_representation would read them: aligned by name, unmeasured genes marked
            source = model._source_of(adata, None, layer=None, duplicates="error", min_coverage=0.0)
        table, network = CellTable(source, model.record.covariates.blank(source.n_cells)), model._network().eval()
        chunks = [np.zeros((0, counts.shape[1]), np.float32)]
        with torch.inference_mode():
            for batch in table.chunks(np.arange(source.n_cells)):
                there = batch.to(model.device)
                chunks.append(_mean(network(there.tokens(), there.context)).float().cpu().numpy())
        return np.concatenate(chunks)


def _mean(params: GeneParams) -> Any:
    """Expected counts (B, G): a structural zero takes its share of the negative binomial's mean."""
    import torch

    mean = params.location.exp()
    return mean if params.dropout is None else mean * torch.sigmoid(-params.dropout)


@contextmanager
def _empty_cells_allowed() -> Iterator[None]:
    with warnings.catch_warnings():
        # a cell without a count on a small panel is embedded as an average cell, as for every other method
        warnings.filterwarnings("ignore", message=".*embedded all the same.*")
        yield


def _as_anndata(counts: SparseCounts, measured: NDArray[np.bool_]) -> AnnData:
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    names = np.array([f"gene_{i}" for i in np.flatnonzero(measured)])
    matrix = sparse.csr_matrix(counts)[:, measured].astype(np.float32)
    return AnnData(matrix, obs=pd.DataFrame(index=[f"cell_{i}" for i in range(matrix.shape[0])]), var=pd.DataFrame(index=names))
