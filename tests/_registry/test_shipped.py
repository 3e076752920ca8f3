"""Where registries lie; what they name is tried by the tests of data sets and models."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from r2mae_bio._errors import DataError
from r2mae_bio._registry import _shipped

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("where", ["r2mae_bio/_data_registry", "data_registry"])
def test_it_is_found_in_a_wheel_and_in_a_checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, where: str) -> None:
    monkeypatch.setattr(_shipped, "__file__", str(tmp_path / "r2mae_bio" / "_registry" / "_shipped.py"))
    (tmp_path / where).mkdir(parents=True)
    (tmp_path / where / "datasets.yaml").touch()
    assert _shipped.registry_folder() == tmp_path / where


def test_a_missing_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(_shipped, "__file__", str(tmp_path / "r2mae_bio" / "_registry" / "_shipped.py"))
    with pytest.raises(DataError, match="Install r2mae_bio again"):
        _shipped.registry_folder()
