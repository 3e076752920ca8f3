"""Minibatches of cells: sparse until they reach the device."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from torch import Tensor

from r2mae_bio.tokens import TokenBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray


class SparseRows(Protocol):
    """Non-zero entries of some cells; :class:`r2mae_bio.io.CSRRows` is one."""

    indptr: NDArray[np.int64]
    genes: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class CellBatch:
    """Some cells: their non-zero entries, which genes were measured, and covariates."""

    rows: Tensor
    """Row of each non-zero entry, int64 (n,)."""
    genes: Tensor
    """Gene of each non-zero entry, int64 (n,)."""
    values: Tensor
    """Value of each non-zero entry, float32 (n,)."""
    measured: Tensor
    """Genes that were measured, bool (B, G), or (1, G) where all cells agree."""
    context: Tensor
    """Covariates, float32 (B, C)."""

    @property
    def n_empty(self) -> int:
        """Number of cells without an entry."""
        held = int((self.rows[1:] != self.rows[:-1]).sum()) + min(len(self.rows), 1)  # rows come in order
        return self.context.shape[0] - held

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> CellBatch:
        """The same batch on another device.

        Parameters
        ----------
        device
            Where to.
        non_blocking
            Passed to :meth:`torch.Tensor.to`.
        """
        return replace(self, **{f.name: getattr(self, f.name).to(device, non_blocking=non_blocking) for f in fields(self)})

    def tokens(self) -> TokenBatch:
        """Everything measured, as tokens over the vocabulary, values float32 (B, G)."""
        dense = torch.zeros(self.context.shape[0], self.measured.shape[1], device=self.values.device)
        dense[self.rows, self.genes] = self.values
        ids = torch.arange(self.measured.shape[1], device=self.values.device)[None]
        return TokenBatch(ids, dense, self.measured, full=True)


def collate(rows: SparseRows, measured: Tensor, context: NDArray[np.float32]) -> CellBatch:
    """Make a batch of fetched rows.

    Parameters
    ----------
    rows
        Non-zero entries of B cells.
    measured
        Genes that were measured, bool (B, G) or (1, G).
    context
        Covariates of the cells, float32 (B, C).

    Returns
    -------
    The batch, on the CPU.
    """
    row = np.repeat(np.arange(rows.indptr.size - 1), np.diff(rows.indptr))
    entries = (torch.from_numpy(row), torch.from_numpy(rows.genes), torch.from_numpy(rows.values))
    return CellBatch(*entries, measured, torch.from_numpy(context))
