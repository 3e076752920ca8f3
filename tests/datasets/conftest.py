"""Files on a server of this machine, and a registry that names them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from r2mae_bio.datasets import _registry

from ..file_server import files_of, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """What the server gives."""
    folder = tmp_path / "served"
    folder.mkdir()
    return folder


@pytest.fixture
def server(served: Path) -> Iterator[str]:
    """Address of the server."""
    with serving(files_of(served)) as address:
        yield address


def entry(**changes: object) -> dict[str, object]:
    base = dict.fromkeys(("url", "sha256", "bytes")) | dict.fromkeys(("licence", "citation", "source", "split"), "toy")
    return base | {"kind": "remote", "form": "cells", "loader": None, "shape": [1, 1]} | changes


@pytest.fixture
def registered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any]], Path]:
    """Replaces the registry by other entries, and gives its folder."""

    def register(entries: dict[str, Any]) -> Path:
        folder = tmp_path / "registry"
        folder.mkdir()
        (folder / "datasets.yaml").write_text(yaml.safe_dump(entries))
        monkeypatch.setattr(_registry, "registry_folder", lambda: folder)
        return folder

    return register


@pytest.fixture
def serve(
    served: Path, server: str, registered: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> Callable[[dict[str, bytes]], Path]:
    """Serves files, each under the name of its entry, and gives a folder for downloads."""

    def start(files: dict[str, bytes]) -> Path:
        for name, content in files.items():
            (served / name).write_bytes(content)
        known = {
            name: entry(url=f"{server}/{name}", sha256=hashlib.sha256(content).hexdigest()) for name, content in files.items()
        }
        registered(known)
        return tmp_path / "cache"

    return start
