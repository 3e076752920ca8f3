"""Cells by index, as sparse rows over a model's genes: the same bits from every kind of storage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from anndata.abc import CSCDataset
from scipy import sparse

from r2mae_bio._errors import DataError
from r2mae_bio._warn import warn
from r2mae_bio.cells.read._dask import block_edges, is_dask, read_block
from r2mae_bio.cells.read._file_matrix import FileMatrix
from r2mae_bio.cells.read._matrix import canonical, check_supported, describe_matrix, get_matrix, is_backed_sparse, read_part
from r2mae_bio.cells.read._obs import cell_positions
from r2mae_bio.cells.read._stored import check_compressed, known_indices, reading

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._align import GeneAlignment
    from r2mae_bio.cells.read._file_matrix import BufferSize
    from r2mae_bio.cells.read._panels import CellPanels

__all__ = ["CSRRows", "CellSource", "FileReader", "drop_zeros", "open_cells"]

_KEPT_BYTES: Final = 1 << 28
"""Computed blocks of a dask array that are kept, and at least one."""
_OFTEN: Final = 20
"""Computing a dask array so many times over is worth a warning."""


@dataclass(frozen=True, eq=False)
class CSRRows:
    """The non-zero entries of some cells."""

    indptr: NDArray[np.int64]
    """Row ``b`` owns the entries ``indptr[b]:indptr[b + 1]``, shape (cells + 1,)."""
    genes: NDArray[np.int64]
    """Vocabulary position of each entry, ascending within a row, shape (nnz,)."""
    values: NDArray[np.float32]
    """Value of each entry, never zero, shape (nnz,)."""
    n_genes: int
    """Size of the vocabulary."""

    def row_of_entry(self) -> NDArray[np.int64]:
        """Row of each entry, from 0, ascending, (nnz,)."""
        return np.repeat(np.arange(self.indptr.size - 1), np.diff(self.indptr))

    def to_dense(self) -> NDArray[np.float32]:
        """The same cells as an array of shape (cells, genes)."""
        dense = np.zeros((self.indptr.size - 1, self.n_genes), np.float32)
        dense[self.row_of_entry(), self.genes] = self.values
        return dense


class _Reader(Protocol):
    n_cells: int

    def fetch(self, index: NDArray[np.int64]) -> CSRRows: ...


class CellSource:
    """Random access to the cells of one matrix, aligned to a vocabulary; made by
    :func:`open_cells`.
    """

    def __init__(self, reader: _Reader, alignment: GeneAlignment, subset: NDArray[np.int64] | None) -> None:
        self._reader = reader
        self._subset = subset
        self._columns = alignment.panels
        self._genes = None if alignment.is_identity else _GeneMap(alignment.column_to_gene, alignment.measured.size)
        self.n_cells: int = reader.n_cells if subset is None else subset.size
        """Number of cells."""
        self.measured: NDArray[np.bool_] = alignment.measured
        """Whether each gene was measured, shape (genes,). A gene that was not has no entries, and
        they do not mean zero.
        """
        self.column_to_gene: NDArray[np.int64] = alignment.column_to_gene
        """Vocabulary position of each column of the matrix, -1 for none, shape (columns,)."""
        panels = alignment.gene_panels
        self.panels: CellPanels | None = panels if panels is None or subset is None else panels.among(subset)
        """Which of these genes were measured in which cell; None where all cells agree."""
        self.buffer: BufferSize | None = getattr(reader, "buffer", None)
        """How to read cells that lie in files; None where each can be had for itself."""

    @property
    def n_genes(self) -> int:
        """Number of genes of the vocabulary."""
        return int(self.measured.size)

    def rows(self, index: NDArray[np.int64]) -> CSRRows:
        """Fetch cells in the order asked for; an index may repeat.

        Parameters
        ----------
        index
            Positions of cells, from 0 to ``n_cells - 1``, shape (B,).

        Returns
        -------
        The cells' non-zero entries, values as float32.

        Raises
        ------
        IndexError
            An index is out of range.
        """
        index = np.asarray(index, np.int64)
        if index.size and not (index.min() >= 0 and index.max() < self.n_cells):
            message = f"Cell positions from {index.min()} to {index.max()} were asked for; there are {self.n_cells} cells."
            raise IndexError(message)
        place = index if self._subset is None else self._subset[index]
        rows = drop_zeros(_held(self._reader.fetch(place), place, self._columns))
        return rows if self._genes is None else self._genes.apply(rows)


def open_cells(adata: AnnData, *, layer: str | None = None, alignment: GeneAlignment, indices: Any = None) -> CellSource:
    """Open the cells of an AnnData for random access.

    The matrix is used where it is: CSR and dense matrices in memory are referenced, not copied, and
    backed CSR and dense matrices are read cell by cell. Dask arrays are computed by their own
    blocks of rows, of which the last ones are kept: this suits reading in order, but not training
    on more than is kept. Cells of a :class:`CellStore` are read in runs of neighbours. Copied once
    into CSR are: column-compressed matrices, in memory or backed, and row-compressed ones whose
    column indices are not sorted and unique. Batches are bit-equal for all of them.

    Parameters
    ----------
    adata
        Data of any kind of storage; a view is allowed.
    layer
        Layer to read; ``adata.X`` if None.
    alignment
        Result of ``align_genes`` for the columns of ``adata``.
    indices
        Cells to offer: positions (negative ones count from the end), a slice, a boolean mask, or
        names; all if None.

    Returns
    -------
    The source; a backed one needs the file to stay open, and each process its own.

    Raises
    ------
    SetupError
        The layer does not exist.
    DataError
        The matrix cannot be read, or ``alignment`` or ``indices`` do not belong to ``adata``.
    """
    matrix = get_matrix(adata, layer)
    check_supported(matrix, describe_matrix(layer))
    if alignment.column_to_gene.size != matrix.shape[1]:
        message = (
            f"The alignment is for {alignment.column_to_gene.size} columns, the data set has {matrix.shape[1]}; "
            "call align_genes with the genes of this data set."
        )
        raise DataError(message)
    return CellSource(_open(matrix, describe_matrix(layer)), alignment, cell_positions(indices, adata.obs_names))


def _open(matrix: Any, where: str) -> _Reader:
    if isinstance(matrix, FileMatrix):
        return FileReader(matrix)
    if is_dask(matrix):
        return _DaskReader(matrix)
    if isinstance(matrix, CSCDataset):
        with reading(matrix, where):
            matrix = matrix.to_memory()
        check_compressed(matrix, where)
    if sparse.issparse(matrix):
        matrix = known_indices(matrix) if matrix.format in {"csr", "csc"} else matrix
        return _SparseReader(canonical(matrix.tocsr()))
    return _BackedReader(matrix, where) if not isinstance(matrix, np.ndarray) else _DenseReader(np.asarray(matrix))


class _SparseReader:
    """Row-compressed matrix in memory."""

    def __init__(self, matrix: Any) -> None:
        self._matrix = matrix
        self.n_cells, self._n_genes = matrix.shape

    def fetch(self, index: NDArray[np.int64]) -> CSRRows:
        in_order = index.size > 1 and bool((np.diff(index) == 1).all())
        return _from_csr(self._matrix[index[0] : index[-1] + 1] if in_order else self._matrix[index])  # a slice is found at once


class _DenseReader:
    """Array in memory."""

    def __init__(self, matrix: NDArray[Any]) -> None:
        self._matrix = matrix
        self.n_cells, self._n_genes = matrix.shape

    def fetch(self, index: NDArray[np.int64]) -> CSRRows:
        return _from_dense(self._matrix[index])


class _BackedReader:
    """Matrix on disk. Files want ascending, unique positions, so cells are fetched that way and put
    back in order.
    """

    def __init__(self, matrix: Any, where: str) -> None:
        self._matrix, self._where = matrix, where
        self.n_cells, self._n_genes = matrix.shape

    def fetch(self, index: NDArray[np.int64]) -> CSRRows:
        if index.size == 0:
            return _from_dense(np.zeros((0, self._n_genes), np.float32))
        unique, place = np.unique(index, return_inverse=True)
        block = read_part(self._matrix, unique, self._where)
        if is_backed_sparse(self._matrix):
            return _SparseReader(canonical(block.tocsr())).fetch(place)
        return _from_dense(np.asarray(block)[place])


class FileReader:
    """Matrix of several files: cells are read in runs of neighbours, each file by its own genes."""

    def __init__(self, matrix: FileMatrix) -> None:
        matrix.check_unchanged()
        self._matrix = matrix
        self.n_cells, self._n_genes = matrix.shape
        self.buffer = matrix.buffer
        own = np.arange(self._n_genes)
        self._maps = [None if np.array_equal(c, own) else _GeneMap(c, self._n_genes) for c in matrix.columns]

    def fetch(self, index: NDArray[np.int64]) -> CSRRows:
        """Cells in the order asked for, as :meth:`CellSource.rows` over the genes of the files."""
        if not index.size:
            return _stack([], self._n_genes)
        unique, place = np.unique(index, return_inverse=True)
        parts = []
        for number, block in self._matrix.select(unique):
            rows = _from_csr(canonical(block)) if sparse.issparse(block) else _from_dense(block)
            genes = self._maps[number]
            parts.append(rows if genes is None else genes.apply(drop_zeros(rows)))
        rows = parts[0] if len(parts) == 1 else _stack(parts, self._n_genes)
        return rows if np.array_equal(place, np.arange(unique.size)) else _pick(rows, place)


class _DaskReader:
    """Dask array: blocks of rows are computed when a cell of theirs is asked for."""

    def __init__(self, matrix: Any) -> None:
        self._matrix, self._edges = matrix, block_edges(matrix, "The matrix")
        self.n_cells, self._n_genes = matrix.shape
        self._kept: dict[int, CSRRows] = {}  # the one used last comes last
        self._n_computed = 0
        self._next = 0  # the cell that comes next where cells are read in order

    def fetch(self, index: NDArray[np.int64]) -> CSRRows:
        block = np.searchsorted(self._edges, index, side="right") - 1
        order = np.argsort(block, kind="stable")
        numbers, first = np.unique(block[order], return_index=True)
        in_order = bool(index.size) and np.array_equal(index, np.arange(self._next, self._next + index.size))
        self._next = int(index[-1]) + 1 if index.size else 0
        parts = []
        for number, mine in zip(numbers.tolist(), np.split(order, first)[1:], strict=True):
            if in_order:  # blocks that were passed are let go before another is computed
                self._kept = {kept: rows for kept, rows in self._kept.items() if kept >= number}
            parts.append(_pick(self._block(number), index[mine] - self._edges[number]))
        back = np.empty(index.size, np.int64)
        back[order] = np.arange(index.size)
        return _pick(_stack(parts, self._n_genes), back)

    def _block(self, number: int) -> CSRRows:
        rows = self._kept.pop(number, None)
        if rows is None:
            rows = self._compute(number)
        self._kept[number] = rows
        while len(self._kept) > 1 and sum(kept.values.nbytes + kept.genes.nbytes for kept in self._kept.values()) > _KEPT_BYTES:
            del self._kept[next(iter(self._kept))]
        return rows

    def _compute(self, number: int) -> CSRRows:
        self._n_computed += 1
        n_blocks = len(self._edges) - 1
        if self._n_computed == _OFTEN * n_blocks:
            message = (
                f"A dask array of {n_blocks} blocks was computed {_OFTEN} times over, for its cells are read in random order. Write it "
                "to a file and open it in place (anndata.read_h5ad(path, backed='r')), or call .compute() if it fits into memory."
            )
            warn(message)
        block = read_block(self._matrix, number)
        every = np.arange(block.shape[0])
        return _SparseReader(canonical(block)).fetch(every) if sparse.issparse(block) else _from_dense(block)


def _pick(rows: CSRRows, index: NDArray[np.int64]) -> CSRRows:
    """Some rows, in the order asked for."""
    matrix = sparse.csr_array((rows.values, rows.genes, rows.indptr), (rows.indptr.size - 1, rows.n_genes))
    return _SparseReader(matrix).fetch(index)


def _stack(parts: list[CSRRows], n_genes: int) -> CSRRows:
    """Rows of several parts, one behind the other."""
    sizes = np.concatenate([np.zeros(1, np.int64), *(np.diff(part.indptr) for part in parts)])
    genes = np.concatenate([np.zeros(0, np.int64), *(part.genes for part in parts)])
    values = np.concatenate([np.zeros(0, np.float32), *(part.values for part in parts)])
    return CSRRows(np.cumsum(sizes), genes, values, n_genes)


class _GeneMap:
    """Renames columns to genes, drops those without one, and adds up columns of the same gene."""

    def __init__(self, column_to_gene: NDArray[np.int64], n_genes: int) -> None:
        self._column_to_gene, self._n_genes = column_to_gene, int(n_genes)
        used = column_to_gene[column_to_gene >= 0]
        self._ascending = bool(np.all(np.diff(used) >= 0))
        self._repeated = np.unique(used).size < used.size

    def apply(self, rows: CSRRows) -> CSRRows:
        n_rows = rows.indptr.size - 1
        genes = self._column_to_gene[rows.genes]
        keep = genes >= 0
        row, genes, values = rows.row_of_entry()[keep], genes[keep], rows.values[keep]
        if not self._ascending:
            order = np.lexsort((_shorten(genes, self._n_genes), _shorten(row, n_rows)))
            row, genes, values = row[order], genes[order], values[order]
        if self._repeated and genes.size:
            first = np.flatnonzero(np.concatenate([[True], (genes[1:] != genes[:-1]) | (row[1:] != row[:-1])]))
            row, genes = row[first], genes[first]
            # the sort is stable: repeated genes are added in the order of their columns, for every
            # storage
            values = np.add.reduceat(values.astype(np.float64), first).astype(np.float32)
        return drop_zeros(CSRRows(_pointers(row, n_rows), genes, values, self._n_genes))


def _from_csr(rows: Any) -> CSRRows:
    """Of a matrix whose indices are sorted and unique."""
    values = rows.data.astype(np.float32, copy=False)
    return CSRRows(rows.indptr.astype(np.int64), rows.indices.astype(np.int64), values, rows.shape[1])


def _from_dense(block: NDArray[Any]) -> CSRRows:
    block = block.astype(np.float32, copy=False)  # before looking for zeros: a float64 value may become one
    row, genes = np.nonzero(block)
    return CSRRows(_pointers(row, block.shape[0]), genes, block[row, genes], block.shape[1])


def drop_zeros(rows: CSRRows) -> CSRRows:
    """The same cells without entries whose value is zero."""
    if np.count_nonzero(rows.values) == rows.values.size:
        return rows
    return _kept(rows, rows.row_of_entry(), rows.values != 0)


def _held(rows: CSRRows, cells: NDArray[np.int64], panels: CellPanels | None) -> CSRRows:
    """Without the entries that the panels of the cells did not measure, whatever they hold."""
    if panels is None:
        return rows
    row = rows.row_of_entry()
    return _kept(rows, row, panels.hold(cells[row], rows.genes))


def _kept(rows: CSRRows, row: NDArray[np.int64], keep: NDArray[np.bool_]) -> CSRRows:
    return CSRRows(_pointers(row[keep], rows.indptr.size - 1), rows.genes[keep], rows.values[keep], rows.n_genes)


def _shorten(numbers: NDArray[np.int64], limit: int) -> NDArray[Any]:
    return numbers.astype(np.uint16) if limit <= 1 << 16 else numbers  # 16-bit numbers are sorted by radix, three times faster


def _pointers(row: NDArray[np.int64], n_rows: int) -> NDArray[np.int64]:
    indptr = np.zeros(n_rows + 1, np.int64)
    np.cumsum(np.bincount(row, minlength=n_rows), out=indptr[1:])
    return indptr
