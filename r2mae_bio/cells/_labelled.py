"""Labels of cells that lie in files: into these files, or into a file of their own."""

from __future__ import annotations

import hashlib
import json
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from r2mae_bio._keys import KEYS
from r2mae_bio.cells.stored._computed import Span, compute, digest, kept_rows
from r2mae_bio.cells.stored._out import check_out
from r2mae_bio.cells.stored._results import Results, places_taken, refuse_taken, write_into, write_new

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from r2mae_bio.cells.read._file_matrix import FileMatrix
    from r2mae_bio.cells.read._store import CellStore
    from r2mae_bio.cells.transfer._query import LabelledQuery
    from r2mae_bio.cells.transfer._shared_work import SharedWork

__all__ = ["Labelling", "label_columns", "write_labels"]


@dataclass(frozen=True, eq=False)
class Labelling:
    """What is to be written."""

    key: str
    """Beginning of the names."""
    label: Callable[..., LabelledQuery]
    """Finds the labels, once it knows who computes embeddings of the query: ``compute``."""
    matrix: FileMatrix
    """The counts that are read."""
    settings: Mapping[str, Any]
    """All that labels depend on beside embeddings and reference, as JSON holds it."""
    read: Sequence[Path]
    """Files that query and reference are read from."""


def label_columns(moved: LabelledQuery, key: str) -> dict[str, Any]:
    """Columns of ``.obs`` by name, (n_cells,) each."""
    return {
        key: pd.Categorical.from_codes(moved.codes, categories=moved.names),
        f"{key}_confidence": moved.probabilities.max(axis=1),
        f"{key}_unknown": moved.unknown,
    }


def write_labels(store: CellStore, labelling: Labelling, *, out: Path | None, overwrite: bool, client: Any) -> LabelledQuery:
    """Label the cells of a store, and write what comes of it.

    Parameters
    ----------
    store
        The cells.
    labelling
        What to write.
    out
        A new ``.zarr`` folder or ``.h5ad`` file with names and ``.obs`` of the store, labels and
        probabilities; the store's own files if None, in which nothing else changes but ``.uns``.
    overwrite
        Replace what is there.
    client
        A ``dask.distributed.Client`` whose workers embed; this process if None.

    Returns
    -------
    The labels.

    Raises
    ------
    ConfigError
        Something is there.
    JournalError
        A run with other settings was begun, or another run is writing.
    DataError
        A file cannot be written.
    """
    key = labelling.key
    home = store.files[0].path
    journal = home.with_name(f"{home.name}.{key}") if out is None else out
    places = [f"obsm/{key}_probabilities", f"obs/{key}", f"obs/{key}_confidence", f"obs/{key}_unknown"]
    if out is not None:
        check_out(out, overwrite=overwrite, read=labelling.read)
    elif not overwrite and not journal.with_name(f"{journal.name}.part.json").exists():  # else a run goes on
        refuse_taken(places_taken(store, places))
    with ExitStack() as kept:
        run = hashlib.sha256(json.dumps(labelling.settings, sort_keys=True).encode())

        def computed(work: SharedWork) -> NDArray[Any]:
            span = Span(0, store.n_obs, journal, digest(work.said(), store, labelling.matrix))
            run.update(span.run.encode())
            compute(work, [span], client, title="labelling")
            return kept.enter_context(kept_rows([span], work.width))[0].read()

        moved = labelling.label(compute=computed)
        if out is not None:
            write_new(out, store, _results(moved, slice(None), key, run.hexdigest()), overwrite=overwrite)
            return moved
        refuse_taken({} if overwrite else places_taken(store, places, run=run.hexdigest()))
        edges = store.X.edges.tolist()
        for file, first, last in zip(store.files, edges[:-1], edges[1:], strict=True):
            write_into(file, _results(moved, slice(first, last), key, run.hexdigest()))
    return moved


def _results(moved: LabelledQuery, cells: slice, key: str, run: str) -> Results:
    records = {f"{KEYS.transfer_labels}/{key}": moved.record}
    columns = {name: values[cells] for name, values in label_columns(moved, key).items()}
    return Results(run, records, obsm={f"{key}_probabilities": moved.probabilities[cells]}, obs=columns)
