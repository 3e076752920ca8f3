"""Pairs of a labelled reference and a query that differs from it: another donor, animal, study,
technology or place, or the same cells measured otherwise.

Genes are the 2,000 most variable among the reference cells. Classes that the reference lacks, and
cells without a count of these genes, are left out. A seed takes nine tenths of each class of the
reference; query cells are the same for all seeds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
from scipy import sparse

from benchmarks.gene_sets import DATA, SAME_TYPE, SMALLEST_CLASS, variable_genes
from r2mae_bio._rng import derive_generator
from r2mae_bio.evaluate import stratified_split, thin_counts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    Strings = NDArray[np.str_]
    Grouping = Callable[[ad.AnnData, Strings], Strings]
    """Of cells and their classes, the group of each cell."""


def by(column: str) -> Grouping:
    """Groups are values of a column."""
    return lambda cells, labels: cells.obs[column].astype(str).to_numpy(str)


def by_side(cells: ad.AnnData, labels: Strings) -> Strings:
    """Halves of a section, on either side of the median of its cells."""
    x = np.asarray(cells.obsm["spatial"])[:, 0]
    return np.where(x < np.median(x), "left", "right")


def by_section(cells: ad.AnnData, labels: Strings) -> Strings:
    """Halves of a series of sections, which are numbered along the body."""
    number = cells.obs["batch"].astype(str).str.rpartition(".")[2].astype(int).to_numpy()
    return np.where(number < np.median(number), "first", "last")


def by_lot(cells: ad.AnnData, labels: Strings) -> Strings:
    """Seven tenths of each class are reference cells, the same for every seed."""
    group = np.full(len(labels), "reference")
    group[stratified_split(labels, seed=0).query] = "query"
    return group


@dataclass(frozen=True)
class Study:
    """Where cells lie, and what tells references and queries apart."""

    file: str
    """Name of the file, without ``.h5ad``."""
    group: Grouping
    """Donor, study, technology or place."""
    label: str = "cell_type"
    """Column of the classes."""
    batch: str | None = None
    """Column of batches within groups; the group is the batch if None."""
    classes: tuple[str, ...] = ()
    """Classes to keep; all if empty."""
    unlabelled: tuple[str, ...] = ()
    """Classes that are no classes."""


STUDIES = {
    "pancreas": Study("pancreas_baron_human", by("batch")),
    "pbmc": Study("pbmc_union_pretrain", by("dataset"), classes=tuple(SAME_TYPE.values())),
    "lines": Study("celllines_multitech_3tech", by("tech"), batch="batch"),
    "lung": Study("lung_immune_mouse_zilionis_800", by("batch"), label="cell_subtype"),
    "hypothalamus": Study("merfish_hypothalamus_mouse", by_side, unlabelled=("Ambiguous",)),
    "brain": Study("brain_merfish_mouse_abc_1000", by_section),
    "kidney": Study("anon_human_kidney_top2000", by_lot),
    "cord_blood": Study("anon_cbmc_citeseq_top2000", by_lot),
    "bladder": Study("anon_mouse_bladder_mca2100", by_lot),
}


@dataclass(frozen=True)
class Pair:
    """A reference and a query."""

    study: str
    """A key of :data:`STUDIES`."""
    reference: str | None
    """Group of the reference; all but the query if None."""
    query: str
    """Group of the query."""
    depth: float = 1.0
    """Share of the molecules of the query that is kept."""
    gain: float = 0.0
    """Standard deviation of the logarithm of what the genes of the query are multiplied by."""

    @property
    def shifted(self) -> bool:
        """Whether the difference between reference and query is made, and not found."""
        return self.depth < 1 or self.gain > 0


_SORTED, _SECOND = "pbmc_zheng_sorted_3500", "pbmc_zheng_sorted_ref"
_10X, _CELSEQ2, _DROPSEQ = "10x 3prime v2", "CEL-seq2", "Drop-seq"
PAIRS = {
    "pancreas_1_to_2": Pair("pancreas", "donor_1", "donor_2"),
    "pancreas_2_to_1": Pair("pancreas", "donor_2", "donor_1"),
    "pbmc_1_to_2": Pair("pbmc", _SORTED, _SECOND),
    "pbmc_2_to_1": Pair("pbmc", _SECOND, _SORTED),
    "lines_10x_to_celseq2": Pair("lines", _10X, _CELSEQ2),
    "lines_10x_to_dropseq": Pair("lines", _10X, _DROPSEQ),
    "lines_celseq2_to_dropseq": Pair("lines", _CELSEQ2, _DROPSEQ),
    **{f"lung_to_{animal}": Pair("lung", None, animal) for animal in ("h_1", "h_2", "t_1", "t_2")},
    "hypothalamus_halves": Pair("hypothalamus", "left", "right"),
    "brain_halves": Pair("brain", "first", "last"),
    **{
        f"{study}_depth_{depth}": Pair(study, "reference", "query", depth=depth)
        for study in ("kidney", "cord_blood", "bladder")
        for depth in (0.3, 0.1)
    },
    **{
        f"{study}_gain_{gain}": Pair(study, "reference", "query", gain=gain)
        for study in ("kidney", "cord_blood", "bladder")
        for gain in (0.5, 1.0)
    },
}
PAIRS = dict(sorted(PAIRS.items(), key=lambda item: list(STUDIES).index(item[1].study)))
"""By short name, pairs with the same reference side by side. The only labelled members of the union
of blood cells are the two sorted studies. The sections of the hypothalamus all lie at the same
bregma, so that it is parted at the middle.
"""


@dataclass(frozen=True, eq=False)
class Side:
    """Cells of a reference or a query."""

    counts: sparse.csr_array
    """Raw counts (n_cells, n_genes)."""
    labels: Strings
    """Class of each cell (n_cells,)."""
    batch: Strings
    """Batch of each cell (n_cells,); batches of a query have names that no other data have."""

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> Side:
        """Some of the cells."""
        return Side(self.counts[rows], self.labels[rows], self.batch[rows])

    def of_genes(self, genes: NDArray[np.intp]) -> Side:
        """Some of the genes, and the cells that have a count of them."""
        side = replace(self, counts=self.counts[:, genes])
        return side.take(np.flatnonzero(np.asarray(side.counts.sum(axis=1)).ravel() > 0))


@dataclass(frozen=True, eq=False)
class StudyPair:
    """A pair under one seed."""

    name: str
    """A key of :data:`PAIRS`."""
    genes: Strings
    """Names of the genes (n_genes,)."""
    reference: Side
    """Labelled cells."""
    query: Side
    """Cells whose labels only scores see."""


def load(name: str, seed: int, *, data: Path = DATA) -> StudyPair:
    """Read a pair.

    Parameters
    ----------
    name
        A key of :data:`PAIRS`.
    seed
        Decides which reference cells are taken.
    data
        Folder of the shared data.
    """
    pair = PAIRS[name]
    genes, cells, group = _read(STUDIES[pair.study], data)
    is_query = group == pair.query
    reference = cells.take(~is_query if pair.reference is None else group == pair.reference)
    reference = reference.take(stratified_split(reference.labels, query_fraction=0.1, seed=seed).reference)
    chosen = variable_genes(reference.counts)
    reference = reference.of_genes(chosen)
    query = _measure_otherwise(cells.take(is_query & np.isin(cells.labels, reference.labels)).of_genes(chosen), pair)
    named = replace(query, batch=np.char.add(f"{name} ", query.batch))
    return StudyPair(name, genes[chosen], reference, named)


def _read(study: Study, data: Path) -> tuple[Strings, Side, Strings]:
    """Genes, cells of classes that are large enough, and their groups."""
    adata = ad.read_h5ad(data / "sc" / f"{study.file}.h5ad")
    labels = adata.obs[study.label].astype(str).replace(SAME_TYPE).to_numpy(str)
    names, number = np.unique(labels, return_counts=True)
    kept = np.isin(labels, study.classes or names[number >= SMALLEST_CLASS]) & ~np.isin(labels, study.unlabelled)
    adata, labels = adata[kept].copy(), labels[kept]
    group = study.group(adata, labels)
    batch = group if study.batch is None else adata.obs[study.batch].astype(str).to_numpy(str)
    return adata.var_names.to_numpy(str), Side(sparse.csr_array(adata.X).astype(np.float32), labels, batch), group


def _measure_otherwise(query: Side, pair: Pair) -> Side:
    counts = query.counts
    if pair.depth < 1:
        counts = thin_counts(counts, pair.depth, seed=0)
    if pair.gain > 0:
        counts = change_gains(counts, pair.gain, seed=0)
    return replace(query, counts=counts).of_genes(np.arange(counts.shape[1]))


def change_gains(counts: sparse.csr_array, sd: float, *, seed: int) -> sparse.csr_array:
    """Cells as another chemistry would count them, which catches some genes better and others
    worse.

    The gain of a gene is log-normal, the same in all cells, and gains together leave the mean depth
    as it is. A gain below 1 thins binomially; of one above 1 the surplus is drawn from a Poisson
    distribution, molecule by molecule, so that a zero stays zero.

    Parameters
    ----------
    counts
        Raw counts (n_cells, n_genes).
    sd
        Standard deviation of the logarithm of the gains.
    seed
        Seed of gains and draws.
    """
    rng = derive_generator(seed, "gene gains", round(sd * 1000))
    gain = np.exp(sd * rng.standard_normal(counts.shape[1]))
    per_gene = np.asarray(counts.sum(axis=0), np.float64).ravel()
    gain *= per_gene.sum() / (per_gene @ gain)
    changed = sparse.csr_array(counts, copy=True)
    own, molecules = gain[changed.indices], changed.data.astype(np.int64)
    changed.data = (rng.binomial(molecules, np.minimum(own, 1)) + rng.poisson(molecules * np.maximum(own - 1, 0))).astype(
        np.float32
    )
    changed.eliminate_zeros()
    return changed
