"""Embeddings of cells that lie in files: into these files, or into a file of their own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from r2mae_bio._keys import KEYS
from r2mae_bio.cells._opened import files_of
from r2mae_bio.cells.stored._computed import Span, compute, digest, kept_rows
from r2mae_bio.cells.stored._out import check_out
from r2mae_bio.cells.stored._results import Results, left_to_write, write_into, write_new

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from r2mae_bio.cells.read._file_matrix import FileMatrix
    from r2mae_bio.cells.read._store import CellStore
    from r2mae_bio.cells.stored._computed import CellWork

__all__ = ["Embedding", "write_embeddings"]


@dataclass(frozen=True, eq=False)
class Embedding:
    """What is to be written."""

    key: str
    """Key of ``.obsm``."""
    work: CellWork
    """Embeds cells."""
    matrix: FileMatrix
    """The counts that are read."""
    settings: Mapping[str, Any]
    """All that the numbers depend on beside the cells, as JSON holds it."""
    obs: Sequence[str]
    """Columns of ``.obs`` that they depend on."""
    records: Callable[[], Mapping[str, Mapping[str, Any]]]
    """Entries of ``.uns["r2mae"]``, once cells were embedded."""


def write_embeddings(store: CellStore, embedding: Embedding, *, out: Path | None, overwrite: bool, client: Any = None) -> None:
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
    client
        A ``dask.distributed.Client`` whose workers embed; this process if None.

    Raises
    ------
    ConfigError
        Something is there.
    JournalError
        A run with other settings was begun, or another run is writing.
    DataError
        A file cannot be written.
    """
    key, edges = embedding.key, embedding.matrix.edges.tolist()
    said = {"key": key, "width": embedding.work.width, **embedding.settings}
    tell = partial(digest, said, store, embedding.matrix, obs=embedding.obs)
    if out is not None:
        check_out(out, overwrite=overwrite, read=files_of(store))
        files, spans = [], [Span(0, store.n_obs, out, tell())]
    else:
        runs = [tell([number]) for number in range(len(store.files))]
        left = left_to_write(store, [f"obsm/{key}"], f"{KEYS.embed}/{key}", runs, overwrite=overwrite)
        files = [file for file, wanted in zip(store.files, left, strict=True) if wanted]
        spans = [
            Span(first, last, file.path.with_name(f"{file.path.name}.{key}"), run)
            for file, first, last, run, wanted in zip(store.files, edges[:-1], edges[1:], runs, left, strict=True)
            if wanted
        ]
    compute(embedding.work, spans, client, title="embedding")
    for number, span in enumerate(spans):
        with kept_rows([span], embedding.work.width) as (rows,):
            results = Results(span.run, embedding.records(), obsm={key: rows})
            if out is None:
                write_into(files[number], results)
            else:
                write_new(out, store, results, overwrite=overwrite)
