from __future__ import annotations

from typing import TYPE_CHECKING

from r2mae_bio.cells.read import _check
from r2mae_bio.cells.read._matrix import describe_matrix, get_matrix
from r2mae_bio.cells.read._panels import read_panels

if TYPE_CHECKING:
    from anndata import AnnData

    from r2mae_bio.cells.read._check import CountReport


def check_counts(adata: AnnData, *, layer: str | None = None) -> CountReport:
    """Make sure that a matrix holds raw counts; every entry that was measured is looked at.

    Parameters
    ----------
    adata
        Cells x genes, in memory or backed; it is not changed.
    layer
        Layer with the counts; ``adata.X`` if None.

    Returns
    -------
    Size and depth of the matrix, in counts.

    Raises
    ------
    SetupError
        The layer does not exist.
    CountsError
        The matrix does not hold counts; the subclass and the message say what it holds and what to
        do. What counts as log-transformed is written in ``r2mae_bio.io.check_counts``.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> adata = rb.datasets.pbmc68k()
    >>> rb.pp.check_counts(adata).n_cells
    700
    """
    matrix = get_matrix(adata, layer)
    names = {"where": describe_matrix(layer), "obs_names": adata.obs_names, "var_names": adata.var_names}
    return _check.check_counts(matrix, **names, panels=read_panels(adata), advice=_check.advise(adata, layer))
