"""Genes that are zero throughout a batch, and which of them were not measured there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import numpy as np
import pandas as pd

from r2mae_bio._warn import warn
from r2mae_bio.cells.read._obs import read_column, text_values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._matrix import Entries

__all__ = ["MIN_CELLS", "MIN_SHARE", "GeneTally"]

MIN_CELLS: Final = 20
"""Cells of a batch in which a gene must be expected for its absence to count."""
MIN_SHARE: Final = 0.02
"""Share of such genes that must be absent for a batch to have a panel of its own."""
_FEWEST: Final = 10
"""Fewer absent genes are left to biology, such as XIST in male donors."""
_LARGEST: Final = 1 << 27
"""More batches times genes than this are not looked at unasked."""


class GeneTally:
    """Counts which genes are found in which batches, part by part of a matrix.

    Parameters
    ----------
    batches
        Batch of each cell as text, (n_cells,).
    n_genes
        Number of columns.
    """

    def __init__(self, batches: NDArray[np.object_], n_genes: int) -> None:
        self.names, self._codes = np.unique(batches.astype(str), return_inverse=True)
        self._sizes = np.bincount(self._codes)
        self._found = np.zeros((len(self.names), n_genes), bool)
        self._blank: dict[int, NDArray[np.int64]] = {}
        self._cells, self._totals = np.zeros(n_genes, np.int64), np.zeros(n_genes)
        self._depths = np.zeros(len(self.names))

    @classmethod
    def unasked(cls, adata: AnnData, key: str | None) -> Self | None:
        """A tally for a warning; None where there is nothing to compare, or too much.

        Parameters
        ----------
        adata
            The data.
        key
            Column of ``.obs`` with the batch, which need not exist.
        """
        if key is None or key not in adata.obs.columns:
            return None
        column = read_column(adata.obs, key)
        n_batches = column.nunique()
        if n_batches < 2 or column.isna().any() or n_batches * adata.n_vars > _LARGEST:
            return None
        return cls(text_values(column), adata.n_vars)

    def add(self, part: Entries) -> None:
        """Count a part of the matrix.

        Parameters
        ----------
        part
            Its entries; NaN counts as blank.
        """
        rows, cols, values, n_genes = self._codes[part.rows], part.cols, part.values, self._cells.size
        blank = np.isnan(values)
        if blank.any():
            for batch in np.unique(rows[blank]).tolist():
                here = np.bincount(cols[blank & (rows == batch)], minlength=n_genes)
                self._blank[batch] = self._blank.get(batch, 0) + here
            rows, cols, values = rows[~blank], cols[~blank], values[~blank]
        self._found[rows, cols] = True
        values = np.maximum(values, 0)  # scaled ones are negative, and have no depth
        self._cells += np.bincount(cols, minlength=n_genes)
        self._totals += np.bincount(cols, values, n_genes)
        self._depths += np.bincount(rows, values, len(self.names))

    def measured(self, *, min_cells: int = MIN_CELLS, min_share: float = MIN_SHARE) -> pd.DataFrame:
        """Which genes were measured in which batch, as far as can be told; the rule is in
        :func:`r2mae_bio.pp.measured_by_batch`.

        Parameters
        ----------
        min_cells
            Cells of a batch in which a gene must be expected to be judged.
        min_share
            Share of the judged genes that must be absent.

        Returns
        -------
        Bool, (n_genes, n_batches), columns named by batches.
        """
        chance = self._nats_of_chance()
        columns = [self._panel(b, chance[b], min_cells, min_share) for b in range(len(self.names))]
        for batch, blank in self._blank.items():
            columns[batch] &= blank < self._sizes[batch]
        return pd.DataFrame(np.stack(columns, 1), columns=pd.Index(self.names.astype(object)))

    def _nats_of_chance(self) -> NDArray[np.float64]:
        """How improbable it is that the cells in which a gene was found all lie in the batches in
        which it was: its cells times log(1 + depth of this batch / depth of those), which is near
        the number of cells expected here, (n_batches, n_genes).
        """
        shares = self._totals / max(self._totals.sum(), 1.0)
        depths = np.array([n / max(shares[seen].sum(), 1e-12) for n, seen in zip(self._depths, self._found, strict=True)])
        elsewhere = np.zeros(self._cells.size)
        for depth, seen in zip(depths, self._found, strict=True):
            elsewhere[seen] += depth
        nats: NDArray[np.float64] = self._cells.astype(np.float64) * np.log1p(depths[:, None] / np.maximum(elsewhere, 1e-12))
        return nats

    def _panel(self, batch: int, chance: NDArray[np.float64], min_cells: int, min_share: float) -> NDArray[np.bool_]:
        """Which genes were measured in one batch, (n_genes,)."""
        absent = ~self._found[batch] & (self._cells > 0)
        judged = chance >= min_cells
        n_absent, n_judged = int((absent & judged).sum()), int(judged.sum())
        share = n_absent / max(n_judged, 1)
        if n_absent < _FEWEST or share < min_share:
            return np.ones(absent.size, bool)
        return ~(absent & ((1 - share) * np.exp(-chance) < share))

    def warn(self, key: str, var_names: Sequence[str]) -> None:
        """Warn where batches seem to have panels of their own.

        Parameters
        ----------
        key
            Column of ``.obs`` with the batch.
        var_names
            Names of the genes.
        """
        table = self.measured()
        n_hidden = (~table).sum()
        n_hidden = n_hidden[n_hidden > 0].sort_values(ascending=False)
        if n_hidden.empty:
            return
        batch, number = str(n_hidden.index[0]), int(n_hidden.iloc[0])
        example = str(var_names[int(np.argmax(np.where(table[batch], 0, self._totals)))])
        others = "" if len(n_hidden) == 1 else f" (and {len(n_hidden) - 1} further batches likewise)"
        message = (
            f"{number:,} of {len(table):,} genes are zero in all cells of obs[{key!r}] == {batch!r}{others} and not in other batches, such "
            f"as {example!r}: anndata.concat(join='outer') leaves zeros for genes that were not measured. They are taken as measured. If "
            f"they were not, call r2mae_bio.pp.measured_by_batch(adata, batch_key={key!r}) first, or pass measured= to "
            "GeneMAE.setup_anndata; such genes are then hidden."
        )
        warn(message)
