"""Imputed expression, written block by block: layers, data frames, or a file of its own."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import anndata as ad
import numpy as np
import pandas as pd
from scipy import sparse

from r2mae_bio._keys import KEYS, as_names
from r2mae_bio.cells.read._align import align_genes
from r2mae_bio.cells.read._genes import gene_aliases
from r2mae_bio.cells.read._uns import add_entry
from r2mae_bio.cells.stored._out import blank_array, new_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from anndata import AnnData
    from numpy.typing import NDArray

    from r2mae_bio.cells.read._genes import GeneVocabulary

    Block = tuple[slice, NDArray[np.float32], NDArray[np.float32]]

__all__ = ["Wanted", "dense_layers", "frames", "open_store", "sparse_layers", "wanted_genes"]

_NAMES: Final = ("mean", "sd")


class Part(Protocol):
    """Columns of what is predicted, kept until all of it is there."""

    def add(self, some: slice, mean: NDArray[np.float32], sd: NDArray[np.float32]) -> None:
        """Take a block of cells, (n_some, n_columns) each."""

    def write(self, adata: AnnData, key: str) -> dict[str, Any]:
        """Put it into ``adata``, and return what is to be recorded of it."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """Genes to predict: first those that have columns in the data, then others."""

    columns: NDArray[np.int64]
    """Columns of the data that predictions belong to, (n_columns,)."""
    names: list[str]
    """Names of the genes in the model, those of the columns first."""
    suffix: str = ""
    """What the keys of genes without a column end in."""

    @property
    def others(self) -> list[str]:
        """Names of the genes that come without a column."""
        return self.names[self.columns.size :]


def wanted_genes(vocabulary: GeneVocabulary, adata: AnnData, genes: str | Sequence[str] | None, *, unmeasured: bool) -> Wanted:
    """Which genes a user asked for.

    Parameters
    ----------
    vocabulary
        Genes of the model.
    adata
        The cells. Columns that say they were not measured are columns all the same.
    genes
        Names of genes of the model; the columns of ``adata`` if None.
    unmeasured
        Whether genes without a column come, too.
    """
    if genes is not None:
        return Wanted(np.zeros(0, np.int64), list(as_names(genes)))
    names = tuple(map(str, adata.var_names))
    aligned = align_genes(vocabulary, names, query_aliases=gene_aliases(adata.var), duplicates="sum", min_coverage=0.0)
    columns = np.flatnonzero(aligned.column_to_gene >= 0)
    positions = aligned.column_to_gene[columns]
    if unmeasured:
        positions = np.concatenate([positions, np.setdiff1d(np.arange(len(vocabulary)), positions)])
    return Wanted(columns, [vocabulary.names[i] for i in positions.tolist()], "_unmeasured")


# ---------------------------------------------------------------- in memory


def dense_layers(n_cells: int, n_columns: int, columns: NDArray[np.int64]) -> Part:
    """Layers (n_cells, n_columns), NaN in columns that are no gene of the model."""
    return _DenseLayers([np.full((n_cells, n_columns), np.nan, np.float32) for _ in _NAMES], columns)


def sparse_layers(n_columns: int, columns: NDArray[np.int64], threshold: float) -> Part:
    """CSR layers (n_cells, n_columns) of the means of at least ``threshold``, and their standard
    deviations.
    """
    return _SparseLayers(n_columns, columns, threshold, [], [], [])


def frames(cells: pd.Index, genes: Sequence[str], suffix: str) -> Part:
    """Data frames of ``.obsm``, one column per gene, whose keys end in ``suffix``."""
    return _Frames([np.zeros((len(cells), len(genes)), np.float32) for _ in _NAMES], cells, pd.Index(genes), suffix)


@dataclass(frozen=True, eq=False)
class _DenseLayers:
    values: list[NDArray[np.float32]]
    columns: NDArray[np.int64]

    def add(self, some: slice, mean: NDArray[np.float32], sd: NDArray[np.float32]) -> None:
        for values, block in zip(self.values, (mean, sd), strict=True):
            values[some, self.columns] = block

    def write(self, adata: AnnData, key: str) -> dict[str, Any]:
        for name, values in zip(_NAMES, self.values, strict=True):
            adata.layers[f"{key}_{name}"] = values
        return {}


@dataclass(frozen=True, eq=False)
class _Frames:
    values: list[NDArray[np.float32]]
    cells: pd.Index
    genes: pd.Index
    suffix: str

    def add(self, some: slice, mean: NDArray[np.float32], sd: NDArray[np.float32]) -> None:
        for values, block in zip(self.values, (mean, sd), strict=True):
            values[some] = block

    def write(self, adata: AnnData, key: str) -> dict[str, Any]:
        for name, values in zip(_NAMES, self.values, strict=True):
            adata.obsm[f"{key}{self.suffix}_{name}"] = pd.DataFrame(values, index=self.cells, columns=self.genes, copy=False)
        return {}


@dataclass(eq=False)
class _SparseLayers:
    n_columns: int
    columns: NDArray[np.int64]
    threshold: float
    lengths: list[NDArray[np.int64]]
    places: list[NDArray[np.int32]]
    blocks: list[tuple[NDArray[np.float32], NDArray[np.float32]]]
    left_out: float = 0.0
    total: float = 0.0

    def add(self, some: slice, mean: NDArray[np.float32], sd: NDArray[np.float32]) -> None:
        kept = mean >= self.threshold
        self.lengths.append(kept.sum(axis=1, dtype=np.int64))
        self.places.append(self.columns[np.nonzero(kept)[1]].astype(np.int32))
        self.blocks.append((mean[kept], sd[kept]))
        self.total += float(mean.sum(dtype=np.float64))
        self.left_out += float(mean[~kept].sum(dtype=np.float64))

    def write(self, adata: AnnData, key: str) -> dict[str, Any]:
        ends = np.concatenate([[0], np.cumsum(np.concatenate([*self.lengths, np.zeros(0, np.int64)]))])
        places = np.concatenate([*self.places, np.zeros(0, np.int32)])
        self.places.clear()
        for number, name in enumerate(_NAMES):
            data = np.concatenate([*(block[number] for block in self.blocks), np.zeros(0, np.float32)])
            # indices of its own: pruning one matrix in place must not touch the other
            layer = sparse.csr_matrix((data, places.copy(), ends.copy()), shape=(ends.size - 1, self.n_columns))
            adata.layers[f"{key}_{name}"] = layer
        self.blocks.clear()
        share = self.left_out / self.total if self.total else 0.0
        return {"threshold": self.threshold, "share_below_threshold": share}


# ---------------------------------------------------------------- on disk


@contextmanager
def open_store(
    path: Path, cells: pd.Index, genes: Sequence[str], record: tuple[str, dict[str, Any]], *, rows: int, overwrite: bool
) -> Iterator[_Store]:
    """A file that anndata reads, with ``X`` (means) and ``.layers["sd"]``, nobody sees before it is
    complete.

    Parameters
    ----------
    path, overwrite
        See :func:`new_file`.
    cells, genes
        Names.
    record
        Key and content of the entry of ``.uns["r2mae"]["impute"]``.
    rows
        Cells in a chunk of the file, of which each is written once if blocks are as large.

    Yields
    ------
    The file, to add blocks to.
    """
    names = ad.AnnData(obs=pd.DataFrame(index=pd.Index(cells).astype(str)), var=pd.DataFrame(index=pd.Index(genes, dtype=object)))
    add_entry(names, KEYS.impute, *record)
    with new_file(path, names, overwrite=overwrite) as group:
        shape = len(cells), len(genes)
        yield _Store([blank_array(group, "X", shape, rows), blank_array(group["layers"], "sd", shape, rows)])


@dataclass(frozen=True, eq=False)
class _Store:
    arrays: list[Any]

    def fill(self, blocks: Iterable[Block]) -> None:
        """Write blocks of cells."""
        for some, *values in blocks:
            for array, block in zip(self.arrays, values, strict=True):
                array[some] = block
