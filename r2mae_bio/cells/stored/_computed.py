"""Numbers of cells that lie in files: computed block by block, and kept in a journal beside the
file that is to hold them, so that a killed run goes on where it stopped.
"""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import math
import time
from collections import deque
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import numpy as np
import pandas as pd

from r2mae_bio._errors import JournalError, R2MAEError
from r2mae_bio._progress import asked_for, count_steps
from r2mae_bio._runs._blocks import Work, by_blocks, count_threads
from r2mae_bio._runs._journal import Journal
from r2mae_bio.cells.read._genes import gene_aliases
from r2mae_bio.cells.read._panels import read_panels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.cells.read._file_matrix import FileBlocks, FileMatrix
    from r2mae_bio.cells.read._store import CellStore

    Opened = Callable[[int, int], Iterator[NDArray[np.float32]]]

__all__ = ["CellWork", "ModelWork", "Rows", "Span", "compute", "compute_here", "digest", "kept_rows"]

_MOST_ROWS: Final = 8192
"""Cells of a block that a worker is given, or that are copied at once."""
_MOST_BYTES: Final = 1 << 25
"""Bytes of the numbers of a block, likewise."""
_SHARES: Final = 4
"""Blocks for each thread of a cluster, at least, where there are cells enough."""
_COMMIT_SECONDS: Final = 20.0
_LOOKED_AT: Final = 1 << 24
"""Entries of a file that are read to tell it from others."""
_STRETCH: Final = 1 << 18
"""Entries of them that are read at once."""
logger = logging.getLogger("r2mae_bio")


class CellWork(Work):
    """What is computed of each cell: so many numbers, in order, some cells at a time."""

    width: int
    """Numbers of a cell."""
    step: int
    """Cells that are read at a time: a block is a multiple of it, so that however cells are cut
    into blocks, the same ones are read together and give the same numbers.
    """


@dataclass(eq=False)
class ModelWork(CellWork):
    """A method of a model, asked about the cells of a store."""

    model: Any
    """The model; where it is sent it has no data."""
    method: str
    """Name of the method, which opens a store and returns what reads a span of its cells."""
    store: CellStore
    """The cells."""
    settings: Mapping[str, Any]
    """Arguments of the method."""
    width: int
    step: int
    checked: bool = False
    """Whether the values of the store are known to be sound: the one who sends this looked."""

    def open(self) -> Callable[[tuple[int, int]], Iterator[NDArray[np.float32]]]:
        """Open the store for the method."""
        opened: Opened = getattr(self.model, self.method)(self.store, checked=self.checked, **self.settings)
        return lambda span: opened(*span)

    def rest(self) -> None:
        """Close the files: HDF5 does not write what is open elsewhere."""
        self.store.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "model": self.model.alone(), "store": bare(self.store), "checked": True}


def bare(store: CellStore) -> CellStore:
    """The same store without what verbs wrote to it, to be sent to another process."""
    other = copy.copy(store)
    other.obsm, other.varm = {}, {name: value for name, value in store.varm.items() if name.startswith("r2mae")}
    return other


@dataclass(frozen=True, eq=False)
class Span:
    """Neighbouring cells of a store, and the journal of what is computed of them."""

    first: int
    """Position of the first cell."""
    last: int
    """Position behind the last."""
    path: Path
    """Where the journal is: ``.part`` and ``.part.json`` are added."""
    run: str
    """Digest of all that the numbers depend on."""

    def journal(self) -> Journal:
        """Open it."""
        identity = {"model, settings or cells": self.run[:16], "number of cells": self.last - self.first}
        return Journal(self.path, identity, resume=True, commit_seconds=_COMMIT_SECONDS)


def compute_here(work: CellWork, n_cells: int) -> NDArray[np.float32]:
    """What is computed of all cells, in memory, (n_cells, width)."""
    found, start = np.zeros((n_cells, work.width), np.float32), 0
    with count_steps("cells", n_cells, shown=asked_for()) as step:
        for piece in work.pieces((0, n_cells)):
            found[start : start + len(piece)] = piece
            start += len(piece)
            step(len(piece))
    return found


def digest(
    said: Mapping[str, Any],
    store: CellStore,
    matrix: FileMatrix,
    numbers: Sequence[int] | None = None,
    *,
    obs: Sequence[str] = (),
) -> str:
    """Tells runs apart: by settings, genes, and what files hold. Of large ones not all is read, so
    that a few values that were changed between two runs may be missed.

    Parameters
    ----------
    said
        All that numbers depend on beside the cells, as JSON holds it.
    store
        The cells.
    matrix
        Their counts.
    numbers
        Which of its files; all if None.
    obs
        Columns of ``.obs`` that the numbers depend on.
    """
    found, panels = hashlib.sha256(json.dumps(said, sort_keys=True).encode()), read_panels(store)
    names = zip(store.var_names, *gene_aliases(store.var).values(), strict=True)
    genes = np.array(["\t".join(map(str, name)) for name in names] + [""], object)  # the last is that of unused columns
    for number in range(len(matrix.parts)) if numbers is None else numbers:
        part, columns, cells = matrix.parts[number], matrix.columns[number], slice(*matrix.edges[number : number + 2])
        found.update(f"{part.key} {part.shape} {part.dtype}".encode() + part.pointers.tobytes())
        found.update("\n".join(genes[columns]).encode())
        if panels is not None:
            present, codes = np.unique(panels.codes[cells], return_inverse=True)
            found.update(codes.tobytes() + panels.measured[present][:, columns[columns >= 0]].tobytes())
        for key in obs:
            codes, values = pd.factorize(store.obs[key].iloc[cells].astype(str))
            found.update("\n".join([key, *values]).encode() + codes.tobytes())
        for rows in _looked_at(part):
            for values in (rows.indices.astype("<i8"), rows.data) if part.sparse else (rows,):
                found.update(np.ascontiguousarray(values).tobytes())
    return found.hexdigest()


def _looked_at(part: FileBlocks) -> Iterator[Any]:
    """All rows of a small file, and of a large one stretches all over it, some at a time."""
    n_rows, entries = part.shape[0], max(int(part.pointers[-1]), 1)
    edges = np.linspace(0, n_rows, min(entries, _LOOKED_AT) // _STRETCH + 2).astype(int)
    for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if start < stop:
            yield part.read(start, start + math.ceil(min(1.0, _LOOKED_AT / entries) * (stop - start)))


def compute(work: CellWork, spans: Sequence[Span], client: Any = None, *, title: str, shown: bool | None = None) -> None:
    """Fill the journals of some spans of cells, as far as they are not filled yet.

    Parameters
    ----------
    work
        What is computed.
    spans
        The cells, in order.
    client
        A ``dask.distributed.Client`` whose workers compute; this process if None.
    title
        What is counted.
    shown
        Whether there is a bar; if None, there is one in a terminal.

    Raises
    ------
    JournalError
        A run with other settings was begun, or another run is writing.
    """
    total, started = sum(span.last - span.first for span in spans), time.monotonic()
    with count_steps(title, total, unit="cells", shown=shown) as step, _Filling(work, spans, client, step) as filling:
        for _, piece in by_blocks(work, filling.blocks(), client):
            filling.add(piece)
    seconds = max(time.monotonic() - started, 1e-9)
    logger.info("%s: %d cells in %.0f s (%.0f cells/s)", title, filling.n_done, seconds, filling.n_done / seconds)


@dataclass(eq=False)
class _Filling:
    """Journals that are being filled: blocks are handed out some time before they come back."""

    work: CellWork
    spans: Sequence[Span]
    client: Any
    step: Callable[[int], None]
    n_done: int = 0

    def __post_init__(self) -> None:
        self._journals: deque[tuple[Journal, int]] = deque()  # with the records that are to be there in the end
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, *__: object) -> None:
        if isinstance(error, R2MAEError) and not isinstance(error, JournalError):
            for journal, _n_cells in self._journals:  # cells that are refused are not gone on with
                journal.seal()
                journal.discard()
        self._opened.close()

    def blocks(self) -> Iterator[tuple[int, int]]:
        """First cell of each block that is still to be computed, and the one behind its last."""
        for span in self.spans:
            journal = self._opened.enter_context(closing(span.journal()))
            self.step(journal.records)
            first = span.first + journal.records
            if first == span.last:
                journal.close()
                continue
            self._journals.append((journal, span.last - span.first))
            size = self._block_rows(span.last - first)
            yield from ((start, min(start + size, span.last)) for start in range(first, span.last, size))

    def add(self, piece: NDArray[np.float32]) -> None:
        """Keep what was computed of the cells that come next."""
        journal, n_cells = self._journals[0]
        journal.write(np.ascontiguousarray(piece, "<f4").tobytes())
        journal.mark(len(piece))
        self.step(len(piece))
        self.n_done += len(piece)
        if journal.records == n_cells:
            journal.close()
            self._journals.popleft()

    def _block_rows(self, n_cells: int) -> int:
        """Cells of a block: here all that are left, for workers whole steps that are soon done."""
        if self.client is None:
            return n_cells
        share = sum(span.last - span.first for span in self.spans) // (_SHARES * count_threads(self.client))
        rows = min(_MOST_ROWS, share, _MOST_BYTES // (4 * self.work.width))
        return max(rows // self.work.step, 1) * self.work.step


@contextmanager
def kept_rows(spans: Sequence[Span], width: int) -> Iterator[list[Rows]]:
    """What was computed of spans of cells; forgotten once it was used without an error.

    Parameters
    ----------
    spans
        Those that :func:`compute` filled.
    width
        Numbers of a cell.

    Yields
    ------
    The numbers of each.
    """
    with ExitStack() as stack:
        journals = [stack.enter_context(closing(span.journal())) for span in spans]
        yield [Rows(journal.part, span.last - span.first, width) for journal, span in zip(journals, spans, strict=True)]
        for journal in journals:
            journal.seal()
            journal.discard()


@dataclass(frozen=True, eq=False)
class Rows:
    """Numbers of cells in a file of bytes."""

    path: Path
    n_cells: int
    width: int

    def blocks(self, step: int = 1) -> Iterator[tuple[slice, NDArray[np.float32]]]:
        """Some cells at a time, a multiple of ``step``: which, and their numbers."""
        at_once = max(min(_MOST_ROWS, _MOST_BYTES // (4 * self.width)) // step, 1) * step
        with self.path.open("rb") as stream:
            for start in range(0, self.n_cells, at_once):
                some = slice(start, min(start + at_once, self.n_cells))
                n_cells = some.stop - start
                yield some, np.frombuffer(stream.read(4 * self.width * n_cells), "<f4").reshape(n_cells, self.width)

    def read(self) -> NDArray[np.float32]:
        """All of them, (n_cells, width)."""
        found = np.empty(self.shape, np.float32)
        self.copy_to(found, 1)
        return found

    def copy_to(self, array: Any, step: int) -> None:
        """Copy them to an array whose chunks have ``step`` cells."""
        for some, rows in self.blocks(step):
            array[some] = rows

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and numbers of a cell."""
        return self.n_cells, self.width
