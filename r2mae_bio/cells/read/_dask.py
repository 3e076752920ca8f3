"""Dask arrays, computed one block of rows at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import sparse

from r2mae_bio._errors import DataError
from r2mae_bio.cells.read._stored import check_compressed, reading

__all__ = ["block_edges", "is_dask", "read_block"]


def is_dask(matrix: Any) -> bool:
    """Whether the matrix is a dask array; dask itself need not be installed to ask."""
    return hasattr(matrix, "dask") and hasattr(matrix, "chunks")


def block_edges(matrix: Any, where: str) -> Any:
    """First row of each block of rows, and the number of rows behind them, int64 (n_blocks + 1,).

    Parameters
    ----------
    matrix
        A dask array (cells, genes).
    where
        How the user calls it, for messages.

    Raises
    ------
    DataError
        The sizes of its blocks are not known.
    """
    sizes = np.array(matrix.chunks[0], np.float64)
    if not np.isfinite(sizes).all() or not np.isfinite(np.array(matrix.chunks[1], np.float64)).all():
        message = f"{where} is a dask array whose blocks have unknown sizes; call .compute_chunk_sizes() on it first."
        raise DataError(message)
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def read_block(matrix: Any, number: int) -> Any:
    """One block of rows, computed.

    Parameters
    ----------
    matrix
        A dask array (cells, genes), its blocks dense or sparse.
    number
        Number of the block of rows.

    Returns
    -------
    CSR, or an array if all blocks of these rows are dense, (rows, genes).

    Raises
    ------
    DataError
        It cannot be computed, as where it is read from a damaged file.
    """
    # blocks of the same rows are joined here: dask does not join sparse arrays of every kind
    with reading(matrix, f"Block {number} of a dask array"):
        parts = [matrix.blocks[number, column].compute() for column in range(len(matrix.chunks[1]))]
    for part in parts:
        if sparse.issparse(part) and part.format in {"csr", "csc"}:
            check_compressed(part, f"Block {number} of a dask array")
    if any(sparse.issparse(part) for part in parts):
        return sparse.hstack([sparse.csr_array(part) for part in parts], format="csr")
    dense = [np.asarray(part) for part in parts]
    return dense[0] if len(dense) == 1 else np.concatenate(dense, axis=1)  # a block may be large: no copy of it
