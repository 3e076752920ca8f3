"""Cells with raw counts, as AnnData."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import DataError
from r2mae_bio._keys import KEYS
from r2mae_bio.datasets._registry import fetch, find

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from numpy.typing import NDArray

__all__ = ["cell_lines_celseq2", "cell_lines_dropseq", "cord_blood", "kidney", "malaria", "merfish_brain", "pbmc68k"]

_TARGET_SUM: Final = 1e4
"""Counts per cell to which the shipped file was normalised."""
_MAX_RESIDUAL: Final = 0.1
"""Largest accepted distance of a recovered count from a whole number; the file keeps logarithms to
three decimals.
"""


def pbmc68k() -> AnnData:
    """Blood cells of a healthy donor with raw counts: 700 cells x 765 genes, 10 cell types; needs
    no network.

    scanpy ships these cells log-normalised to 10,000 counts per cell, with three decimals. The
    counts are recovered as ``expm1(value) * n_counts / 10,000`` and rounded; a recovered value may
    differ from a whole number by at most 0.1.

    Returns
    -------
    AnnData with

    ``.X``, ``.layers["counts"]`` : csr_matrix (float32)
        Raw counts.
    ``.obs["bulk_labels"]`` : category
        Cell type, by correlation with sorted cells.
    ``.obs["n_counts"]`` : float32, ``.obs["n_genes"]`` : int64
        Counts and genes of the cell before the genes were selected.
    ``.uns["source"]`` : dict
        ``source``, ``licence``, ``citation`` (str) and ``max_residual`` (float, in counts).

    Raises
    ------
    DataError
        scanpy ships another file than expected, from which whole counts cannot be recovered.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> rb.datasets.pbmc68k().shape
    (700, 765)
    """
    import scanpy as sc

    shipped = sc.datasets.pbmc68k_reduced()
    counts = shipped.raw.X.tocsr().astype(np.float64)
    depth = np.repeat(shipped.obs["n_counts"].to_numpy(np.float64), np.diff(counts.indptr))
    counts.data, residual = _whole(np.expm1(counts.data) * depth / _TARGET_SUM)
    return _as_anndata("pbmc68k", counts, shipped.obs.copy(), shipped.raw.var.copy(), max_residual=residual)


def merfish_brain(*, cache_dir: str | Path | None = None) -> AnnData:
    """Mouse brain, MERFISH: 1,000 cells x 1,122 genes, 21 cell types; downloaded once (1.4 MB).

    A panel as it is measured in place; genes are named by Ensembl identifiers.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    AnnData with

    ``.X``, ``.layers["counts"]`` : csr_matrix (float32)
        Raw counts.
    ``.obs["cell_type"]``, ``.obs["brain_section_label"]`` : category
        Cell type, and the section that the cell lies in, by which to split.
    ``.var["gene_name"]`` : str
        Symbols of the genes.
    ``.uns["source"]`` : dict
        ``source``, ``licence``, ``citation`` (str).

    Raises
    ------
    DataError
        The file could not be downloaded or is not the registered one.
    """
    import anndata

    adata = anndata.read_h5ad(fetch("merfish_brain", cache_dir=cache_dir))
    return _as_anndata("merfish_brain", adata.X, adata.obs, adata.var)


def cell_lines_celseq2(*, cache_dir: str | Path | None = None) -> AnnData:
    """Human lung adenocarcinoma lines told apart by their genotypes, CEL-seq2: 274
    cells x 28,204 genes, deeply sequenced; downloaded once.

    The lines are the truth, whatever the genes say: with :func:`cell_lines_dropseq`, a test of
    mapping between technologies. Genes are named by Ensembl identifiers.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    AnnData with

    ``.X``, ``.layers["counts"]`` : csr_matrix (float32)
        Raw counts.
    ``.obs["cell_line"]`` : category
        H1975, H2228 or HCC827.
    ``.uns["source"]`` : dict
        ``source``, ``licence``, ``citation`` (str).

    Raises
    ------
    DataError
        A file could not be downloaded or is not the registered one.
    """
    return _cell_lines("cell_lines_celseq2", cache_dir)


def cell_lines_dropseq(*, cache_dir: str | Path | None = None) -> AnnData:
    """Human lung adenocarcinoma lines told apart by their genotypes, Drop-seq: 225
    cells x 15,127 genes, of the same lines; downloaded once.

    See :func:`cell_lines_celseq2`.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    AnnData with

    ``.X``, ``.layers["counts"]`` : csr_matrix (float32)
        Raw counts.
    ``.obs["cell_line"]`` : category
        H1975, H2228 or HCC827.
    ``.uns["source"]`` : dict
        ``source``, ``licence``, ``citation`` (str).

    Raises
    ------
    DataError
        A file could not be downloaded or is not the registered one.
    """
    return _cell_lines("cell_lines_dropseq", cache_dir)


def malaria(*, cache_dir: str | Path | None = None) -> AnnData:
    """*Plasmodium falciparum* in blood, 10x: 6,737 cells x 5,066 genes; downloaded once (6 MB).

    A species that no atlas of humans or mice holds, and a continuum of stages. The file is a dense
    table, which takes some seconds to read.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    AnnData with

    ``.X``, ``.layers["counts"]`` : csr_matrix (float32)
        Raw counts.
    ``.obs["bulk_stage"]`` : category
        Stage of the most similar bulk sample.
    ``.obs["pseudotime"]`` : float64
        Position in the cycle, 0 to 1.
    ``.uns["source"]`` : dict
        ``source``, ``licence``, ``citation`` (str).

    Raises
    ------
    DataError
        A file could not be downloaded or is not the registered one.
    """
    import pandas as pd
    from scipy import sparse

    with zipfile.ZipFile(fetch("malaria", cache_dir=cache_dir)) as archive, archive.open("pf10xIDC_counts.csv") as stream:
        table = pd.read_csv(stream, index_col=0)
    known = pd.read_csv(fetch("malaria_obs", cache_dir=cache_dir), index_col=0).loc[table.columns]
    obs = pd.DataFrame({"bulk_stage": known["bulk"].astype("category"), "pseudotime": known["clock_pseudotime"]})
    return _as_anndata("malaria", sparse.csr_matrix(table.to_numpy(np.float32).T), obs, table[[]])


def kidney(*, cache_dir: str | Path | None = None) -> AnnData:
    """Human kidney, 10x: 5,685 cells x 2,000 genes, 11 classes; downloaded once (1.7 MB).

    The file has names of neither genes nor classes: good for comparing methods, not for biology.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    AnnData with

    ``.X``, ``.layers["counts"]`` : csr_matrix (float32)
        Raw counts.
    ``.obs["cell_type"]`` : category
        Classes, numbered.
    ``.uns["source"]`` : dict
        ``source``, ``licence``, ``citation`` (str).

    Raises
    ------
    DataError
        The file could not be downloaded or is not the registered one.
    """
    return _top2000("kidney", cache_dir)


def cord_blood(*, cache_dir: str | Path | None = None) -> AnnData:
    """Human cord blood, CITE-seq: 8,617 cells x 2,000 genes, 15 classes; downloaded once (2.3 MB).

    The file has names of neither genes nor classes: good for comparing methods, not for biology.

    Parameters
    ----------
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    AnnData with

    ``.X``, ``.layers["counts"]`` : csr_matrix (float32)
        Raw counts.
    ``.obs["cell_type"]`` : category
        Classes, numbered.
    ``.uns["source"]`` : dict
        ``source``, ``licence``, ``citation`` (str).

    Raises
    ------
    DataError
        The file could not be downloaded or is not the registered one.
    """
    return _top2000("cord_blood", cache_dir)


def _cell_lines(name: str, cache_dir: str | Path | None) -> AnnData:
    import pandas as pd
    from scipy import sparse

    table = pd.read_csv(fetch(name, cache_dir=cache_dir), compression="gzip")
    known = pd.read_csv(fetch(f"{name}_obs", cache_dir=cache_dir), compression="gzip").loc[table.columns]
    obs = pd.DataFrame({"cell_line": known["cell_line_demuxlet"].astype("category")})
    return _as_anndata(name, sparse.csr_matrix(table.to_numpy(np.float32).T), obs, table[[]])


def _top2000(name: str, cache_dir: str | Path | None) -> AnnData:
    import h5py
    import pandas as pd
    from scipy import sparse

    with h5py.File(fetch(name, cache_dir=cache_dir)) as file:
        counts, classes = sparse.csr_matrix(file["X"][:]), file["Y"][:].astype(int)
    labels = pd.Categorical([f"cluster_{number}" for number in classes])
    obs = pd.DataFrame({"cell_type": labels}, index=[f"cell_{i}" for i in range(counts.shape[0])])
    return _as_anndata(name, counts, obs, pd.DataFrame(index=[f"gene_{i:05d}" for i in range(counts.shape[1])]))


def _as_anndata(name: str, counts: Any, obs: pd.DataFrame, var: pd.DataFrame, **known: float) -> AnnData:
    """Counts in ``.X`` and in a layer, and where they come from."""
    import anndata

    entry = find(name)
    source = {"source": entry.source, "licence": entry.licence, "citation": entry.citation, **known}
    adata = anndata.AnnData(counts.astype(np.float32), obs=obs, var=var, uns={"source": source})
    adata.layers[KEYS.counts] = adata.X.copy()
    return adata


def _whole(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    rounded = np.rint(values)
    residual = float(np.abs(values - rounded).max())
    if residual > _MAX_RESIDUAL:
        message = (
            f"Recovered counts of pbmc68k are up to {residual:.3g} away from a whole number; at most {_MAX_RESIDUAL} is accepted. "
            "scanpy.datasets.pbmc68k_reduced() is not the file this was written for; use another version of scanpy."
        )
        raise DataError(message)
    return rounded, residual
