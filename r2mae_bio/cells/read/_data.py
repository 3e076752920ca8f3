"""What is an AnnData here, and making one of it that can be written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anndata import AnnData

from r2mae_bio._errors import DataError

__all__ = ["CellsInFiles", "check_anndata", "default_batch", "in_files", "make_actual", "writable"]


class CellsInFiles:
    """What stands for an AnnData, with its attributes, while the matrices stay in files."""

    batch_key: str | None
    """Column of ``.obs`` that is the batch unless one is named."""


def in_files(data: Any) -> bool:
    """Whether what stands for an AnnData keeps its cells in files."""
    return isinstance(data, CellsInFiles)


def default_batch(data: Any) -> str | None:
    """Column of ``.obs`` that is the batch unless one is named; none of an AnnData."""
    return data.batch_key if in_files(data) else None


def check_anndata(data: Any) -> None:
    """Refuse what is not an AnnData, and say where one is in it.

    Parameters
    ----------
    data
        What a user passed.

    Raises
    ------
    DataError
        It is something else; of a ``MuData`` or a ``SpatialData`` the parts are named.
    """
    if isinstance(data, AnnData | CellsInFiles):
        return
    found = type(data).__name__
    mod, tables = (getattr(data, name, None) for name in ("mod", "tables"))  # of a MuData, of a SpatialData
    if isinstance(mod, Mapping):
        what = f"pass one of its modalities, such as {_item('mod', mod)}; it has {_names(mod)}. What is written goes into it."
    elif isinstance(tables, Mapping):
        what = (
            f"pass one of its tables, such as {_item('tables', tables)}; it has {_names(tables)}. What is written goes into it."
        )
    else:
        what = "make one by anndata.AnnData(X, obs=obs, var=var), or read a file by anndata.read_h5ad(path)."
    message = f"The data are of type {found}; an AnnData is needed: {what}"
    raise DataError(message)


def _item(attribute: str, parts: Mapping[Any, Any]) -> str:
    """How the first part is written down."""
    return f"data.{attribute}[{next(iter(parts), 'name')!r}]"


def _names(parts: Mapping[Any, Any]) -> str:
    return ", ".join(map(repr, parts)) or "none"


def writable(adata: AnnData, *, copy: bool) -> AnnData:
    """The data that a verb may write to.

    Parameters
    ----------
    adata
        What the user passed.
    copy
        Leave it as it is.

    Returns
    -------
    A copy, in memory where ``adata`` is backed; or ``adata`` itself, see :func:`make_actual`.

    Raises
    ------
    DataError
        It is no AnnData.
    """
    check_anndata(adata)
    if copy:
        return _copy(adata)
    make_actual(adata)
    return adata


def make_actual(adata: AnnData) -> None:
    """Turn a view into data of its own, in place: what anndata does itself, with a warning, when a
    view is written to.

    Parameters
    ----------
    adata
        Any AnnData; nothing happens to one that is no view. One of backed data is read into memory,
        which anndata does not do itself.
    """
    if adata.is_view:
        adata._init_as_actual(_copy(adata))


def _copy(adata: AnnData) -> AnnData:
    return adata.to_memory() if adata.isbacked else adata.copy()  # anndata copies what is backed to files alone
