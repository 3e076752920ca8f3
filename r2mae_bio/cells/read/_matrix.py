"""One way to look into every expression matrix AnnData can hold: dense, sparse, in memory or backed
by a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from anndata.abc import CSCDataset, CSRDataset
from scipy import sparse

from r2mae_bio._errors import DataError, SetupError
from r2mae_bio._rng import derive_generator
from r2mae_bio.cells.read._dask import block_edges, is_dask, read_block
from r2mae_bio.cells.read._data import check_anndata
from r2mae_bio.cells.read._file_matrix import FileMatrix
from r2mae_bio.cells.read._stored import check_compressed, check_stored, known_indices, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._panels import CellPanels

__all__ = ["Entries", "describe_matrix", "gene_totals", "get_matrix", "in_memory", "iter_entries", "remembered"]

BLOCK: Final = 1 << 21
"""Entries looked at in one step: bounds the extra memory to some tens of MB."""
_SAMPLE: Final = 50_000
"""Cells of a matrix in files that stand for all where it has to be in memory."""


@dataclass(frozen=True)
class Entries:
    """The non-zero entries of a part of a matrix; indices count from the whole matrix's first cell
    and gene.
    """

    rows: NDArray[np.int64]
    """Cell of each entry, shape (n,)."""
    cols: NDArray[np.int64]
    """Gene of each entry, shape (n,)."""
    values: NDArray[np.float64]
    """Value of each entry, shape (n,), never zero."""

    def held_by(self, panels: CellPanels | None) -> Entries:
        """Those that were measured by the panel of their cell; all if None."""
        if panels is None:
            return self
        held = panels.hold(self.rows, self.cols)
        return Entries(self.rows[held], self.cols[held], self.values[held])


def get_matrix(adata: AnnData, layer: str | None = None) -> Any:
    """The matrix of ``adata.X`` or of one layer, as it is stored.

    Parameters
    ----------
    adata
        Cells x genes.
    layer
        Name of a layer; ``adata.X`` if None.

    Returns
    -------
    The matrix itself, shape (cells, genes), not a copy.

    Raises
    ------
    SetupError
        The layer does not exist, or there is no ``adata.X``.
    DataError
        It cannot be read from its file, or is not of cells x genes.
    """
    check_anndata(adata)
    layers = sorted(str(name) for name in adata.layers if name is not None)  # None is X, from anndata 0.13 on
    if layer is not None and layer not in adata.layers:
        known = f"the layers are {layers}. Pass one of them, or" if layers else "there are no layers at all. Pass"
        message = f"There is no layer {layer!r}; {known} layer=None for adata.X."
        raise SetupError(message)
    where = describe_matrix(layer)
    with reading(adata.file if adata.isbacked else None, where):
        matrix = adata.X if layer is None else adata.layers[layer]
        shape = () if matrix is None else tuple(matrix.shape)
    if matrix is None:
        known = f"Pass layer=; the layers are {layers}." if layers else "There are no layers either: add the counts."
        message = f"adata.X is None; a matrix of cells x genes is needed. {known}"
        raise SetupError(message)
    # anndata does not look where it reads later; NaN is a length that dask does not know
    if len(shape) == 2 and any(n == n and n != wanted for n, wanted in zip(shape, adata.shape, strict=True)):
        message = (
            f"{where} has the shape {shape}, and there are {adata.n_obs} cells and {adata.n_vars} genes; the file is damaged."
        )
        raise DataError(message)
    return matrix


def describe_matrix(layer: str | None) -> str:
    """How a user writes the matrix down, for messages.

    Parameters
    ----------
    layer
        Name of a layer, or None.

    Returns
    -------
    ``adata.X`` or ``adata.layers['counts']``.
    """
    return "adata.X" if layer is None else f"adata.layers[{layer!r}]"


def check_supported(matrix: Any, where: str = "The matrix") -> None:
    """Refuse what is not a real two-dimensional matrix."""
    with reading(matrix, where):
        shape, dtype = getattr(matrix, "shape", ()), getattr(matrix, "dtype", None)
    if len(shape) != 2 or dtype is None or np.dtype(dtype).kind not in "buif":
        message = (
            f"{where} is a {type(matrix).__name__} of shape {tuple(shape)} and dtype {dtype}; "
            "a two-dimensional matrix of real numbers (cells x genes) is needed."
        )
        raise DataError(message)
    if is_dask(matrix):
        block_edges(matrix, where)
    elif is_backed_sparse(matrix):
        check_stored(matrix, where)
    elif sparse.issparse(matrix) and matrix.format in {"csr", "csc"}:
        check_compressed(matrix, where)


def is_backed_sparse(matrix: Any) -> bool:
    """Whether the matrix is a sparse one that stays on disk."""
    return isinstance(matrix, (CSRDataset, CSCDataset))


def iter_entries(
    matrix: Any, *, block: int = BLOCK, panels: CellPanels | None = None, where: str = "The matrix"
) -> Iterator[Entries]:
    """Walk over all non-zero entries in blocks of rows (of columns, for column-compressed
    matrices).

    Parameters
    ----------
    matrix
        Dense, CSR, CSC, ``numpy.matrix``, ``h5py.Dataset``, ``zarr.Array``, an AnnData backed
        sparse dataset or a dask array, shape (cells, genes).
    block
        About how many entries to hold at once, beside one computed block of rows of a dask array.
    panels
        Which columns were measured in which cell; entries of others are left out. All if None.
    where
        How the user calls the matrix, for messages.

    Yields
    ------
    The entries of one block; explicit zeros are dropped and entries stored twice are added up.

    Raises
    ------
    DataError
        It is no matrix of numbers, or its file or its indices are damaged.
    """
    check_supported(matrix, where)
    if isinstance(matrix, FileMatrix):
        parts = _file_entries(matrix, block)
    else:
        parts = _dask_entries(matrix, block, where) if is_dask(matrix) else _stored_entries(matrix, block, where)
    for part in parts:
        yield part.held_by(panels)


def _stored_entries(matrix: Any, block: int, where: str) -> Iterator[Entries]:
    if sparse.issparse(matrix) and matrix.format not in {"csr", "csc"}:
        matrix = matrix.tocsr()
    if sparse.issparse(matrix):
        matrix = known_indices(matrix)
    by_column = isinstance(matrix, CSCDataset) or (sparse.issparse(matrix) and matrix.format == "csc")
    for start, stop in _spans(matrix, by_column=by_column, block=block):
        part = read_part(matrix, np.s_[:, start:stop] if by_column else np.s_[start:stop], where)
        rows, cols, values = _part_entries(part)
        yield Entries(rows + (0 if by_column else start), cols + (start if by_column else 0), values)


def read_part(matrix: Any, rows: Any, where: str = "The matrix") -> Any:
    """A part of a matrix, which may lie on a disk.

    Parameters
    ----------
    matrix
        Any that :func:`get_matrix` returns, but a dask array.
    rows
        What stands between the brackets: rows, or a tuple.
    where
        How the user calls the matrix, for messages.

    Returns
    -------
    A sparse matrix whose indices are sound, or an array.

    Raises
    ------
    DataError
        The file is damaged.
    """
    with reading(matrix, where):
        part = matrix[rows]
    if is_backed_sparse(matrix):  # one in memory was checked as a whole
        check_compressed(part, f"A part of {where}")
    return part


def _dask_entries(matrix: Any, block: int, where: str) -> Iterator[Entries]:
    edges = block_edges(matrix, where)
    for number, start in enumerate(edges[:-1].tolist()):
        # no name for the block: it is let go before the next is computed
        yield from _entries_from(start, read_block(matrix, number), block, where)


def _file_entries(matrix: FileMatrix, block: int) -> Iterator[Entries]:
    for start, part, genes in matrix.pieces(block):
        rows, cols, values = _part_entries(part)
        cols = genes[cols]
        used = cols >= 0
        yield Entries(rows[used] + start, cols[used], values[used])


def _entries_from(start: int, part: Any, block: int, where: str) -> Iterator[Entries]:
    for entries in _stored_entries(part, block, where):
        yield Entries(entries.rows + start, entries.cols, entries.values)


def gene_totals(matrix: Any, panels: CellPanels | None = None) -> NDArray[np.float64]:
    """Sum of every column; one pass, whatever the storage.

    Parameters
    ----------
    matrix
        Shape (cells, genes), of any kind that :func:`get_matrix` returns.
    panels
        Which columns were measured in which cell; all if None.

    Returns
    -------
    Shape (genes,), in counts.
    """

    def add_up() -> NDArray[np.float64]:
        totals = np.zeros(matrix.shape[1], np.float64)
        for part in iter_entries(matrix, panels=panels):
            totals += np.bincount(part.cols, part.values, totals.size)
        return totals

    found: NDArray[np.float64] = remembered(matrix, "totals", panels, add_up)
    return found


def remembered(matrix: Any, name: str, panels: CellPanels | None, compute: Callable[[], Any]) -> Any:
    """What a pass over a matrix finds; of one in files it is kept, and given while these are what
    they were.

    Parameters
    ----------
    matrix
        Of any kind.
    name
        Of what is found.
    panels
        Which columns were looked at in which cell.
    compute
        Finds it.
    """
    if not isinstance(matrix, FileMatrix):
        return compute()
    matrix.check_unchanged()  # of a file that is open nobody else asks
    if panels is not None:
        name = f"{name} {hashlib.sha256(panels.measured.tobytes() + panels.codes.tobytes()).hexdigest()}"
    if name not in matrix.memory:
        matrix.memory[name] = compute()
    return matrix.memory[name]


def _spans(matrix: Any, *, by_column: bool, block: int) -> Iterator[tuple[int, int]]:
    n = matrix.shape[1 if by_column else 0]
    if sparse.issparse(matrix):
        cuts = np.searchsorted(matrix.indptr, np.arange(block, max(matrix.nnz, 1), block))
    else:
        dense_like = block * (8 if is_backed_sparse(matrix) else 1)  # a sparse slice holds far fewer entries than its shape
        cuts = np.arange(0, n, max(1, dense_like // max(1, matrix.shape[0 if by_column else 1])))
    edges = np.unique(np.concatenate([[0], cuts, [n]]))
    return zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)


def _part_entries(part: Any) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    if not sparse.issparse(part):
        part = np.asarray(part)
        rows, cols = np.nonzero(part)
        return rows, cols, part[rows, cols].astype(np.float64)
    coo = canonical(part).tocoo(copy=False)
    rows, cols, values = coo.row.astype(np.int64), coo.col.astype(np.int64), coo.data.astype(np.float64)
    if np.count_nonzero(values) < values.size:
        keep = values != 0
        rows, cols, values = rows[keep], cols[keep], values[keep]
    return rows, cols, values


def canonical(matrix: Any) -> Any:
    """The matrix itself if its indices are sorted and unique, else a copy for which that holds."""
    if matrix.has_canonical_format:
        return matrix
    matrix = matrix.copy()  # the user's arrays stay as they are
    matrix.sum_duplicates()
    return matrix


def in_memory(matrix: Any, columns: NDArray[np.int64] | None = None) -> Any:
    """The matrix itself if it is in memory, else its non-zero entries as CSR.

    Parameters
    ----------
    matrix
        Cells x genes, as stored.
    columns
        Positions of those wanted, which are copied; all if None.

    Returns
    -------
    Sparse or dense, (cells, genes); of a matrix in files with more than 50,000 cells so many drawn
    at random, always the same.
    """
    if columns is not None:
        return in_memory(matrix)[:, columns]
    if sparse.issparse(matrix) or isinstance(matrix, np.ndarray):
        return matrix
    if isinstance(matrix, FileMatrix):
        return _sample(matrix)
    parts = list(iter_entries(matrix))
    rows, cols, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("rows", "cols", "values"))
    return sparse.coo_array((values, (rows, cols)), matrix.shape).tocsr()


def _sample(matrix: FileMatrix) -> Any:
    n_cells = matrix.shape[0]
    cells = np.arange(n_cells)
    if n_cells > _SAMPLE:
        cells = np.sort(derive_generator(0, "cells in memory").choice(n_cells, _SAMPLE, replace=False))
    parts = []
    for number, rows in matrix.select(cells):
        coo, genes = sparse.coo_array(rows), matrix.columns[number]
        used = genes[coo.col] >= 0
        entries = (coo.data[used], (coo.row[used], genes[coo.col[used]]))
        parts.append(sparse.coo_array(entries, (rows.shape[0], matrix.shape[1])).tocsr())
    return sparse.vstack(parts, format="csr")
