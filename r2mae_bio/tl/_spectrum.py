"""``tl.spectrum``: the spectrum of the gene correlation into ``.uns``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._check import advise, check_counts
from r2mae_bio.cells.read._data import writable
from r2mae_bio.cells.read._matrix import describe_matrix, get_matrix, in_memory
from r2mae_bio.cells.read._panels import common_columns, read_panels
from r2mae_bio.cells.read._uns import check_key, write_record
from r2mae_bio.config._names import answers_misspelt
from r2mae_bio.theory import gene_spectrum

if TYPE_CHECKING:
    from anndata import AnnData

    from r2mae_bio.theory import Spectrum
    from r2mae_bio.theory.spectrum._normalize import Normalization
    from r2mae_bio.theory.spectrum._shrinkage import Shrinkage


@answers_misspelt
def spectrum(
    adata: AnnData,
    *,
    layer: str | None = None,
    n_top_genes: int = 2000,
    normalization: Normalization = "log1p",
    shrinkage: Shrinkage = "ledoit-wolf",
    key_added: str = KEYS.spectrum,
    copy: bool = False,
) -> AnnData | None:
    """Measure how strongly and along how many directions the genes of a data set vary together.

    The eigenvalues of the correlation matrix of the most variable genes decide, in the linear
    theory, how well masked genes can be predicted from visible ones; see
    :func:`r2mae_bio.theory.gene_spectrum`. Of data from several panels (see
    :func:`r2mae_bio.pp.measured_by_batch`) the genes that all cells have are used.

    Parameters
    ----------
    adata
        Cells with raw counts, in memory, backed, or in a :class:`r2mae_bio.io.CellStore`, of which
        at most 50,000 cells, drawn at random, are read.
    layer
        Layer of the counts; ``adata.X`` if None.
    n_top_genes
        Number of most variable genes to use; all that vary if there are fewer. Genes that fewer
        than 1% of the cells express are left out.
    normalization
        ``"log1p"`` (10,000 counts per cell, then log(1 + x)) or ``"pearson_residuals"``.
    shrinkage
        ``"ledoit-wolf"``, or None for the sample correlation.
    key_added
        Key of ``.uns["r2mae"]``; the column of ``.var`` is ``r2mae_`` and this key.
    copy
        Leave ``adata`` as it is and return a changed copy.

    Returns
    -------
    None, or the copy. Written are ``.var["r2mae_spectrum"]`` (bool, the genes used) and
    ``.uns["r2mae"]["spectrum"]``, a dict of

    - ``values`` and ``sample_values`` (float64, (d,)): eigenvalues after and before shrinkage,
      ascending, mean 1;
    - ``row_scales`` (float64, (16,)): scales of whole cells, equally likely, mean square 1;
    - ``shrinkage``, ``effective_rank``, ``entropy_rank``, ``heavy_tail``,
      ``marchenko_pastur_edge``, ``edge``, ``noise_variance`` (float) and ``n_spikes``, ``n_cells``,
      ``n_genes`` (int), as in :class:`r2mae_bio.theory.Spectrum`;
    - ``decay`` (dict of float and int): ``exponent``, ``standard_error``, ``r_squared``,
      ``amplitude``, ``first``, ``last``;
    - ``layer``, ``normalization``, ``shrinkage_method`` (str, empty for none) and ``n_top_genes``
      (int): how it was made.

    Raises
    ------
    CountsError
        The matrix does not hold raw counts; nothing is written.
    SetupError
        There is no such layer.
    ConfigError, DataError
        A setting is out of range, or too few genes vary.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> adata = rb.datasets.pbmc68k()
    >>> rb.tl.spectrum(adata)
    >>> adata.uns["r2mae"]["spectrum"]["n_cells"]
    700
    """
    check_key(key_added, default=KEYS.spectrum)
    matrix = get_matrix(adata, layer)
    names = {"where": describe_matrix(layer), "obs_names": adata.obs_names, "var_names": adata.var_names}
    check_counts(matrix, **names, panels=read_panels(adata), advice=advise(adata, layer))
    columns = common_columns(adata)
    found = gene_spectrum(in_memory(matrix, columns), n_top_genes=n_top_genes, normalization=normalization, shrinkage=shrinkage)
    settings = {
        "layer": "" if layer is None else layer,
        "normalization": normalization,
        "shrinkage_method": "" if shrinkage is None else shrinkage,
        "n_top_genes": int(n_top_genes),
    }
    adata = writable(adata, copy=copy)
    adata.var[f"{KEYS.uns}_{key_added}"] = np.isin(
        np.arange(adata.n_vars), found.genes if columns is None else columns[found.genes]
    )
    write_record(adata, key_added, {**_record(found), **settings})
    return adata if copy else None


def _record(found: Spectrum) -> dict[str, Any]:
    """What h5ad can hold of a spectrum, without the eigenvectors."""
    return {
        "values": found.values,
        "sample_values": found.sample_values,
        "row_scales": found.row_scales,
        "shrinkage": found.shrinkage,
        "effective_rank": found.effective_rank,
        "entropy_rank": found.entropy_rank,
        "heavy_tail": found.heavy_tail,
        "marchenko_pastur_edge": found.marchenko_pastur_edge,
        "edge": found.edge,
        "noise_variance": found.noise.variance,
        "n_spikes": found.n_spikes,
        "n_cells": found.n_cells,
        "n_genes": found.n_features,
        "decay": asdict(found.decay),
    }
