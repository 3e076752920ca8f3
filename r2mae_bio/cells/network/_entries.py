"""Embedding cells by their non-zero entries, without making them dense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch.nn import functional as F

from r2mae_bio.cells.network._content import Exposure

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from r2mae_bio.cells.network._mae import GeneMaskedAutoencoder

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
    does not depend on how cells are cut into batches.

    Parameters
    ----------
    network
        In evaluation mode, on a CPU; its weights are read once.
    """

    def __init__(self, network: GeneMaskedAutoencoder) -> None:
        self.content, self.encoder = network.content, network.encoder
        self.table = (self.encoder.table() / self.content.sd[:, None]).contiguous()  # (G, K)

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
        seen = measured.to(self.table.dtype)
        constant = (self.content.mean * seen) @ self.table  # (K,)
        share = (self.content.share * seen).sum().float()
        finish = self.encoder.after_table(seen)

        def embed(entries: Entries) -> Tensor:
            total = entries.values.new_zeros(entries.n_rows).index_add_(0, entries.rows, entries.values)
            expression = self.content.expression_of_entries(entries.values, entries.rows, Exposure(total, share))
            return finish(_sums(entries, expression.to(self.table.dtype), self.table) - constant)

        return embed


def _sums(entries: Entries, weights: Tensor, table: Tensor) -> Tensor:
    """Sums over the entries of each cell of rows of a table (G, K) times weights (n,), (B, K)."""
    starts = entries.rows.bincount(minlength=entries.n_rows).cumsum(0).roll(1)
    starts[0] = 0
    return F.embedding_bag(entries.genes, table, starts, mode="sum", per_sample_weights=weights)
