"""Matrices that stay in files, opened when they are read, and read in runs of neighbours."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
from scipy import sparse

from r2mae_bio._errors import DataError, SetupError
from r2mae_bio.cells.read._stored import check_compressed, known_indices, reading

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["BufferSize", "CellFile", "FileBlocks", "FileMatrix", "find_files"]

_BRIDGED: Final = 1 << 13
"""Entries that nobody asked for are read along, up to so many, rather than to read twice."""
_TOGETHER: Final = 1 << 22
"""Entries that are read, or decoded, before the rows that were asked for are picked of them."""
_MOST_OPEN: Final = 128
"""Files that are open at once; systems often grant a process 1024."""
_METADATA: Final = ("zarr.json", ".zarray", ".zgroup", ".zattrs")
_READING: Final = threading.RLock()
"""One thread at a time: HDF5 has such a lock itself, and a file may be closed to open another."""


class BufferSize(NamedTuple):
    """How cells are read where a single one costs as much as many."""

    block: int
    """Neighbouring cells that stay together until they are in memory."""
    blocks: int
    """Blocks, drawn at random, whose cells are shuffled among one another."""


class CellFile:
    """An h5ad file or a zarr group of one AnnData, opened when it is first read; it must not change
    between one opening and the next, in this process or in another that it is sent to.

    Parameters
    ----------
    path
        The file or folder.
    """

    # those that are open, the longest first; what nobody uses any more is closed
    _opened: Final[weakref.WeakValueDictionary[int, CellFile]] = weakref.WeakValueDictionary()
    _all: Final[weakref.WeakSet[CellFile]] = weakref.WeakSet()

    def __init__(self, path: Path) -> None:
        self.path = path
        self.zarr = path.is_dir()
        self.stamp: Any = None
        self._root: Any = None
        self._elements: dict[str, Any] = {}
        self._process = 0
        with reading(None, str(path)):
            self.group()
        self.stamp = _stamp(path)
        self._all.add(self)

    def group(self) -> Any:
        """The group of the AnnData, of h5py or zarr.

        Raises
        ------
        DataError
            The file is missing, damaged, or another one than before.
        """
        if self._root is None or self._process != os.getpid():
            self._elements = {}
            self.check_unchanged()
            self._root, self._process = _open(self.path, zarr=self.zarr), os.getpid()
            with _READING:
                self._opened[id(self)] = self
                while len(self._opened) > _MOST_OPEN:
                    next(iter(self._opened.values())).close()
        return self._root

    def element(self, key: str) -> Any:
        """What is stored under a key, such as ``"X/data"``; None if nothing is."""
        root = self.group()
        if key not in self._elements:
            self._elements[key] = root.get(key)
        return self._elements[key]

    def check_unchanged(self) -> None:
        """Refuse a file that is not what it was when it was first opened.

        Raises
        ------
        DataError
            It was written to, replaced or removed.
        """
        now = _stamp(self.path)
        if self.stamp is not None and now != self.stamp:
            what = "is gone" if now is None else "was written to or replaced"
            message = (
                f"{self.path} {what} since it was opened (its size, time or inode differ); what is known of its cells no longer "
                "holds. Make a new CellStore of the files as they are."
            )
            raise DataError(message)

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with _READING:
            self._opened.pop(id(self), None)
            if self._root is not None and not self.zarr and self._process == os.getpid():
                self._root.close()
            self._root, self._elements = None, {}

    def together(self) -> list[CellFile]:
        """It and whatever else in this process stands for the same file, such as the store that a
        model was trained on: HDF5 does not write what is open for reading.
        """
        others = [file for file in list(self._all) if file.path == self.path and file.stamp == self.stamp]
        return [self, *(file for file in others if file is not self)]

    def renew(self) -> None:
        """Take the file as it now is, after this package wrote beside its matrices."""
        self.close()
        self.stamp = _stamp(self.path)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "zarr": self.zarr, "stamp": self.stamp}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__ |= state | {"_root": None, "_elements": {}, "_process": 0}
        self._all.add(self)

    def __repr__(self) -> str:
        return f"CellFile({str(self.path)!r})"


def find_files(path: Path) -> list[Path]:
    """The AnnData at a path: itself, or the members of an annbatch collection, in order.

    Parameters
    ----------
    path
        An h5ad file, a zarr group of an AnnData, or one whose groups are such.

    Raises
    ------
    DataError
        There is nothing, or something else.
    """
    if not path.exists():
        message = f"There is no file {path}; needed is an h5ad file, a zarr folder or an annbatch collection. Check the path."
        raise DataError(message)
    if not path.is_dir():
        return [path]
    members = sorted((p for p in path.iterdir() if _is_anndata(p)), key=lambda p: (len(p.name), p.name))
    if _is_anndata(path) or not members:  # an AnnData, or what will not open as one
        return [path]
    return members


def _is_anndata(folder: Path) -> bool:
    """Whether a folder says that it is a zarr group of an AnnData."""
    for name in ("zarr.json", ".zattrs"):
        file = folder / name
        if file.is_file():
            with reading(None, str(file)):
                said = json.loads(file.read_bytes())
            return (said.get("attributes", said)).get("encoding-type") == "anndata"
    return False


def _open(path: Path, *, zarr: bool) -> Any:
    with reading(None, str(path)):
        if zarr:
            import zarr as zarr_python

            return zarr_python.open_group(str(path), mode="r")
        import h5py

        return h5py.File(path, "r")


def _stamp(path: Path) -> tuple[tuple[str, int, int, int], ...] | None:
    """Size, time and inode of a file, or of the metadata of what a zarr store holds of cells, for
    results of this package may be added to its other parts; None if it is gone.
    """
    if not path.exists():
        return None
    files = [path]
    if path.is_dir():
        levels = {"X": ("", "*/"), **dict.fromkeys(("layers", "obs", "var"), ("", "*/", "*/*/"))}
        patterns = [f"{part}/{level}{name}" for part, some in levels.items() for level in some for name in _METADATA]
        files = sorted({file for pattern in patterns for file in path.glob(pattern)})
    found = ((str(file.relative_to(path)), file.stat()) for file in files)
    return tuple((name, stat.st_size, stat.st_mtime_ns, stat.st_ino) for name, stat in found)


class FileBlocks:
    """A matrix of one file, row-compressed or dense.

    Parameters
    ----------
    file
        Where it is.
    key
        ``"X"``, or ``"layers/"`` and a name.

    Raises
    ------
    SetupError
        There is no such matrix.
    DataError
        It is no matrix of numbers, is column-compressed, or damaged.
    """

    def __init__(self, file: CellFile, key: str) -> None:
        self.file, self.key = file, key
        self.where = f"{key} of {file.path}"
        element = file.element(key)
        if element is None:
            layers = file.element("layers")
            message = (
                f"There is no {key!r} in {file.path}; its layers are {sorted(layers or [])}. Needed is the same matrix in every file of "
                "a store; pass layer= with one that all have, or leave this file out."
            )
            raise SetupError(message)
        kind = str(element.attrs.get("encoding-type", ""))
        if kind.startswith("csc"):
            message = (
                f"{self.where} is column-compressed (CSC), so that a cell cannot be read without reading all. Write it row-compressed "
                "once: adata.X = scipy.sparse.csr_matrix(adata.X)."
            )
            raise DataError(message)
        self.sparse = kind.startswith("csr")
        with reading(None, self.where):
            values = file.element(f"{key}/data") if self.sparse else element
            shape = element.attrs["shape"] if self.sparse else element.shape
            self.dtype, self.shape = np.dtype(values.dtype), tuple(map(int, shape))
            # zarr decodes whole chunks: two rows of one chunk are best read as one piece
            self._unit = int(np.prod(values.chunks)) if file.zarr else 0
        self._pointers: NDArray[np.int64] | None = None

    @property
    def pointers(self) -> NDArray[np.int64]:
        """Where the entries of each row begin and end, (n_rows + 1,); for a dense matrix as if it
        held all.
        """
        if self._pointers is None:
            self._pointers = self._read_pointers()
        return self._pointers

    def _read_pointers(self) -> NDArray[np.int64]:
        if not self.sparse:
            return np.arange(self.shape[0] + 1, dtype=np.int64) * self.shape[1]
        with reading(None, self.where), _READING:
            arrays = [self.file.element(f"{self.key}/{name}") for name in ("indptr", "indices", "data")]
            pointers = np.asarray(arrays[0][:]).astype(np.int64)
            n_indices, n_values = (int(array.shape[0]) for array in arrays[1:])
        ascend = pointers.size == self.shape[0] + 1 and pointers[0] == 0 and not np.any(pointers[1:] < pointers[:-1])
        if not ascend or not pointers[-1] == n_indices == n_values:
            message = (
                f"{self.where} is a damaged sparse matrix: its {pointers.size} pointers for {self.shape[0]} rows promise "
                f"{pointers[-1] if pointers.size else 0} entries, and there are {n_indices} indices and {n_values} values. "
                "Write it again from an intact file."
            )
            raise DataError(message)
        return pointers

    def read(self, start: int, stop: int) -> Any:
        """Neighbouring rows in one piece.

        Parameters
        ----------
        start, stop
            The first, and the one behind the last.

        Returns
        -------
        CSR whose indices are sound, or an array, (stop - start, n_columns).
        """
        return self._read([(start, stop)])[0]

    def _read(self, runs: Sequence[tuple[int, int]]) -> list[Any]:
        """Runs of neighbouring rows, each as :meth:`read` gives it."""
        names = [f"{self.key}/indices", f"{self.key}/data"] if self.sparse else [self.key]
        spans = [(int(self.pointers[start]), int(self.pointers[stop])) for start, stop in runs] if self.sparse else runs
        with reading(None, self.where), _READING:
            arrays = [self.file.element(name) for name in names]
            parts = (
                _zarr_slices(arrays, spans)
                if self.file.zarr
                else [[array[first:last] for array in arrays] for first, last in spans]
            )
        if not self.sparse:
            return [np.asarray(values) for (values,) in parts]
        return [self._block(*run, *part) for run, part in zip(runs, parts, strict=True)]

    def _block(self, start: int, stop: int, indices: NDArray[Any], values: NDArray[Any]) -> Any:
        pointers = self.pointers[start : stop + 1]
        block = sparse.csr_array((stop - start, self.shape[1]), dtype=self.dtype)
        # handed over when it is made, an index that leads outside would be followed before we look
        block.data, block.indices, block.indptr = np.asarray(values), np.asarray(indices), _short(pointers - pointers[0])
        check_compressed(block, f"A part of {self.where}")
        return known_indices(block)

    def rows(self, places: NDArray[np.int64]) -> Any:
        """Some rows, read in as few pieces as are worth while.

        Parameters
        ----------
        places
            Which, ascending and unique, (n,).

        Returns
        -------
        CSR or an array, (n, n_columns).
        """
        gaps = np.concatenate([[0], self.pointers[places[1:]] - self.pointers[places[:-1] + 1]])
        apart = gaps > max(_BRIDGED, self._unit)
        cost = np.cumsum(self.pointers[places + 1] - self.pointers[places] + np.where(apart, self._unit, gaps))
        groups = np.flatnonzero(np.diff(cost // _TOGETHER)) + 1
        pieces = zip(np.split(places, groups), np.split(apart, groups), strict=True)
        return self._stack([self._pick(*piece) for piece in pieces])

    def _pick(self, places: NDArray[np.int64], apart: NDArray[np.bool_]) -> Any:
        """Some rows, and whether those between each and the one before it are left out."""
        cuts = np.flatnonzero(apart[1:]) + 1
        runs = [(int(run[0]), int(run[-1]) + 1) for run in np.split(places, cuts)]
        whole = self._stack(self._read(runs))
        if whole.shape[0] == places.size:
            return whole
        skipped = np.cumsum([runs[0][0], *(later[0] - earlier[1] for earlier, later in zip(runs[:-1], runs[1:], strict=True))])
        return whole[places - np.repeat(skipped, np.diff([0, *cuts, places.size]))]

    def _stack(self, parts: Sequence[Any]) -> Any:
        return parts[0] if len(parts) == 1 else sparse.vstack(parts, format="csr") if self.sparse else np.concatenate(parts)


def _zarr_slices(arrays: Sequence[Any], spans: Sequence[tuple[int, int]]) -> list[list[Any]]:
    """Slices of arrays of zarr, asked for at once: one after another waits for each chunk alone,
    which takes twice as long where its codecs run in threads of their own.
    """
    from zarr.core.sync import sync

    async def gather() -> list[Any]:
        asked = (array.async_array.getitem(slice(*span)) for span in spans for array in arrays)
        return await asyncio.gather(*asked)

    found = sync(gather())
    return [found[first : first + len(arrays)] for first in range(0, len(found), len(arrays))]


def _short(pointers: NDArray[np.int64]) -> NDArray[Any]:
    """As SciPy wants them beside indices of 32 bits."""
    return pointers.astype(np.int32) if pointers[-1] <= np.iinfo(np.int32).max else pointers


@dataclass(eq=False)
class FileMatrix:
    """One matrix over the cells of all files, and over the genes of any."""

    parts: Sequence[FileBlocks]
    """The matrix of each file."""
    columns: Sequence[NDArray[np.int64]]
    """Gene of each column of a file, -1 for those that are not used."""
    n_genes: int
    """Number of genes."""
    buffer: BufferSize
    """How to read it for training."""

    def __post_init__(self) -> None:
        self.edges = np.cumsum([0, *(part.shape[0] for part in self.parts)])
        self.memory: dict[str, Any] = {}
        """What was found in a pass over all of it, by name; the files do not change."""

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and genes."""
        return int(self.edges[-1]), self.n_genes

    @property
    def dtype(self) -> np.dtype[Any]:
        """That holds the values of all files."""
        return np.result_type(*(part.dtype for part in self.parts))

    def check_unchanged(self) -> None:
        """Refuse files that are not what they were when they were first opened.

        Raises
        ------
        DataError
            One was written to, replaced or removed.
        """
        for part in self.parts:
            part.file.check_unchanged()

    def pieces(self, entries: int) -> Iterator[tuple[int, Any, NDArray[np.int64]]]:
        """All cells in order.

        Parameters
        ----------
        entries
            About how many to read at once.

        Yields
        ------
        First cell, its and the following rows as :meth:`FileBlocks.read` gives them, and the genes
        of their columns.
        """
        self.check_unchanged()
        for part, columns, first in zip(self.parts, self.columns, self.edges.tolist(), strict=False):
            cuts = np.searchsorted(part.pointers, np.arange(entries, max(int(part.pointers[-1]), 1), entries))
            edges = np.unique(np.concatenate([[0], cuts, [part.shape[0]]])).tolist()
            for start, stop in zip(edges[:-1], edges[1:], strict=True):
                yield first + start, part.read(start, stop), columns

    def select(self, cells: NDArray[np.int64]) -> Iterator[tuple[int, Any]]:
        """Some cells, file by file.

        Parameters
        ----------
        cells
            Positions, ascending and unique.

        Yields
        ------
        Number of the file, and the rows as :meth:`FileBlocks.rows` gives them.
        """
        cuts = np.searchsorted(cells, self.edges)
        for number, part in enumerate(self.parts):
            some = cells[cuts[number] : cuts[number + 1]]
            if some.size:
                yield number, part.rows(some - self.edges[number])
