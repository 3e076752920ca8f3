"""Counts as the AnnData that trained models take."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from scipy import sparse


def as_anndata(matrix: sparse.csr_matrix, genes: Iterable[int]) -> AnnData:
    """Cells (n_cells, k) with names of their own, and genes that are named by their positions in
    the training data, so that a panel is matched by name.
    """
    import pandas as pd
    from anndata import AnnData

    obs = pd.DataFrame(index=[f"cell_{i}" for i in range(matrix.shape[0])])
    return AnnData(matrix, obs=obs, var=pd.DataFrame(index=[f"gene_{i}" for i in genes]))
