"""The registry of data sets, and their files, checked by hash."""

from __future__ import annotations

from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from r2mae_bio._errors import DataError
from r2mae_bio._registry._download import download
from r2mae_bio._registry._shipped import check_fields, check_shipped, registry_folder

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["DatasetEntry", "fetch", "find", "registry"]


@dataclass(frozen=True)
class DatasetEntry:
    """One entry of the registry."""

    name: str
    """Key of the entry."""
    kind: str
    """``embedded`` (shipped by another package), ``bundled`` (shipped here), ``package`` (of an
    operating system) or ``remote``.
    """
    form: str
    """What the file holds: cells, genome, variants, ..."""
    loader: str | None
    """The function of ``r2mae_bio.datasets`` that reads it, or one of another package by its full
    name; None if there is the file alone.
    """
    url: str | None
    """Address of a remote file, file name of a bundled one, path in a package."""
    sha256: str | None
    """SHA-256 of the file, 64 hexadecimal digits; None if nobody has verified it."""
    bytes: int | None
    """Size of the file in bytes."""
    shape: tuple[int, ...]
    """Cells x genes, or sequences x bases."""
    licence: str
    """Terms of the data."""
    citation: str
    """Whom to cite."""
    source: str
    """Where the file comes from."""
    split: str
    """The rule that separates training from test data."""


def registry() -> Mapping[str, DatasetEntry]:
    """All known data sets.

    Returns
    -------
    Name to entry, read-only.

    Raises
    ------
    DataError
        The registry cannot be found or an entry of it is incomplete.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> rb.datasets.registry()["pbmc68k"].shape
    (700, 765)
    """
    import yaml

    path = registry_folder() / "datasets.yaml"
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return MappingProxyType({name: _entry(name, values) for name, values in content.items()})


def fetch(name: str, *, cache_dir: str | Path | None = None, known_hash: str | None = None) -> Path:
    """Path of a data set's file, downloaded if it is not there yet.

    The hash is checked before the file gets its name: what lies in the cache is complete and right.
    There, each entry has a folder of its own.

    Parameters
    ----------
    name
        Entry of the registry, of kind ``remote`` or ``bundled``.
    cache_dir
        Folder for downloads; the user's cache folder if None.
    known_hash
        SHA-256 to require, 64 hexadecimal digits, for an entry whose hash nobody has verified. It
        cannot replace a registered one.

    Returns
    -------
    Path of the file.

    Raises
    ------
    DataError
        The name is not registered, the entry has no file or no verified hash, the download failed,
        or the file is not the registered one.
    """
    entry = find(name)
    if entry.kind == "package":
        message = f"{name!r} cannot be downloaded from here. It is {entry.url} in the {entry.source}."
        raise DataError(message)
    if entry.kind == "embedded" or entry.url is None:
        loader = entry.loader if "." in (entry.loader or "") else f"r2mae_bio.datasets.{name}"
        message = f"{name!r} is not a file of its own; call {loader}()."
        raise DataError(message)
    if entry.kind == "bundled":
        return check_shipped(registry_folder() / entry.url, entry.sha256)
    # files of different sets have the same name, such as train.csv
    return download(entry.url, _required_hash(entry, known_hash), cache_dir, under=entry.name)


def _entry(name: str, values: dict[str, Any]) -> DatasetEntry:
    check_fields(name, values, {field.name for field in fields(DatasetEntry)} - {"name"})
    return DatasetEntry(name=name, **{**values, "shape": tuple(values["shape"])})


def find(name: str) -> DatasetEntry:
    """One entry, or a DataError that says which there are."""
    known = registry()
    if name not in known:
        message = f"There is no data set {name!r}; the registry knows {sorted(known)}."
        raise DataError(message)
    return known[name]


def _required_hash(entry: DatasetEntry, known_hash: str | None) -> str:
    wanted = entry.sha256 or known_hash
    if wanted is None:
        message = (
            f"Nobody has verified the file of {entry.name!r} ({entry.url}), so it has no registered hash. Pass known_hash=, the "
            "SHA-256 of a copy that you trust."
        )
        raise DataError(message)
    if known_hash is not None and known_hash.lower() != wanted.lower():
        message = f"known_hash={known_hash!r} is not the registered hash {wanted} of {entry.name!r}; leave known_hash out."
        raise DataError(message)
    return wanted.lower()
