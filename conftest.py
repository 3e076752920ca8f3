"""What the examples in docstrings need to run as tests; fixtures of the tests are in ``tests/``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

# Pictures are drawn without a screen.
os.environ.setdefault("MPLBACKEND", "Agg")


@pytest.fixture(autouse=True)
def _surroundings_of_an_example(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a reader types into a fresh interpreter knows none of the module's names, and writes to
    the working directory and to the user's caches: forget those names, and give folders that are
    thrown away.
    """
    if not isinstance(request.node, pytest.DoctestItem):
        yield
        return
    folder: Path = request.getfixturevalue("tmp_path")
    monkeypatch: pytest.MonkeyPatch = request.getfixturevalue("monkeypatch")
    request.node.dtest.globs = {"__name__": "__main__"}
    monkeypatch.chdir(folder)
    monkeypatch.setattr("pooch.os_cache", lambda project: folder / "caches" / project)
    yield
    if (plt := sys.modules.get("matplotlib.pyplot")) is not None:
        plt.close("all")
