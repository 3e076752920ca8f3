"""Embedding cells by their non-zero entries, without making them dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional as F

from r2mae_bio.cells.network._content import Exposure

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder
    from r2mae_bio.cells.network._panel_depth import RootUnits

__all__ = ["Entries", "EntryEmbedder"]


@dataclass(frozen=True, eq=False)
class Entries:
    """The n non-zero entries of B cells, cell by cell."""

    rows: Tensor
    """Cell of each entry, ascending, int64 (n,)."""
    genes: Tensor
    """Gene of each entry, int64 (n,)."""
    values: Tensor
    """Value of each entry, float32 (n,)."""
    n_rows: int
    """Number of cells B."""


class EntryEmbedder:
    """What :meth:`GeneMaskedAutoencoder.embed` gives, from non-zero entries.

    An encoder begins with a product of content and a table of genes. The content of a zero is the
    same in all cells, so that the product over all genes that a panel measured is a sum over
    entries less a constant of the panel. A cell's entries are summed one by one, so that the sum
    does not depend on how cells are cut into batches; in float32, for which torch has a kernel of
    its own, and which moves an embedding by some 1e-6 of its spread.

    Parameters
    ----------
    network
        In evaluation mode, on a CPU; its weights are read once.
    """

    def __init__(self, network: GeneMaskedAutoencoder) -> None:
        self.content, self.encoder = network.content, network.encoder
        self._tables: dict[bool, tuple[Tensor, Tensor]] = {}

    def of_panel(self, measured: Tensor) -> Callable[[Entries], Tensor]:
        """How cells of one panel are embedded.

        Parameters
        ----------
        measured
            Genes of the panel, bool (G,).

        Returns
        -------
        A function of entries, none of them of other genes, that gives latent vectors (B, Z).
        """
        units = None if bool(measured.all()) else self.content.units()
        exact, table = self._table(units)
        seen = measured.to(exact.dtype)
        constant = (self.content.mean * seen) @ exact  # (K,)
        share = (self.content.share * seen).sum().float()
        finish = self.encoder.after_table(seen, units)

        def embed(entries: Entries) -> Tensor:
            edges = torch.searchsorted(entries.rows, torch.arange(entries.n_rows + 1))  # where the entries of each cell begin
            total = torch.segment_reduce(entries.values, "sum", offsets=edges)
            weights, scale = self.content.expression_of_entries(entries.values, entries.rows, Exposure(total, share))
            sums = F.embedding_bag(entries.genes, table, edges[:-1], mode="sum", per_sample_weights=weights)
            return finish((sums if scale is None else sums * scale[:, None]) - constant)

        return embed

    def _table(self, units: RootUnits | None) -> tuple[Tensor, Tensor]:
        """What roots, not yet standardised, are multiplied by (G, K), exact and in single
        precision.
        """
        key = units is not None
        if key not in self._tables:
            exact = self.encoder.table(units) / self.content.sd[:, None]
            self._tables[key] = exact, exact.float().contiguous()
        return self._tables[key]
