"""The list of models to take home, and where their files are."""

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

__all__ = ["ModelEntry", "path", "registry"]


@dataclass(frozen=True)
class ModelEntry:
    """One model of the list."""

    name: str
    """Key of the entry."""
    kind: str
    """``bundled`` (shipped here), ``remote`` (downloaded once) or ``recipe`` (trained by
    ``command``).
    """
    model: str
    """Class of :mod:`r2mae_bio.model`."""
    url: str | None
    """Address of the folder with the files of a remote model; None for others."""
    sha256: Mapping[str, str] | None
    """SHA-256 by file, 64 hexadecimal digits; None for a recipe."""
    bytes: Mapping[str, int] | None
    """Size by file, in bytes; None for a recipe."""
    trained_on: str
    """Species, tissue, technology and size of the training data."""
    licence: str
    """Terms of the training data."""
    source: str
    """Where the training data come from."""
    citation: str
    """Whom to cite."""
    command: str
    """What trains it, in a checkout of this package."""
    card: str
    """File of the registry that describes it: figures, and what it is not good for."""


def registry() -> Mapping[str, ModelEntry]:
    """All models of the list.

    Returns
    -------
    Name to entry, read-only.

    Raises
    ------
    DataError
        The list cannot be found, or an entry of it is incomplete.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> rb.models.registry()["blood-small"].licence
    'Apache-2.0'
    """
    import yaml

    content = yaml.safe_load((registry_folder() / "models.yaml").read_text(encoding="utf-8"))
    return MappingProxyType({name: _entry(name, values) for name, values in content.items()})


def path(name: str, *, cache_dir: str | Path | None = None) -> Path:
    """Folder of a model of the list, downloaded if it is not there yet.

    Every file is checked by its hash. After the first time no network is needed.

    Parameters
    ----------
    name
        Of the model.
    cache_dir
        Folder for downloads; the user's cache folder if None.

    Returns
    -------
    The folder, as :meth:`GeneMAE.load` and the command line take it.

    Raises
    ------
    DataError
        There is no such model, it has to be trained first, the download failed, or a file is not
        the registered one.

    Examples
    --------
    >>> import r2mae_bio as rb
    >>> sorted(file.name for file in rb.models.path("blood-small").iterdir())
    ['model.json', 'model.safetensors']
    """
    known = registry()
    if name not in known:
        message = f"There is no model {name!r}; ready-made are {', '.join(known)}."
        raise DataError(message)
    entry = known[name]
    if entry.sha256 is None:
        message = f"{name} is a recipe: nobody has published its weights. Train it in a checkout of r2mae_bio: {entry.command}"
        raise DataError(message)
    if entry.url is None:
        folder = registry_folder() / "models" / name
        files = [check_shipped(folder / file, digest) for file, digest in entry.sha256.items()]
    else:
        url = entry.url.rstrip("/")
        files = [download(f"{url}/{file}", digest, cache_dir, under=name) for file, digest in entry.sha256.items()]
    return files[0].parent


def _entry(name: str, values: dict[str, Any]) -> ModelEntry:
    check_fields(name, values, {field.name for field in fields(ModelEntry)} - {"name"})
    return ModelEntry(name=name, **values)
