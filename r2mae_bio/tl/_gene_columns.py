"""From the genes of a model to the columns of a data set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def spread_over_columns(rows: NDArray[Any], column_to_gene: NDArray[np.int64]) -> NDArray[np.float32]:
    """One row for every column of a data set.

    Parameters
    ----------
    rows
        One row per gene of the vocabulary, (genes, k).
    column_to_gene
        Vocabulary position of each column, -1 for none, (columns,).

    Returns
    -------
    The rows of the columns' genes, NaN for columns without one, (columns, k).
    """
    spread = np.full((column_to_gene.size, rows.shape[1]), np.nan, np.float32)
    known = column_to_gene >= 0
    spread[known] = rows[column_to_gene[known]]
    return spread
