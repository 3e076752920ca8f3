"""Files of results: whether they may be written, and how they are made."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

import anndata as ad

from r2mae_bio._errors import ConfigError
from r2mae_bio._files import overlapping, refuse_existing, whole_file, whole_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["ARRAY", "blank_array", "check_out", "new_file", "told_less"]

ARRAY: Final = {"encoding-type": "array", "encoding-version": "0.2.0"}
"""How anndata knows a dense array in a file."""
_GROUP: Final = ("zarr.json", ".zgroup", ".zattrs")
"""Files of which one is in every zarr group."""


def check_out(path: Path, *, overwrite: bool, read: Sequence[Path] = ()) -> None:
    """Refuse, before hours of work, a file that could not be written, or would cost another one.

    Parameters
    ----------
    path
        What the user named.
    overwrite
        Whether one that exists is replaced.
    read
        Files and folders that the work reads, which stay.

    Raises
    ------
    ConfigError
        Its suffix is not known, it exists, it is something else than would be written there, or
        something that is read would be lost with it.
    """
    if path.suffix not in {".zarr", ".h5ad"}:
        message = f"out is {str(path)!r}; needed is a name that ends in .zarr or .h5ad."
        raise ConfigError(message)
    if (needed := overlapping(path, read)) is not None:
        message = f"out is {path}, and {needed} is read, which would be lost: what is written holds results, not the counts. Choose another path."
        raise ConfigError(message)
    refuse_existing(path, overwrite=overwrite)
    if path.is_dir() and not (path.suffix == ".zarr" and any((path / name).exists() for name in _GROUP)):
        message = f"{path} is a folder, and no zarr group; it would be lost. Choose another path, or remove it yourself."
        raise ConfigError(message)


@contextmanager
def new_file(path: Path, content: ad.AnnData, *, overwrite: bool) -> Iterator[Any]:
    """A file of an AnnData that nobody sees before it is complete.

    Parameters
    ----------
    path
        Zarr or h5ad, by its suffix.
    content
        What it holds to begin with.
    overwrite
        Replace what is there.

    Yields
    ------
    Its group, to add arrays to.

    Raises
    ------
    ConfigError
        Something is there, perhaps since another run ended in the meantime.
    """
    zarr = path.suffix == ".zarr"
    whole: AbstractContextManager[Path] = whole_folder(path, overwrite=True) if zarr else whole_file(path)
    with whole as temporary, (_zarr_group if zarr else _h5_group)(temporary) as group:
        with told_less():
            ad.io.write_elem(group, "/", content)
        yield group
        check_out(path, overwrite=overwrite)  # again: another run may have ended before this one


@contextmanager
def told_less() -> Iterator[None]:
    """Let anndata write names of whatever kind, without a word on what its next release will do."""
    # anndata before 0.13 reads nullable text, but writes it only when told to
    with ad.settings.override(allow_write_nullable_strings=True), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def _h5_group(path: Path) -> AbstractContextManager[Any]:
    import h5py

    file: AbstractContextManager[Any] = h5py.File(path, "w")
    return file


def _zarr_group(path: Path) -> AbstractContextManager[Any]:
    import zarr

    return nullcontext(zarr.open_group(str(path), mode="w"))


def blank_array(group: Any, name: str, shape: tuple[int, int], rows: int) -> Any:
    """An array that anndata reads, to be filled.

    Parameters
    ----------
    group
        Of h5py or zarr.
    name, shape
        Of the array.
    rows
        Of a chunk.
    """
    create = getattr(group, "create_array", None) or group.create_dataset  # of zarr from 3 on; of zarr 2 and h5py
    chunks = {"chunks": (min(rows, shape[0]), shape[1])} if all(shape) else {}  # h5py knows no chunk of nothing
    array = create(name, shape=shape, dtype="float32", **chunks)
    array.attrs.update(ARRAY)
    return array
