"""Cells that a verb was given: an AnnData, a store, or the paths of files, which become one."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import ConfigError
from r2mae_bio._runs._blocks import check_client
from r2mae_bio.cells.read._data import check_anndata, in_files
from r2mae_bio.cells.read._obs import UNREAD
from r2mae_bio.cells.read._store import FILE, CellStore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

__all__ = ["check_places", "files_of", "matrix_of", "opened", "opened_or_none"]


@contextmanager
def opened(
    data: AnnData | str | Path | Sequence[str | Path], *, layer: str | None, obs: Sequence[str | None] = (), **options: Any
) -> Iterator[Any]:
    """The cells themselves.

    Parameters
    ----------
    data
        What a user passed: paths of h5ad files, zarr folders or annbatch collections become a
        store, whose files are closed at the end.
    layer
        Layer that is ``X`` of such a store; ``X`` of the files if None.
    obs
        Columns of ``.obs`` to read where the files have them.
    options
        Further arguments of :class:`CellStore`.

    Yields
    ------
    An AnnData or a store.

    Raises
    ------
    DataError
        It is neither, or a file cannot be used.
    SetupError
        A file lacks the layer.
    """
    if not _are_paths(data):
        check_anndata(data)
        yield data
        return
    store = CellStore(data, layer=layer, **options)
    wanted = [name for name in dict.fromkeys(obs) if name is not None and name != FILE and name in store.obs.attrs[UNREAD]]
    if wanted:
        store.close()
        store = CellStore(data, layer=layer, obs=wanted, **options)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened_or_none(data: Any, **options: Any) -> Iterator[Any]:
    """The same, or None if there is nothing."""
    if data is None:
        yield None
        return
    with opened(data, **options) as cells:
        yield cells


def _are_paths(data: Any) -> bool:
    return isinstance(data, str | Path) or (
        isinstance(data, list | tuple) and bool(data) and all(isinstance(path, str | Path) for path in data)
    )


def matrix_of(store: CellStore, layer: str | None) -> Any:
    """The matrix of a store that is read as this layer; its ``X`` if None."""
    return store.X if layer is None or layer not in store.layers else store.layers[layer]


def files_of(*data: Any) -> list[Path]:
    """Files that cells are read from as they are needed: of stores, and of AnnData on disk."""
    paths: list[Path] = []
    for cells in data:
        if in_files(cells):
            paths += [file.path for file in cells.files]
        elif cells is not None and cells.isbacked:
            paths.append(Path(cells.filename))
    return paths


def check_places(data: Any, out: Any, client: Any, *, overwrite: bool, copy: bool) -> None:
    """Refuse what is for the other kind of cells: those in memory, or those in files.

    Parameters
    ----------
    data
        An AnnData or a store.
    out, client, overwrite, copy
        As a verb was given them.

    Raises
    ------
    ConfigError
        A copy of a store, or for an AnnData something else than a copy.
    SetupError
        Dask is not installed.
    """
    check_client(client)
    if in_files(data) and copy:
        message = "copy=True would copy the files of a store; pass out= to write a file of results alone."
        raise ConfigError(message)
    if not in_files(data) and (out is not None or overwrite or client is not None):
        message = (
            "out, overwrite and client are for cells in files (a CellStore, or paths); what is written to an AnnData replaces what is "
            "there. Leave them out, or pass the path of the file."
        )
        raise ConfigError(message)
