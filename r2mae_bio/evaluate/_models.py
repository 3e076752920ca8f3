"""The package's own models as methods of a table."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.evaluate._embedder import SparseCounts
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
    """

    name: str
    mask_ratio: float | tuple[float, float] | RatioLaw = (0, 1)
    trained: bool = True
    model_kwargs: dict[str, Any] = field(default_factory=dict)
    train_kwargs: dict[str, Any] = field(default_factory=dict)

    def fit(self, counts: SparseCounts, *, seed: int) -> FittedGeneMAE:
        """Train on raw counts (n_cells, n_genes) with every gene measured.

        Parameters
        ----------
        counts
            Raw counts; every cell has at least one.
        seed
            Seed of the model.

        Returns
        -------
        The trained method.
        """
        from r2mae_bio.model import GeneMAE

        adata = _as_anndata(counts, np.ones(counts.shape[1], bool))
        GeneMAE.setup_anndata(adata)
        model = GeneMAE(adata, mask_ratio=self.mask_ratio, seed=seed, **self.model_kwargs)
        if self.trained:
            model.train(progress_bar=False, **self.train_kwargs)
        else:
            model.initialize()
        return FittedGeneMAE(model)


@dataclass(frozen=True)
class FittedGeneMAE:
    """A trained model; unmeasured genes are left out of what it is given, as in a real panel."""

    model: GeneMAE

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
        with warnings.catch_warnings():
            # a cell without a count on a small panel is embedded as an average cell, as for every other method
            warnings.filterwarnings("ignore", message=".*embedded all the same.*")
            return self.model.get_latent_representation(_as_anndata(counts, measured), min_coverage=0.0)


def _as_anndata(counts: SparseCounts, measured: NDArray[np.bool_]) -> AnnData:
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    names = np.array([f"gene_{i}" for i in np.flatnonzero(measured)])
    matrix = sparse.csr_matrix(counts)[:, measured].astype(np.float32)
    return AnnData(matrix, obs=pd.DataFrame(index=[f"cell_{i}" for i in range(matrix.shape[0])]), var=pd.DataFrame(index=names))
