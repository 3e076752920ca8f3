"""How deeply a cell was sequenced, as its genes say: what an embedding leaves out on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from r2mae_bio.cells.fit._table import CellTable
    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder

__all__ = ["library_sizes"]


@torch.inference_mode()
def library_sizes(network: GeneMaskedAutoencoder, table: CellTable, step: int) -> NDArray[np.float32]:
    """Counts that cells would have if every gene of the model were measured.

    Parameters
    ----------
    network
        Of a model of counts, in evaluation mode.
    table
        The cells.
    step
        Cells at a time.

    Returns
    -------
    Counts per cell, float32 (n_cells,), positive.
    """
    sizes = np.zeros(table.n_cells, np.float32)
    device = network.content.share.device
    for some, batch in table.panel_batches(step, device):
        tokens = batch.tokens()
        # logarithms of expected counts, which sum to the depth
        location = network(tokens, batch.context, measured=tokens.visible).location
        sizes[some] = location.logsumexp(1).exp().float().cpu().numpy()
    return sizes
