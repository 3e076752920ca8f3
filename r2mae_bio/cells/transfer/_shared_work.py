"""Cells of a query, embedded by some of their genes and weighed in one pass."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio.cells.fit._table import CellTable, cells_at_a_time
from r2mae_bio.cells.model._reader import EMBEDDED_AT_ONCE
from r2mae_bio.cells.read._data import in_files
from r2mae_bio.cells.stored._computed import CellWork, bare
from r2mae_bio.cells.transfer._shared_genes import open_shared

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.model._gene_mae import GeneMAE
    from r2mae_bio.cells.read._align import GeneAlignment
    from r2mae_bio.cells.read._cells import CellSource, CSRRows

__all__ = ["SharedWork"]


@dataclass(eq=False)
class SharedWork(CellWork):
    """Embeddings of a query and, behind them, the depths of its cells."""

    model: GeneMAE
    query: AnnData
    alignment: GeneAlignment
    """From :func:`share_genes`."""
    layer: str | None
    batch_size: int | None
    checked: bool = False

    def __post_init__(self) -> None:
        self.width = self.model.config.n_latent + 2  # a depth has twice the bits
        self.step = cells_at_a_time(self.batch_size, EMBEDDED_AT_ONCE)

    def open(self) -> Callable[[tuple[int, int]], Iterator[NDArray[np.float32]]]:
        """Open the cells."""
        model, batch_size = self.model, self.batch_size
        source = open_shared(model, self.query, self.alignment, layer=self.layer, checked=self.checked)
        cells, embed = _WeighedCells(source), model._block_reader()
        table = CellTable(cells, model.record.covariates.blank(source.n_cells))

        def blocks(span: tuple[int, int]) -> Iterator[NDArray[np.float32]]:
            for some, latent in model._embed_blocks(table, batch_size, np.arange(*span), embed):
                depths = cells.depths[span[0] + some.start : span[0] + some.stop]
                yield np.concatenate([latent, depths.view(np.float32).reshape(-1, 2)], axis=1)

        return blocks

    def rest(self) -> None:
        """Close the files: HDF5 does not write what is open elsewhere."""
        self.query.close()

    def said(self) -> dict[str, Any]:
        """All that the numbers depend on beside the cells."""
        genes = hashlib.sha256(self.alignment.column_to_gene.tobytes() + self.alignment.measured.tobytes()).hexdigest()
        return {"model": self.model.checksum(), "genes": genes, "layer": self.layer, "batch_size": self.batch_size}

    @staticmethod
    def split(rows: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Embeddings (n_cells, n_latent) and depths (n_cells,) of what :meth:`open` gives."""
        return np.ascontiguousarray(rows[:, :-2]), np.ascontiguousarray(rows[:, -2:]).view(np.float64).reshape(-1)

    def __getstate__(self) -> dict[str, Any]:
        query = bare(self.query) if in_files(self.query) else self.query
        return {**super().__getstate__(), "model": self.model.alone(), "query": query, "checked": True}


class _WeighedCells:
    """Cells whose depths are taken as they are read."""

    def __init__(self, cells: CellSource) -> None:
        self._cells = cells
        self.buffer, self.n_cells, self.measured, self.panels = cells.buffer, cells.n_cells, cells.measured, cells.panels
        self.depths = np.zeros(cells.n_cells)
        """Sum of the counts of each cell that was read, over the genes that it offers."""

    def rows(self, index: NDArray[np.int64]) -> CSRRows:
        """Fetch cells."""
        rows = self._cells.rows(index)
        self.depths[index] = np.bincount(rows.row_of_entry(), rows.values, minlength=index.size)
        return rows
