"""Inventories of other projects' documentation, for building without a network.

``inventories.yaml`` lists, by project, the address of its documentation and the objects that our
pages name. Where the real inventory can be had, Sphinx takes that instead.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import yaml

LISTED = Path(__file__).with_name("inventories.yaml")


def write_inventories(folder: Path) -> dict[str, tuple[str, tuple[str | None, ...]]]:
    """Write an inventory for each project, and give what ``intersphinx_mapping`` needs."""
    mapping: dict[str, tuple[str, tuple[str | None, ...]]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for project, entry in yaml.safe_load(LISTED.read_text(encoding="utf-8")).items():
        path = folder / f"{project}.inv"
        path.write_bytes(inventory(project, entry["objects"]))
        mapping[project] = (entry["url"], (None, str(path)))
    return mapping


def inventory(project: str, objects: dict[str, Any]) -> bytes:
    """The second version of Sphinx's format: a header, and a compressed line for each object."""
    lines = [
        f"{name} py:{role} 1 {page.replace('*', name)} -\n"
        for role, by_page in objects.items()
        for page, names in by_page.items()
        for name in names
    ]
    header = f"# Sphinx inventory version 2\n# Project: {project}\n# Version: \n# The remainder of this file is compressed using zlib.\n"
    return header.encode() + zlib.compress("".join(lines).encode(), 9)
