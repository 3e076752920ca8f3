"""Cells and their covariates, and the one way to walk over them."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from r2mae_bio.cells.fit._batch import CellBatch, SparseRows, collate
from r2mae_bio.cells.fit._buffer import BufferedRows
from r2mae_bio.config._settings import check_batch_size

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

__all__ = ["CellTable", "Panels", "cells_at_a_time"]

_READ_AT_ONCE = 256
_SCANNED_AT_ONCE = 512
_AHEAD = 2048
"""Cells in files that are read in one piece where they are walked over in order."""


class Panels(Protocol):
    """Which genes were measured in which cell; :class:`CellPanels` of ``cells.read`` is one."""

    @property
    def codes(self) -> NDArray[np.int64]:
        """Panel of each cell, (n_cells,)."""

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Genes of each panel, no two alike, (n_panels, G)."""


class Buffer(Protocol):
    """How cells are read where a single one costs as much as many; :class:`BufferSize` of
    ``cells.read`` is one.
    """

    @property
    def block(self) -> int:
        """Neighbouring cells that are read in one piece."""

    @property
    def blocks(self) -> int:
        """Pieces that are shuffled together."""


class RowSource(Protocol):
    """Random access to cells; :class:`r2mae_bio.io.CellSource` is one."""

    n_cells: int
    measured: NDArray[np.bool_]
    """Genes that were measured in some cells at least, (G,)."""
    panels: Panels | None
    """Which of them in which cell; None where all cells agree."""
    buffer: Buffer | None
    """How to read cells that lie in files; None where each can be had for itself."""

    def rows(self, index: NDArray[np.int64]) -> SparseRows:
        """Fetch cells."""


@dataclass(frozen=True, eq=False)
class CellTable:
    """Cells and their covariates."""

    source: Any
    """A :class:`RowSource`."""
    context: NDArray[np.float32]
    """Covariates of every cell, (n_cells, C)."""

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.context.shape[0]

    def batch(self, index: NDArray[np.int64]) -> CellBatch:
        """The cells at these positions."""
        measured = torch.from_numpy(self._measured(index))
        return collate(self.source.rows(index), measured, self.context[index])

    @contextmanager
    def ahead(self, buffers: Sequence[NDArray[np.int64]]) -> Iterator[CellTable]:
        """The same cells, read ahead by a thread if they lie in files.

        Parameters
        ----------
        buffers
            Cells to read at once, in the order in which they will be asked for; a batch may have
            cells of two in a row, and none of an earlier one is asked for after it.

        Yields
        ------
        The table to ask.
        """
        if self.source.buffer is None:
            yield self
            return
        with BufferedRows(self.source, buffers) as rows:
            yield replace(self, source=rows)

    def _in_order(self, cells: NDArray[np.int64], step: int) -> list[NDArray[np.int64]]:
        """Buffers of whole steps."""
        size = step * max(1, _AHEAD // step)
        return [cells[start : start + size] for start in range(0, cells.size, size)]

    def _measured(self, index: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Genes measured in these cells, (B, G), or (1, G) where they agree."""
        panels: Panels | None = self.source.panels
        if panels is None:
            return np.asarray(self.source.measured)[None]
        codes = panels.codes[index]
        return panels.measured[codes[:1] if (codes == codes[:1]).all() else codes]

    def batches(
        self,
        step: int = _SCANNED_AT_ONCE,
        device: torch.device | str = "cpu",
        *,
        cells: NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[slice, CellBatch]]:
        """Cells in order, some at a time.

        Parameters
        ----------
        step
            Cells at a time.
        device
            Where the batches are wanted.
        cells
            Positions of the cells; all if None.

        Yields
        ------
        Which of the cells these are, counted from the first, and the cells.
        """
        chosen = np.arange(self.n_cells) if cells is None else cells
        with self.ahead(self._in_order(chosen, step)) as table:
            for start in range(0, chosen.size, step):
                some = slice(start, min(start + step, chosen.size))
                yield some, table.batch(chosen[some]).to(device)

    def panel_batches(
        self,
        step: int = _SCANNED_AT_ONCE,
        device: torch.device | str = "cpu",
        *,
        cells: NDArray[np.int64] | None = None,
    ) -> Iterator[tuple[slice | NDArray[np.int64], CellBatch]]:
        """Cells as from :meth:`batches`, but only those of one panel at once: what a network makes
        of which genes are visible is then made once for all of them.

        Parameters
        ----------
        step, device, cells
            As for :meth:`batches`.

        Yields
        ------
        Which of the cells these are, counted from the first, and the cells; ``measured`` of the
        batch is (1, G).
        """
        panels: Panels | None = self.source.panels
        if panels is None:
            yield from self.batches(step, device, cells=cells)
            return
        chosen = np.arange(self.n_cells) if cells is None else cells
        with self.ahead(self._in_order(chosen, step)) as table:
            for start in range(0, chosen.size, step):
                codes = panels.codes[chosen[start : start + step]]
                for code in np.unique(codes):
                    some = start + np.flatnonzero(codes == code)
                    yield some, table.batch(chosen[some]).to(device)


def cells_at_a_time(batch_size: int | None, usual: int = _READ_AT_ONCE) -> int:
    """How many cells a network reads at once.

    Parameters
    ----------
    batch_size
        What the user asked for; None for ``usual``.
    usual
        How many of them suit the work.

    Raises
    ------
    ConfigError
        It is no positive whole number.
    """
    if batch_size is None:
        return usual
    check_batch_size(batch_size, "cells")
    return batch_size
