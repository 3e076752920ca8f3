"""``CellStore``: the cells of one or many files as one set, of which no matrix is in memory."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from anndata import AnnData
from anndata.io import read_elem
from pandas.api.types import union_categoricals
from scipy import sparse

from r2mae_bio._errors import ConfigError, DataError, GeneIdentityError, SetupError
from r2mae_bio._keys import KEYS, as_names
from r2mae_bio.cells.read._align import align_genes
from r2mae_bio.cells.read._cells import FileReader
from r2mae_bio.cells.read._check import advise, check_counts
from r2mae_bio.cells.read._data import CellsInFiles
from r2mae_bio.cells.read._file_matrix import BufferSize, CellFile, FileBlocks, FileMatrix, find_files
from r2mae_bio.cells.read._genes import ALIAS_COLUMNS, MEASURED, GeneVocabulary, gene_aliases, measured_genes
from r2mae_bio.cells.read._obs import UNREAD
from r2mae_bio.cells.read._panels import read_panels, write_panels
from r2mae_bio.cells.read._stored import reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from r2mae_bio.cells.read._check import CountReport

__all__ = ["FILE", "CellStore"]

FILE: Final = "file"
"""Column of ``.obs`` of a store that names the file of each cell."""
_PANEL: Final = "r2mae_panel"
"""Column of ``.obs`` that names file and panel, where a file has several."""


class CellStore(CellsInFiles):
    """Cells of h5ad files, zarr folders or annbatch collections, seen as one set and left where
    they are.

    It goes wherever an AnnData goes: ``GeneMAE.setup_anndata``, ``GeneMAE``, ``tl.embed``,
    ``tl.transfer_labels``, ``tl.impute`` and others. Matrices are read in runs of neighbouring
    cells, as they are needed. Genes are those of all files, matched by every name that they go by;
    a gene that a file lacks is hidden in its cells, never zero. Files must not change while they
    are in use. A store can be sent to another process, which opens the files anew.

    Parameters
    ----------
    paths
        One or several files, in the order of the cells. Matrices are dense or row-compressed (CSR).
    layer
        Layer that is ``X`` of the store; ``X`` of the files if None.
    obs
        Columns of ``.obs`` to read, which all files must have; ``file`` is always there.
    genes
        Names of the genes to see, in their order; those of all files if None, by their first file.
    duplicates
        ``"error"`` refuses files with several columns of a gene; ``"sum"`` adds them up.
    min_coverage
        Smallest share of the genes so far that each further file must measure; see
        :func:`align_genes`.
    block_size
        Neighbouring cells that training reads in one piece.
    buffer_blocks
        Blocks, drawn at random, among whose cells training shuffles; two such buffers are in memory
        at once. A run that is resumed needs the same ``block_size`` and ``buffer_blocks``.

    Attributes
    ----------
    obs
        Data frame of the columns asked for, (n_cells,), with positions as its index: names are in
        ``obs_names``, read when they are asked for. Its column ``file`` (categorical) names the
        file, and is the batch unless ``setup_anndata`` is told another.
    var
        Data frame of the genes: their names, and their ids and symbols where files have them.
    uns, varm, obsm
        What verbs write: kept with the store, not in the files.

    Raises
    ------
    DataError
        A file is missing, damaged or column-compressed, or a gene name is not unique.
    GeneIdentityError
        The genes of one file go by other names than those of the others.
    SetupError
        A file lacks the layer, or a column of ``.obs``.

    Examples
    --------
    >>> import tempfile, r2mae_bio as rb
    >>> folder = tempfile.TemporaryDirectory()
    >>> path = folder.name + "/cells.h5ad"
    >>> rb.datasets.pbmc68k().write_h5ad(path)
    >>> store = rb.io.CellStore(path, layer="counts", obs=["bulk_labels"])
    >>> store
    CellStore(700 cells x 765 genes of 1 file, obs: file, bulk_labels)
    >>> rb.model.GeneMAE.setup_anndata(store)
    >>> store.close()
    >>> folder.cleanup()
    """

    is_view = isbacked = False
    """As of an AnnData: writing to a store changes nothing else."""

    def __init__(
        self,
        paths: str | Path | Sequence[str | Path],
        *,
        layer: str | None = None,
        obs: str | Sequence[str] | None = None,
        genes: Sequence[str] | None = None,
        duplicates: str = "error",
        min_coverage: float | None = None,
        block_size: int = 256,
        buffer_blocks: int = 64,
    ) -> None:
        given = [paths] if isinstance(paths, str | Path) else list(paths)
        buffer = _check_settings(given, block_size, buffer_blocks)
        found = [file for path in given for file in find_files(Path(path).expanduser().absolute())]
        _refuse_twice(found)
        self.files: tuple[CellFile, ...] = tuple(CellFile(path) for path in found)
        self.layer = layer
        self.batch_key = FILE if len(self.files) > 1 else None
        self.uns: dict[str, Any] = {}
        self.varm: dict[str, Any] = {}
        self.obsm: dict[str, Any] = {}
        shared = _shared_layers(self.files)
        matrices = {name: [FileBlocks(file, _key(name)) for file in self.files] for name in dict.fromkeys([layer, *shared])}
        tables = [_read_var(file) for file in self.files]
        for file, part, var in zip(self.files, matrices[layer], tables, strict=True):
            _check_shape(file, part, len(var))
        genes_of = _Genes.of(found, tables, genes, duplicates, min_coverage)
        size = len(genes_of.vocabulary)
        self._matrices = {name: FileMatrix(parts, genes_of.columns, size, buffer) for name, parts in matrices.items()}
        self.layers: Mapping[str, FileMatrix] = {name: self._matrices[name] for name in shared}
        self.var = _var_frame(genes_of.vocabulary)
        self.obs = self._read_obs(as_names(obs))
        self._tell_panels(tables, genes_of)

    # ------------------------------------------------------------------ as of an AnnData

    @property
    def X(self) -> FileMatrix:  # noqa: N802 - anndata's name
        """The matrix, (n_cells, n_genes); see :meth:`rows`."""
        return self._matrices[self.layer]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of cells and genes."""
        return self.X.shape

    @property
    def n_obs(self) -> int:
        """Number of cells."""
        return self.shape[0]

    @property
    def n_vars(self) -> int:
        """Number of genes."""
        return self.shape[1]

    @property
    def obs_names(self) -> CellNames:
        """Names of the cells, read when they are asked for."""
        return CellNames(self.files, self.X.edges)

    @property
    def var_names(self) -> pd.Index:
        """Names of the genes."""
        return self.var.index

    def copy(self) -> CellStore:
        """A store of the same files, whose ``obs``, ``var``, ``uns``, ``varm`` and ``obsm`` are its
        own.
        """
        other = copy.copy(self)
        for name in ("obs", "var", "uns", "varm", "obsm"):
            setattr(other, name, copy.deepcopy(getattr(self, name)))
        return other

    def __len__(self) -> int:
        return self.n_obs

    def __repr__(self) -> str:
        files = f"{len(self.files)} file{'s' if len(self.files) > 1 else ''}"
        return f"CellStore({self.n_obs:,} cells x {self.n_vars:,} genes of {files}, obs: {', '.join(map(str, self.obs.columns))})"

    # ------------------------------------------------------------------ reading

    def rows(self, start: int, stop: int) -> Any:
        """Neighbouring cells.

        Parameters
        ----------
        start, stop
            Position of the first, and that behind the last.

        Returns
        -------
        CSR array of the values that are not zero, float32 (stop - start, n_vars).
        """
        found = FileReader(self.X).fetch(np.arange(self.n_obs)[start:stop])
        return sparse.csr_array((found.values, found.genes, found.indptr), (found.indptr.size - 1, found.n_genes))

    def check(self) -> CountReport:
        """Look at every value once, and make sure that they are counts; a second call does not read
        them again, nor do verbs.

        Returns
        -------
        Size and depth of the matrix.

        Raises
        ------
        CountsError
            They are not; the subclass and the message say why, where and what to do.
        """
        where = "X of the store" if self.layer is None else f"Layer {self.layer!r} of the store"
        names = {"obs_names": self.obs_names, "var_names": self.var_names}
        return check_counts(self.X, where=where, **names, panels=read_panels(self), advice=advise(self, self.layer))

    def close(self) -> None:
        """Close the files; they are opened again when they are needed."""
        for file in self.files:
            file.close()

    # ------------------------------------------------------------------ opening

    def _read_obs(self, names: Sequence[str]) -> pd.DataFrame:
        """The columns asked for, each with one dtype over all files."""
        sizes = np.diff(self.X.edges)
        stems = _unique_names([file.path for file in self.files])
        frame = pd.DataFrame({FILE: pd.Categorical.from_codes(np.repeat(np.arange(len(sizes)), sizes), categories=stems)})
        if FILE in names or len(set(names)) < len(names):
            message = f"obs is {list(names)}; needed are different names of columns, none of them {FILE!r}, which names the file of a cell."
            raise ConfigError(message)
        for name in names:
            frame[name] = _joined([_read_column(file, name, int(size)) for file, size in zip(self.files, sizes, strict=True)])
        columns = [_column_names(file) for file in self.files]
        frame.attrs[UNREAD] = sorted(set.intersection(*columns) - set(names))
        return frame

    def _tell_panels(self, tables: Sequence[pd.DataFrame], genes: _Genes) -> None:
        """Write which genes were measured in which cells, where verbs look for it."""
        panels, names, several = [], [], False
        labels: list[NDArray[np.object_]] = []
        stems = self.obs[FILE].cat.categories
        for stem, file, var, columns in zip(stems, self.files, tables, genes.columns, strict=True):
            own = _own_panels(file, var)
            several |= len(own.names) > 1
            for measured, name in zip(own.measured, own.names, strict=True):
                held = np.zeros(len(genes.vocabulary), bool)
                used = columns[measured]
                held[used[used >= 0]] = True
                panels.append(held)
                names.append(f"{stem}: {name}" if len(own.names) > 1 else str(stem))
            labels.append(np.array(names[-len(own.names) :], object)[own.codes])
        if np.all(panels):
            return
        if several:
            self.obs[_PANEL] = pd.Categorical(np.concatenate(labels), categories=names)
        table = pd.DataFrame(np.stack(panels, 1), columns=names)
        write_panels(self, table, _PANEL if several else FILE, of_files=True)


@dataclass(frozen=True, eq=False)
class _Genes:
    """The genes of all files."""

    vocabulary: GeneVocabulary
    """Under all their names."""
    columns: list[NDArray[np.int64]]
    """Gene of each column of each file, -1 for none."""

    @classmethod
    def of(
        cls,
        paths: Sequence[Path],
        tables: Sequence[pd.DataFrame],
        genes: Sequence[str] | None,
        duplicates: str,
        min_coverage: float | None,
    ) -> _Genes:
        """Match each file with those before it, or all with the genes asked for.

        Raises
        ------
        GeneIdentityError
            A file does not go with the others, or has a gene twice.
        """
        known = None if genes is None else GeneVocabulary(as_names(genes), {}, np.zeros(len(as_names(genes))))
        found = []
        for path, var in zip(paths, tables, strict=True):
            try:
                if known is None:
                    known = _vocabulary(var, duplicates)
                names, ids = tuple(map(str, var.index)), gene_aliases(var)
                matched = align_genes(known, names, query_aliases=ids, duplicates=duplicates, min_coverage=min_coverage)
                columns = matched.column_to_gene
                if genes is None and np.any(columns < 0):
                    known, columns = _with_new(known, var, columns, matched.report.id_kind, duplicates)
            except GeneIdentityError as error:
                message = f"The genes of {path} cannot join those of the store. {error}"
                raise type(error)(message) from error
            found.append(columns)
        assert known is not None  # there is a file
        return cls(known, found)


def _vocabulary(var: pd.DataFrame, duplicates: str) -> GeneVocabulary:
    return GeneVocabulary.from_anndata(SimpleNamespace(var_names=var.index, var=var), np.zeros(len(var)), duplicates=duplicates)


def _with_new(
    known: GeneVocabulary, var: pd.DataFrame, columns: NDArray[np.int64], id_kind: str, duplicates: str
) -> tuple[GeneVocabulary, NDArray[np.int64]]:
    """The genes with those of a file that were not among them, and the gene of each column.

    Names that were compared with those of another kind are entered as that kind, so that a further
    file finds them.
    """
    mine, theirs = id_kind.split(" = ")
    places = np.flatnonzero(columns < 0)
    new = _vocabulary(var.iloc[places], duplicates)
    ids = {"var_names": new.names, **new.aliases}
    ids = {**ids, theirs: ids[mine]}
    kinds = dict.fromkeys([*known.aliases, *(kind for kind in ids if kind != "var_names")])
    blank_old, blank_new = ("",) * len(known), ("",) * len(new)
    aliases = {kind: (*known.aliases.get(kind, blank_old), *ids.get(kind, blank_new)) for kind in kinds}
    grown = GeneVocabulary((*known.names, *ids["var_names"]), aliases, np.zeros(len(known) + len(new)))
    at = align_genes(new, tuple(map(str, var.index[places])), duplicates=duplicates, min_coverage=0.0).column_to_gene
    filled = columns.copy()
    filled[places] = at + len(known)
    return grown, filled


class CellNames:
    """Names of the cells of several files, read when they are asked for.

    Parameters
    ----------
    files
        The files.
    edges
        First cell of each, and the number of all.
    """

    def __init__(self, files: Sequence[CellFile], edges: NDArray[np.int64]) -> None:
        self._files, self._edges = files, edges

    def __len__(self) -> int:
        return int(self._edges[-1])

    def __getitem__(self, cell: Any) -> Any:
        if not isinstance(cell, int | np.integer):
            return pd.Index(np.asarray(self))[cell]
        cell = range(len(self))[cell]
        number = int(np.searchsorted(self._edges, cell, side="right")) - 1
        return self._of(number)[cell - int(self._edges[number])]

    def __iter__(self) -> Iterator[str]:
        for number in range(len(self._files)):
            yield from self._of(number)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:  # noqa: FBT001
        names = [self._of(number) for number in range(len(self._files))]
        return np.concatenate([*names, np.zeros(0, object)]).astype(dtype or object)

    def _of(self, number: int) -> NDArray[np.object_]:
        return np.asarray(_index_of(self._files[number], "obs"), object).astype(str).astype(object)


def _check_settings(paths: Sequence[Any], block_size: int, buffer_blocks: int) -> BufferSize:
    if not paths:
        message = "paths is empty; needed is at least one h5ad file, zarr folder or annbatch collection."
        raise ConfigError(message)
    for name, value in {"block_size": block_size, "buffer_blocks": buffer_blocks}.items():
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            message = f"{name} is {value!r}; needed is a positive whole number."
            raise ConfigError(message)
    return BufferSize(block_size, buffer_blocks)


def _refuse_twice(paths: Sequence[Path]) -> None:
    real = [path.resolve() for path in paths]
    twice = [path for number, path in enumerate(real) if path in real[:number]]
    if twice:
        message = (
            f"paths leads to {twice[0]} more than once, so that its cells would count more than once; needed is each file once."
        )
        raise ConfigError(message)


def _key(layer: str | None) -> str:
    return "X" if layer is None else f"layers/{layer}"


def _shared_layers(files: Sequence[CellFile]) -> list[str]:
    """Layers that every file has."""
    with reading(None, "layers of the files"):
        each = [set(file.element("layers") or ()) for file in files]
    return sorted(set.intersection(*each))


def _check_shape(file: CellFile, part: FileBlocks, n_genes: int) -> None:
    n_cells = int(_index_of(file, "obs", whole=False).shape[0])
    if part.shape != (n_cells, n_genes):
        message = (
            f"{part.where} has the shape {part.shape}, and there are {n_cells} cells and {n_genes} genes; the file is damaged."
        )
        raise DataError(message)


def _unique_names(paths: Sequence[Path]) -> list[str]:
    """Names of files without suffix, told apart by it or by the folder where that is needed, else
    by their number.
    """
    for names in ([p.stem for p in paths], [p.name for p in paths], [f"{p.parent.name}/{p.name}" for p in paths]):
        if len(set(names)) == len(names):
            return names
    return [f"{name}-{number}" for number, name in enumerate(path.stem for path in paths)]


# ---------------------------------------------------------------- tables of one file


def _index_of(file: CellFile, table: str, *, whole: bool = True) -> Any:
    """Names of the rows of ``obs`` or ``var``, or what holds them in the file."""
    with reading(None, f"{table} of {file.path}"):
        group = file.element(table)
        element = group[str(group.attrs["_index"])]
        if whole:
            return read_elem(element)
        return element["values"] if hasattr(element, "keys") else element  # names that may be missing have a mask beside them


def _column_names(file: CellFile) -> set[str]:
    with reading(None, f"obs of {file.path}"):
        return set(map(str, file.element("obs").attrs["column-order"]))


def _read_column(file: CellFile, name: str, n_cells: int) -> pd.Series:
    """One column of ``.obs``; text becomes categories, which take a hundredth of the memory."""
    if name not in (columns := _column_names(file)):
        message = f"obs of {file.path} has no column {name!r}; it has {', '.join(sorted(columns)) or 'none'}. Name columns that all files have."
        raise SetupError(message)
    with reading(None, f"Column {name!r} of obs of {file.path}"):
        values = pd.Series(read_elem(file.element("obs")[name]))
    if len(values) != n_cells:
        message = f"Column {name!r} of obs of {file.path} has {len(values)} values for {n_cells} cells; the file is damaged."
        raise DataError(message)
    text = values.dtype == object or pd.api.types.is_string_dtype(values.dtype)
    return values.astype("category") if text and not isinstance(values.dtype, pd.CategoricalDtype) else values


def _joined(columns: Sequence[pd.Series]) -> pd.Series:
    categorical = [isinstance(column.dtype, pd.CategoricalDtype) for column in columns]
    if not all(categorical):
        return pd.concat(columns, ignore_index=True)
    kinds = {column.cat.categories.dtype for column in columns}
    alike = columns if len(kinds) == 1 else [column.cat.rename_categories(lambda name: str(name)) for column in columns]
    return pd.Series(union_categoricals(list(alike), ignore_order=True))


def _read_var(file: CellFile) -> pd.DataFrame:
    """Names and ids of the genes, and whether they were measured."""
    index = pd.Index(np.asarray(_index_of(file, "var"), object).astype(str).astype(object))
    with reading(None, f"var of {file.path}"):
        group = file.element("var")
        known = set(map(str, group.attrs["column-order"]))
        columns = {name: read_elem(group[name]) for name in (*ALIAS_COLUMNS, MEASURED) if name in known}
        return pd.DataFrame(columns, index=index)


def _own_panels(file: CellFile, var: pd.DataFrame) -> Any:
    """What the cells of one file measured of its columns, as :class:`CellPanels`."""
    with reading(None, f"uns of {file.path}"):
        element = file.element(f"uns/{KEYS.uns}/{KEYS.measured}")
        record = None if element is None else read_elem(element)
        table = None if record is None else file.element(f"varm/{KEYS.measured_varm}")
        varm = {} if table is None else {KEYS.measured_varm: read_elem(table)}
    n_cells = int(_index_of(file, "obs", whole=False).shape[0])
    measured = measured_genes(var)
    held = np.ones(len(var), bool) if measured is None else measured
    whole = SimpleNamespace(names=("all",), codes=np.zeros(n_cells, np.int64), measured=held[None])
    if record is None:
        return whole
    key = str(record["obs_key"])
    column = _read_column(file, key, n_cells)
    obs = pd.DataFrame({key: column.to_numpy()}, index=pd.RangeIndex(n_cells).astype(str))
    found = read_panels(AnnData(obs=obs, var=var[[]], varm=varm, uns={KEYS.uns: {KEYS.measured: record}}))
    return whole if found is None else replace(found, measured=found.measured & held)


def _var_frame(vocabulary: GeneVocabulary) -> pd.DataFrame:
    aliases = {kind: np.array(names, object) for kind, names in vocabulary.aliases.items()}
    return pd.DataFrame(aliases, index=pd.Index(vocabulary.names, dtype=object))
