"""The registry of data sets, and their files, checked by hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from r2mae_bio._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    path = _registry_folder() / "datasets.yaml"
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
        return _checked(_registry_folder() / entry.url, entry)
    return _download(entry, _required_hash(entry, known_hash), cache_dir)


def _registry_folder() -> Path:
    """The registry of an installed package, or of a source checkout."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_data_registry", package.parent / "data_registry"):
        if (folder / "datasets.yaml").is_file():
            return folder
    message = (
        f"The data registry lies neither in {package} nor beside it; the installation is incomplete. Install r2mae_bio again."
    )
    raise DataError(message)


def _entry(name: str, values: dict[str, Any]) -> DatasetEntry:
    needed = {field.name for field in fields(DatasetEntry)} - {"name"}
    if set(values) != needed:
        message = f"Entry {name!r} of the data registry has the fields {sorted(values)}; needed are {sorted(needed)}."
        raise DataError(message)
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


def _download(entry: DatasetEntry, sha256: str, cache_dir: str | Path | None) -> Path:
    import pooch

    url = entry.url or ""
    root = Path(cache_dir).expanduser() if cache_dir is not None else Path(pooch.os_cache("r2mae_bio"))
    folder = root / entry.name  # files of different sets have the same name, such as train.csv
    name = Path(urlsplit(url).path).name
    try:
        return Path(pooch.retrieve(url, known_hash=f"sha256:{sha256}", fname=name, path=folder))
    except ValueError as error:  # pooch says so when the hash differs, and has removed the download
        message = f"What {url} delivered is not the expected file (SHA-256 {sha256}); nothing was kept. {error}"
        raise DataError(message) from error
    except OSError as error:  # no network, a refused connection, a full disk
        message = f"{url} could not be downloaded into {folder}: {error}. Put the file there by hand as {name!r} and call again."
        raise DataError(message) from error


def _checked(path: Path, entry: DatasetEntry) -> Path:
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if found != entry.sha256:
        message = f"{path.name} of the installed package is damaged (SHA-256 {found}, registered {entry.sha256}). Install r2mae_bio again."
        raise DataError(message)
    return path
