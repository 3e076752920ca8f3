"""Embeddings of cells that lie in files: into these files, or into a file of their own.

Embeddings first grow in a journal beside the file that is to hold them, so that a killed run goes
on where it stopped. Only when they are complete is the file touched, for as long as it takes to
copy them: an array under another name, which then gets its own.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
import warnings
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anndata as ad
import numpy as np
import pandas as pd

from r2mae_bio._errors import ConfigError, DataError
from r2mae_bio._files import whole_folder
from r2mae_bio._journal import Journal
from r2mae_bio._keys import KEYS
from r2mae_bio._progress import count_steps
from r2mae_bio.cells._imputed import ARRAY, blank_array, check_store, new_file, told_less

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.cells.read._file_matrix import CellFile, FileBlocks
    from r2mae_bio.cells.read._store import CellStore

    Blocks = Callable[[int, int], Iterator[tuple[slice, NDArray[np.float32]]]]

__all__ = ["Embedding", "write_embeddings"]

_ROWS: Final = 4096
"""Cells that are copied at once, and of a chunk."""
_COMMIT_SECONDS: Final = 20.0
_UNFINISHED: Final = "r2mae_unfinished"
"""Entry of ``.uns`` of an h5ad file that is being written: anndata reads whatever is there."""
_RUN: Final = "r2mae_run"
"""Attribute of an array that says by which model and settings it was made."""
_DICT: Final = {"encoding-type": "dict", "encoding-version": "0.1.0"}
_SHOWN: Final = 2000
logger = logging.getLogger("r2mae_bio")


@dataclass(frozen=True, eq=False)
class Embedding:
    """What is to be written."""

    key: str
    """Key of ``.obsm``."""
    width: int
    """Numbers of a cell."""
    blocks: Blocks
    """Embeds the cells from one position to another, which are counted from the first."""
    settings: Mapping[str, Any]
    """All that the numbers depend on beside the cells, as JSON holds it."""
    record: Callable[[], Mapping[str, Mapping[str, Any]]]
    """Entries of ``.uns["r2mae"]``, once cells were embedded."""


@dataclass(frozen=True, eq=False)
class _Target:
    """Where some neighbouring cells go."""

    path: Path
    """The file."""
    first: int
    """Position of the first cell."""
    last: int
    """Position behind the last."""
    run: str
    """Digest of all that the numbers depend on."""
    file: CellFile | None = None
    """The file as the store knows it; None for a new one."""


def write_embeddings(store: CellStore, embedding: Embedding, *, out: Path | None, overwrite: bool) -> None:
    """Embed the cells of a store, and write what comes of it.

    Parameters
    ----------
    store
        The cells.
    embedding
        What to write.
    out
        A new ``.zarr`` folder or ``.h5ad`` file with names, ``.obs`` of the store and ``.obsm``;
        ``.obsm`` of the store's own files if None, in which nothing else changes but ``.uns``.
    overwrite
        Replace what is there.

    Raises
    ------
    ConfigError
        Something is there, or the name cannot be used.
    JournalError
        A run with other settings was begun, or another run is writing.
    DataError
        A file cannot be written.
    """
    if "/" in embedding.key:
        message = f"key_added is {embedding.key!r}; needed is a name without a slash, for in a file it would be a group."
        raise ConfigError(message)
    targets = _targets(store, embedding, out, overwrite=overwrite)
    n_left, started = sum(target.last - target.first for target in targets), time.monotonic()
    with count_steps("embedding", store.n_obs, done=store.n_obs - n_left, unit="cells") as step:
        for target in targets:
            _embed(store, target, embedding, step)
    seconds = max(time.monotonic() - started, 1e-9)
    logger.info("embedded %d cells in %.0f s (%.0f cells/s)", n_left, seconds, n_left / seconds)


def _targets(store: CellStore, embedding: Embedding, out: Path | None, *, overwrite: bool) -> list[_Target]:
    """What is left to write; anything in the way is refused."""
    parts, edges = store.X.parts, store.X.edges.tolist()
    if out is not None:
        check_store(out, overwrite=overwrite)
        return [_Target(out, 0, store.n_obs, _digest(embedding, *parts))]
    every = [
        _Target(part.file.path, first, last, _digest(embedding, part), part.file)
        for part, first, last in zip(parts, edges[:-1], edges[1:], strict=True)
    ]
    if overwrite:
        return every
    left, taken = [], []
    for target in every:
        array = target.file.element(f"obsm/{embedding.key}") if target.file else None
        own = array is not None and array.attrs.get(_RUN) == target.run
        if array is None or (own and target.file and target.file.element(f"uns/{KEYS.uns}/{KEYS.embed}/{embedding.key}") is None):
            left.append(target)
        elif not own:
            taken.append(target.path)
    if taken or not left:  # files that this very run has finished before it was killed are no obstacle
        found = taken or [target.path for target in every]
        message = (
            f"obsm[{embedding.key!r}] exists already in {found[0]}{f' and {len(found) - 1} other files' if found[1:] else ''}; pass "
            "overwrite=True to replace it, or another key_added."
        )
        raise ConfigError(message)
    return left


def _digest(embedding: Embedding, *parts: FileBlocks) -> str:
    """Tells runs apart: settings, and what the files hold, as far as it is known without reading
    all.
    """
    said = {"key": embedding.key, "width": embedding.width, **embedding.settings}
    digest = hashlib.sha256(json.dumps(said, sort_keys=True).encode())
    for part in parts:
        digest.update(f"{part.key} {part.shape} {part.dtype}".encode() + part.pointers.tobytes())
        for start in sorted({0, max(part.shape[0] - _SHOWN, 0)}):
            rows = part.read(start, min(start + _SHOWN, part.shape[0]))
            digest.update(np.ascontiguousarray(rows.data if part.sparse else rows).tobytes())
    return digest.hexdigest()


def _embed(store: CellStore, target: _Target, embedding: Embedding, step: Callable[[int], None]) -> None:
    """Fill the journal of one file, then the file."""
    path = target.path.with_name(f"{target.path.name}.{embedding.key}")
    n_cells = target.last - target.first
    identity = {"run": target.run, "cells": n_cells}
    with closing(Journal(path, identity, resume=True, commit_seconds=_COMMIT_SECONDS)) as journal:
        done = journal.records
        step(done)
        if done < n_cells:
            for some, latent in embedding.blocks(target.first + done, target.last):
                journal.write(np.ascontiguousarray(latent, "<f4").tobytes())
                journal.mark(some.stop - some.start)
                step(some.stop - some.start)
        journal.commit()
        rows = _Rows(journal.part, n_cells, embedding.width)
        with _opened(target, store, rows, embedding) as group:
            _write_record(group, embedding)
        journal.seal()
        journal.discard()


@dataclass(frozen=True, eq=False)
class _Rows:
    """Embeddings in a file of bytes."""

    path: Path
    n_cells: int
    width: int

    def copy_to(self, array: Any) -> None:
        """Copy them, some at a time."""
        with self.path.open("rb") as stream:
            for start in range(0, self.n_cells, _ROWS):
                stop = min(start + _ROWS, self.n_cells)
                block = np.frombuffer(stream.read(4 * self.width * (stop - start)), "<f4")
                array[start:stop] = block.reshape(stop - start, self.width)

    @property
    def shape(self) -> tuple[int, int]:
        """Cells and numbers of a cell."""
        return self.n_cells, self.width


# ---------------------------------------------------------------- files


@contextmanager
def _opened(target: _Target, store: CellStore, rows: _Rows, embedding: Embedding) -> Iterator[Any]:
    """The file with the embeddings in it, to add what is recorded of them."""
    if target.file is None:
        names = ad.AnnData(obs=store.obs.set_axis(pd.Index(store.obs_names, dtype=object), axis=0))
        with new_file(target.path, names) as group:
            array = blank_array(group["obsm"], embedding.key, rows.shape, _ROWS)
            array.attrs[_RUN] = target.run
            rows.copy_to(array)
            yield group
        return
    target.file.check_unchanged()
    readers = target.file.together()
    for file in readers:
        file.close()
    try:
        with (_into_zarr if target.file.zarr else _into_h5ad)(target, rows, embedding.key) as group:
            yield group
    except OSError as error:
        message = (
            f"The embeddings cannot be written into {target.path} ({error}). They are kept beside it; close the file wherever it "
            "is open, see that it may be written and that the disk has room, and call again."
        )
        raise DataError(message) from error
    finally:
        for file in readers:
            file.renew()


@contextmanager
def _into_h5ad(target: _Target, rows: _Rows, key: str) -> Iterator[Any]:
    import h5py

    with h5py.File(target.path, "r+") as file:
        scratch, obsm = _dict(file, "uns"), _dict(file, "obsm")
        if _UNFINISHED in scratch:  # of a run that was killed here
            del scratch[_UNFINISHED]
        array = blank_array(scratch, _UNFINISHED, rows.shape, _ROWS)
        array.attrs[_RUN] = target.run
        rows.copy_to(array)
        file.flush()
        if key in obsm:
            del obsm[key]
        file.move(array.name, f"{obsm.name}/{key}")
        yield file


@contextmanager
def _into_zarr(target: _Target, rows: _Rows, key: str) -> Iterator[Any]:
    import zarr

    third = not zarr.__version__.startswith("2.")  # the release, not the format
    whole: dict[str, Any] = {"use_consolidated": False} if third else {}
    root = zarr.open_group(str(target.path), mode="r+", **whole)
    _dict(root, "obsm")
    version: dict[str, Any] = {"zarr_format": root.metadata.zarr_format} if third else {}
    with whole_folder(target.path / "obsm" / key, overwrite=True, beside=target.path) as folder:
        chunks = (max(min(_ROWS, rows.n_cells), 1), rows.width)
        array = zarr.open_array(str(folder), mode="w", shape=rows.shape, chunks=chunks, dtype="<f4", **version)
        array.attrs.update({**ARRAY, _RUN: target.run})
        rows.copy_to(array)
    yield root
    copies = (target.path / name for name in (".zmetadata", "zarr.json"))
    if any(copy.is_file() and b"consolidated" in copy.read_bytes() for copy in copies):  # readers look there alone
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Consolidated metadata", category=UserWarning)
            zarr.consolidate_metadata(str(target.path))


def _dict(group: Any, name: str) -> Any:
    """A group that anndata reads as a dictionary, made where there is none."""
    found = group.require_group(name)
    if "encoding-type" not in found.attrs:
        found.attrs.update(_DICT)
    return found


def _write_record(group: Any, embedding: Embedding) -> None:
    home = _dict(_dict(group, "uns"), KEYS.uns)
    with told_less():
        for name, entry in embedding.record().items():
            if name == KEYS.embed:
                ad.io.write_elem(_dict(home, name), embedding.key, dict(entry))
            else:
                ad.io.write_elem(home, name, dict(entry))
