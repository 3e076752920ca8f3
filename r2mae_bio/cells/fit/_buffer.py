"""Cells read ahead: a thread fills the next buffer while batches are taken from this one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import numpy as np
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BufferedRows"]

_AT_ONCE: Final = 2048
"""Cells that are decoded at once: bounds what is held beside the buffer."""


@dataclass(frozen=True, eq=False)
class _Rows:
    """Non-zero entries of some cells; a :class:`SparseRows`."""

    indptr: NDArray[np.int64]
    genes: NDArray[np.int64]
    values: NDArray[np.float32]
    n_genes: int


class _Buffer(NamedTuple):
    cells: NDArray[np.int64]
    """Positions, ascending."""
    matrix: Any
    """CSR, a row for each."""

    def find(self, cells: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row of each cell, -1 for those that are not here."""
        row = np.minimum(np.searchsorted(self.cells, cells), self.cells.size - 1)
        return np.where(self.cells[row] == cells, row, -1)


class BufferedRows:
    """Cells of a source, from buffers that a thread reads while the last one is in use.

    At most one buffer is read beside the one in use. Cells have to be asked for in the order of the
    buffers: once one of a later buffer is, those before it are let go.

    Parameters
    ----------
    source
        A :class:`RowSource`.
    buffers
        Positions of the cells of each.
    """

    buffer = None

    def __init__(self, source: Any, buffers: Sequence[NDArray[np.int64]]) -> None:
        self.n_cells, self.measured, self.panels = source.n_cells, source.measured, source.panels
        self._source, self._left = source, iter(buffers)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="r2mae cells")
        self._held: list[_Buffer] = []
        self._coming: Any = None

    def __enter__(self) -> Self:
        self._call_next()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        self._held, self._coming = [], None

    def rows(self, index: NDArray[np.int64]) -> _Rows:
        """Fetch cells, in the order asked for.

        Parameters
        ----------
        index
            Positions, (B,).

        Raises
        ------
        IndexError
            A cell is in no buffer, or in one that was let go.
        """
        places: list[NDArray[np.int64]] = []
        missing = np.ones(index.size, bool)
        while not places or missing.any():
            if len(places) == len(self._held):
                self._held.append(self._receive())
            place = np.where(missing, self._held[len(places)].find(index), -1)
            places.append(place)
            missing &= place < 0
        parts = [held.matrix[place[place >= 0]] for held, place in zip(self._held, places, strict=False)]
        order = np.argsort(np.concatenate([np.flatnonzero(place >= 0) for place in places]), kind="stable")
        del self._held[: len(places) - 1]
        if self._coming is None:
            self._call_next()
        found = parts[0] if len(parts) == 1 else sparse.vstack(parts, format="csr")[order]
        return _Rows(found.indptr.astype(np.int64), found.indices.astype(np.int64), found.data, found.shape[1])

    def _receive(self) -> _Buffer:
        if self._coming is None:
            self._call_next()
        if self._coming is None:
            message = "Cells were asked for that are in no buffer, or in one before the last that was used."
            raise IndexError(message)
        found: _Buffer = self._coming.result()
        self._coming = None
        return found

    def _call_next(self) -> None:
        cells = next(self._left, None)
        self._coming = None if cells is None else self._thread.submit(self._read, np.sort(cells))

    def _read(self, cells: NDArray[np.int64]) -> _Buffer:
        parts = []
        for start in range(0, cells.size, _AT_ONCE):
            rows = self._source.rows(cells[start : start + _AT_ONCE])
            shape = (rows.indptr.size - 1, self.measured.size)
            # half the bytes of what a batch is made of
            parts.append(sparse.csr_array((rows.values, rows.genes.astype(np.int32), rows.indptr), shape))
        return _Buffer(cells, parts[0] if len(parts) == 1 else sparse.vstack(parts, format="csr"))
