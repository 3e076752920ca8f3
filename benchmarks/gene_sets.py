"""The labelled single-cell sets of the benchmarks: counts, labels, and a split into reference and
query cells for each seed.

Where labels allow it, the query is another donor, animal or study than the reference; elsewhere it
is three tenths of each class. Genes are the 2,000 most variable among the reference cells, or
all where a set has fewer.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import scanpy as sc
import torch
from scipy import sparse

from r2mae_bio.evaluate import Split, stratified_split

if TYPE_CHECKING:
    from numpy.typing import NDArray

N_GENES = 2000
SMALLEST_CLASS = 10
"""Classes with fewer cells are left out: three tenths of them would be a cell or two."""

DATA = Path(os.environ.get("R2MAE_BIO_DATA", "../shared/data"))

SAME_TYPE = {
    "bcells": "CD19+ B",
    "nk": "CD56+ NK",
    "monocytes": "CD14+ Monocyte",
    "naivet": "CD4+/CD45RA+/CD25- Naive T",
    "regulatoryt": "CD4+/CD25 T Reg",
    "memoryt": "CD4+/CD45RO+ Memory",
    "naivecytotoxic": "CD8+/CD45RA+ Naive Cytotoxic",
}
"""Labels of the second sorted PBMC study in the words of the first; its helper and cytotoxic T
cells have no counterpart there.
"""


@dataclass(frozen=True)
class Source:
    """Where a set lies and how it is split."""

    file: str
    """Name of the file, without ``.h5ad``."""
    label: str = "cell_type"
    """Column of the classes."""
    group: str | None = None
    """Column whose values are held out whole, in turn from seed to seed."""
    unlabelled: tuple[str, ...] = ()
    """Classes that are no classes."""


SETS = {
    "pbmc_sorted": Source("pbmc_zheng_sorted_3500"),
    "pbmc_studies": Source("pbmc_union_pretrain", group="dataset"),
    "pancreas": Source("pancreas_baron_human", group="batch"),
    "kidney": Source("anon_human_kidney_top2000"),
    "cord_blood": Source("anon_cbmc_citeseq_top2000"),
    "bladder": Source("anon_mouse_bladder_mca2100"),
    "worm_neurons": Source("anon_worm_neuron_sciRNA"),
    "falciparum": Source("malaria_falciparum_10x", label="bulk_stage"),
    "berghei": Source("malaria_berghei_10x", label="bulk_stage"),
    "hypothalamus": Source("merfish_hypothalamus_mouse", unlabelled=("Ambiguous",)),
    "brain": Source("brain_merfish_mouse_abc_1000"),
    "lung_immune": Source("lung_immune_mouse_zilionis_800", label="cell_subtype", group="batch"),
}
"""By short name. ``pbmc_studies`` learns from one sorted study and is asked about another, or the
other way round.
"""


@dataclass(frozen=True, eq=False)
class GeneSet:
    """One set under one split."""

    name: str
    """Short name."""
    counts: sparse.csr_array
    """Raw counts (n_cells, n_genes)."""
    labels: NDArray[np.str_]
    """Class of each cell."""
    genes: NDArray[np.str_]
    """Names of the genes."""
    split: Split
    """Reference and query cells."""


def load(name: str, seed: int, *, n_genes: int = N_GENES, data: Path = DATA) -> GeneSet:
    """Read a set and split it.

    Parameters
    ----------
    name
        A key of :data:`SETS`.
    seed
        Decides which cells, donors or studies are the query.
    n_genes
        Most genes to keep.
    data
        Folder of the shared data.
    """
    source = SETS[name]
    adata = ad.read_h5ad(data / "sc" / f"{source.file}.h5ad")
    labels = adata.obs[source.label].astype(str).replace(SAME_TYPE).to_numpy(str)
    groups = None if source.group is None else adata.obs[source.group].astype(str).to_numpy(str)
    kept = _kept(labels, groups, source)
    adata, labels, groups = adata[kept], labels[kept], None if groups is None else groups[kept]
    split = stratified_split(labels, seed=seed) if groups is None else _by_group(groups, seed)
    counts = sparse.csr_array(adata.X).astype(np.float32)
    genes = variable_genes(counts[split.reference], n_genes)
    return GeneSet(name, counts[:, genes], labels, adata.var_names.to_numpy(str)[genes], split)


def _kept(labels: NDArray[np.str_], groups: NDArray[np.str_] | None, source: Source) -> NDArray[np.bool_]:
    """Cells of classes that are large enough; a group that is held out may still have a class that
    the others lack.
    """
    names, number = np.unique(labels, return_counts=True)
    kept = np.isin(labels, names[number >= SMALLEST_CLASS]) & ~np.isin(labels, ["unknown", "nan", *source.unlabelled])
    if source.file == "pbmc_union_pretrain" and groups is not None:
        kept &= np.isin(labels, list(SAME_TYPE.values()))
    return kept


def _by_group(groups: NDArray[np.str_], seed: int) -> Split:
    """One group is the query, by turns in order of name."""
    names = np.unique(groups)
    query = groups == names[seed % len(names)]
    return Split(np.flatnonzero(~query), np.flatnonzero(query))


def variable_genes(counts: sparse.csr_array, n_genes: int = N_GENES) -> NDArray[np.intp]:
    """Positions of the most variable genes among the reference cells, in the order of the file."""
    detected = np.flatnonzero(np.asarray((counts > 0).sum(axis=0)).ravel() >= 3)
    if len(detected) <= n_genes:
        return detected
    threads, adata = torch.get_num_threads(), ad.AnnData(sparse.csr_matrix(counts[:, detected]))
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    sc.pp.highly_variable_genes(adata, n_top_genes=n_genes)
    # scanpy's compiled loops set it for the whole process, and threads that wait for a core stall
    # networks
    torch.set_num_threads(threads)
    return detected[adata.var["highly_variable"].to_numpy()]
