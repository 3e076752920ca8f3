"""Where registries lie, what an entry must have, and files that came with the package."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from r2mae_bio._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_fields", "check_shipped", "registry_folder"]


def registry_folder() -> Path:
    """The registry of an installed package, or of a source checkout.

    Returns
    -------
    The folder with ``datasets.yaml`` and ``models.yaml``.

    Raises
    ------
    DataError
        There is none.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_data_registry", package.parent / "data_registry"):
        if (folder / "datasets.yaml").is_file():
            return folder
    message = (
        f"The data registry lies neither in {package} nor beside it; the installation is incomplete. Install r2mae_bio again."
    )
    raise DataError(message)


def check_fields(name: str, found: Iterable[str], needed: Iterable[str]) -> None:
    """Refuse an entry of a registry that lacks a field or has an unknown one.

    Parameters
    ----------
    name
        Of the entry.
    found, needed
        Names of the fields.

    Raises
    ------
    DataError
        They differ.
    """
    if set(found) != set(needed):
        message = f"Entry {name!r} of the data registry has the fields {sorted(found)}; needed are {sorted(needed)}."
        raise DataError(message)


def check_shipped(path: Path, sha256: str | None) -> Path:
    """A file that came with the package, if it is the registered one.

    Parameters
    ----------
    path
        Where it should lie.
    sha256
        Of the file, hexadecimal.

    Returns
    -------
    The same path.

    Raises
    ------
    DataError
        It is missing or another one.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "no file"
    if found != sha256:
        message = (
            f"{path.name} of the installed package is damaged (SHA-256 {found}, registered {sha256}). Install r2mae_bio again."
        )
        raise DataError(message)
    return path
