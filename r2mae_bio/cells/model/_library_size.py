"""The part of ``GeneMAE`` that says how deeply a cell was sequenced."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from r2mae_bio._errors import ConfigError
from r2mae_bio.cells.fit._loader import CellTable
from r2mae_bio.cells.model._reader import SavedGeneModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._cells import CellSource

_CELLS_AT_A_TIME = 256


class LibrarySizeMixin(SavedGeneModel):
    """What an embedding leaves out on purpose: the depth of a cell."""

    if TYPE_CHECKING:

        def _source_of(self, adata: AnnData | None, indices: Any, *, layer: str | None, **alignment: Any) -> CellSource: ...

    @torch.inference_mode()
    def get_latent_library_size(
        self,
        adata: AnnData | None = None,
        indices: Sequence[int] | NDArray[Any] | None = None,
        *,
        batch_size: int | None = None,
        layer: str | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
    ) -> NDArray[np.float32]:
        """Counts that a cell would have if every gene of the model were measured, as estimated from
        those that are.

        Embeddings do not depend on depth. Where depth is biology (cells of different sizes,
        quiescent cells), add its logarithm to the embedding as a column of its own. The estimate is
        the posterior mean under the model's gamma prior: counts seen, over the share of the cell's
        predicted composition that could be seen.

        Parameters
        ----------
        adata, indices, batch_size, layer, duplicates, min_coverage
            As in :meth:`get_latent_representation`.

        Returns
        -------
        Counts per cell, float32 (n_cells,), positive.

        Raises
        ------
        NotTrainedError
            There are no weights yet.
        ConfigError
            The model was trained on log-normalised values, or ``batch_size`` is not positive.
        CountsError, DuplicateGenesError, GeneCoverageError, SetupError
            The data cannot be used; the message says why and what to do.
        """
        network = self._network().eval()
        step = _CELLS_AT_A_TIME if batch_size is None else batch_size
        if self.config.gene_likelihood == "normal" or step < 1:
            message = (
                f"gene_likelihood is {self.config.gene_likelihood!r} and batch_size {batch_size}; needed are a model of counts "
                "('nb', 'zinb' or 'poisson'), for log-normalised values have no depth, and a positive number of cells, or None."
            )
            raise ConfigError(message)
        source = self._source_of(adata, indices, layer=layer, duplicates=duplicates, min_coverage=min_coverage)
        table = CellTable(source, self.record.covariates.blank(source.n_cells))
        sizes = np.zeros(source.n_cells, np.float32)
        for start in range(0, source.n_cells, step):
            batch = table.batch(np.arange(start, min(start + step, source.n_cells))).to(self.device)
            location = network(batch.tokens(), batch.context).location  # log of expected counts, which sum to the depth
            sizes[start : start + step] = location.logsumexp(1).exp().float().cpu().numpy()
        return sizes
