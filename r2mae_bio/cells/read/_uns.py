"""Records of this package in ``.uns["r2mae"]``, and taking back what was written to data."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from r2mae_bio._errors import ConfigError
from r2mae_bio._keys import KEYS
from r2mae_bio.cells.read._dask import is_dask
from r2mae_bio.cells.read._data import check_anndata

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from anndata import AnnData

_OWN: Final = (
    KEYS.setup,
    KEYS.embed,
    KEYS.coverage,
    KEYS.measured,
    KEYS.spectrum,
    KEYS.mask_ratio,
    KEYS.gene_embeddings,
    KEYS.attribution,
    KEYS.impute,
    KEYS.transfer_labels,
)


def check_file_key(key: Any) -> None:
    """Refuse a key that a file could not hold, or would take for a group.

    Parameters
    ----------
    key
        Of ``.obsm``, ``.obs`` or ``.uns``.

    Raises
    ------
    ConfigError
        It is no text, has a slash, or nothing but dots.
    """
    if not isinstance(key, str) or "/" in key or not key.strip("."):
        message = (
            f"key_added is {key!r}; needed is a name without a slash and not of dots alone, for in a file it would be a group."
        )
        raise ConfigError(message)


def check_key(key: str, *, default: str) -> None:
    """Refuse a key under which another record of this package is kept.

    Parameters
    ----------
    key
        What the user asked for.
    default
        The one of ours that is meant for this record.

    Raises
    ------
    ConfigError
        It is another one of ours, or one that a file could not hold.
    """
    check_file_key(key)
    taken = [name for name in _OWN if name != default]
    if key in taken:
        message = f"key_added is {key!r}, which .uns['r2mae'] uses for something else; needed is a name other than {taken}."
        raise ConfigError(message)


def all_records(adata: AnnData) -> dict[str, Any]:
    """Everything in ``.uns["r2mae"]``, by key; empty if there is nothing."""
    check_anndata(adata)
    return dict(adata.uns.get(KEYS.uns, {}))


def read_record(adata: AnnData, key: str, entry: str | None = None) -> Any:
    """Read ``.uns["r2mae"][key]``, or one entry of it; what was read lazily is brought into memory.

    Parameters
    ----------
    adata
        The data.
    key
        Name of the record.
    entry
        Name of an entry, where the record holds one per key that a user chose.

    Returns
    -------
    What is there, or None.
    """
    record = all_records(adata).get(key)
    return _computed(record if entry is None or record is None else record.get(entry))


def _computed(value: Any) -> Any:
    """The same with arrays of NumPy for those of dask."""
    if isinstance(value, Mapping):
        return {key: _computed(item) for key, item in value.items()}
    return np.asarray(value) if is_dask(value) else value


def add_entry(adata: AnnData, key: str, entry: str, record: Any) -> None:
    """Write ``.uns["r2mae"][key][entry]``, other entries and records kept.

    Parameters
    ----------
    adata
        The data.
    key
        Name of the record that holds the entries.
    entry
        Name of the entry, which a user chose.
    record
        What h5ad can hold.
    """
    write_record(adata, key, {**(read_record(adata, key) or {}), entry: record})


def write_record(adata: AnnData, key: str, record: Any) -> None:
    """Write ``.uns["r2mae"][key]``, other records kept.

    Parameters
    ----------
    adata
        The data.
    key
        Name of the record.
    record
        What h5ad can hold.
    """
    adata.uns[KEYS.uns] = {**all_records(adata), key: record}


@contextmanager
def all_or_nothing(adata: AnnData, **slots: Sequence[str]) -> Iterator[None]:
    """Take back what was written to data when a step fails or is interrupted, records included.

    Parameters
    ----------
    adata
        The data. Of a view nothing is taken back: it is to be written to last, when it becomes data
        of its own.
    slots
        Keys that may be written, by slot: ``layers=["mean"]``.
    """
    slots = {} if adata.is_view else {**slots, "uns": [KEYS.uns]}
    before = {slot: _entries(getattr(adata, slot), keys) for slot, keys in slots.items()}
    try:
        yield
    except BaseException:
        for slot, keys in slots.items():
            entries = getattr(adata, slot)
            for key in set(keys) & set(entries) - set(before[slot]):
                del entries[key]
            for key, value in before[slot].items():
                entries[key] = value
        raise


def _entries(entries: Any, keys: Sequence[str]) -> dict[str, Any]:
    return {key: entries[key] for key in keys if key in entries}
