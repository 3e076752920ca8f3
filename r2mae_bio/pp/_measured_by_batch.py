from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from r2mae_bio._errors import ConfigError, NegativeCountsError
from r2mae_bio.cells.read._check import check_finite
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._matrix import describe_matrix, get_matrix, iter_entries
from r2mae_bio.cells.read._obs import complete, read_column, text_values
from r2mae_bio.cells.read._panels import CellPanels, write_panels
from r2mae_bio.cells.read._unmeasured import MIN_CELLS, MIN_SHARE, GeneTally

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

logger = logging.getLogger("r2mae_bio")


def measured_by_batch(
    adata: AnnData,
    *,
    batch_key: str,
    layer: str | None = None,
    min_cells: int = MIN_CELLS,
    min_share: float = MIN_SHARE,
    copy: bool = False,
) -> AnnData | None:
    r"""Propose which genes were measured in which batch of data that were joined from several
    panels.

    ``anndata.concat(join="outer")`` fills genes that a part lacks with zeros (sparse) or NaN
    (dense). All verbs and models of this package heed what is written here: in cells of a batch
    that did not measure a gene, the gene is hidden, whatever the matrix holds there. Where you know
    the panels, pass them as ``measured=`` to :meth:`r2mae_bio.model.GeneMAE.setup_anndata` instead.

    A gene that is NaN in all cells of a batch was not measured there. One that is zero in all cells
    of a batch and found in another may also be absent by chance, or by biology (XIST in male
    donors). Batches are judged as follows.

    - If chance alone kept the n cells in which a gene was found out of a batch of depth d (counts
      over the share of its genes), the others having depth D, its probability would be
      exp(-λ), λ = n log(1 + d / D), near the number of cells expected to show it.
    - Judged by are genes with λ of at least ``min_cells``. If the absent ones among them are fewer
      than 10, or a share f below ``min_share``, all genes of the batch count as measured.
    - Otherwise those genes do not that are zero throughout and of which a panel explains this
      better than chance: (1 - f) exp(-λ) < f.

    A batch of one cell type, or of another tissue or species, may lack many genes that it measured.
    So look at what is proposed, as in the example.

    Parameters
    ----------
    adata
        Cells x genes, in memory or backed.
    batch_key
        Column of ``.obs`` with the batch, panel or data set of each cell.
    layer
        Layer of counts or log-normalised values; ``adata.X`` if None.
    min_cells
        Cells of a batch in which a gene must be expected to be judged by.
    min_share
        Share of these genes that must be absent for the batch to have a panel of its own.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are ``.varm["r2mae_measured"]`` (bool, (n_vars, n_batches); False:
    not measured) and ``.uns["r2mae"]["measured"]``, a dict of ``obs_key`` (str), ``panels`` (str,
    (n_batches,): the columns of the table), ``min_cells`` (int) and ``min_share`` (float). Both are
    kept by copies, parts and h5ad files of the data, but not by ``anndata.concat``. To correct the
    table, change it in place; to forget it, delete the record.

    Raises
    ------
    SetupError
        There is no such column or layer.
    DataError
        The batch of a cell is missing.
    ConfigError
        ``min_cells`` or ``min_share`` is out of range.
    CountsError
        Values are negative, infinite, or NaN in some cells of a batch only; nothing is written.

    Examples
    --------
    >>> import anndata, numpy as np, pandas as pd
    >>> import r2mae_bio as rb
    >>> cells = rb.datasets.pbmc68k()
    >>> parts = {"whole": cells[:350], "panel": cells[350:, ::3]}
    >>> joined = anndata.concat(parts, join="outer", label="study")
    >>> rb.pp.measured_by_batch(joined, batch_key="study")
    >>> panels = joined.uns["r2mae"]["measured"]["panels"]
    >>> table = pd.DataFrame(joined.varm["r2mae_measured"], joined.var_names, columns=panels)
    >>> table.sum().to_dict()
    {'panel': 256, 'whole': 765}
    """
    if min_cells < 1 or not 0 < min_share <= 1:
        message = f"min_cells is {min_cells} and min_share {min_share}; needed are a positive number of cells and a share above 0, at most 1."
        raise ConfigError(message)
    matrix, where = get_matrix(adata, layer), describe_matrix(layer)
    tally = GeneTally(text_values(complete(read_column(adata.obs, batch_key))), adata.n_vars)
    for part in iter_entries(matrix):
        if part.values.size and part.values.min() < 0:
            message = f"{where} holds negative values, so that zero does not mean that a gene was not found. Pass layer= with raw counts."
            raise NegativeCountsError(message)
        tally.add(part)
    table = tally.measured(min_cells=min_cells, min_share=min_share)
    panels = CellPanels.of(table, adata.obs, batch_key)
    check_finite(matrix, where=where, obs_names=adata.obs_names, var_names=adata.var_names, panels=panels)
    adata = writable(adata, copy=copy)
    write_panels(adata, table, batch_key, min_cells=int(min_cells), min_share=float(min_share))
    _log(table, batch_key)
    return adata if copy else None


def _log(table: pd.DataFrame, key: str) -> None:
    hidden = (~table).sum()
    for batch, n_genes in hidden[hidden > 0].items():
        logger.info("obs[%r] == %r: %d of %d genes are taken as not measured.", key, batch, n_genes, len(table))
