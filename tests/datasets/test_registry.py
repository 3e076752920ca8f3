"""The registry, and downloads that are right or absent."""

from __future__ import annotations

import hashlib
import importlib
import importlib.resources
import re
from typing import TYPE_CHECKING, Any

import pytest

import r2mae_bio as rb
from r2mae_bio import datasets
from r2mae_bio._errors import DataError

from .conftest import entry

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONTENT = b"counts " * 1000


@pytest.fixture
def toy_registry(served: Path, server: str, registered: Callable[[dict[str, Any]], Path]) -> Path:
    (served / "toy.bin").write_bytes(CONTENT)
    digest = hashlib.sha256(CONTENT).hexdigest()
    entries = {
        "good": entry(url=f"{server}/toy.bin?raw=1", sha256=digest, bytes=len(CONTENT)),
        "changed": entry(url=f"{server}/toy.bin", sha256="0" * 64),
        "gone": entry(url=f"{server}/none.bin", sha256=digest),
        "refused": entry(url="http://127.0.0.1:9/toy.bin", sha256=digest),
        "unverified": entry(url=f"{server}/toy.bin"),
        "inside": entry(kind="embedded"),
        "elsewhere": entry(kind="embedded", loader="sklearn.datasets.load_digits"),
        "system": entry(kind="package", url="usr/share/a.maf.gz", source="Debian package a (apt-get download a)"),
        "damaged": entry(kind="bundled", url="a.txt", sha256=digest),
        "lost": entry(kind="bundled", url="b.txt", sha256=digest),
    }
    folder = registered(entries)
    (folder / "a.txt").write_text("damaged")
    return folder


FORMS = {"cells", "table", "genome", "annotation", "variants", "alignment", "sequences", "images", "R object"}
PINNED = r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/[0-9a-f]{40}/\S+"
UNVERIFIED = {"pbmc68k", "pbmc3k_raw"}


def test_registry_is_complete_and_read_only() -> None:
    known = rb.datasets.registry()
    assert len(known) >= 12
    for name, item in known.items():
        assert item.name == name
        assert item.kind in {"embedded", "bundled", "package", "remote"}
        assert item.form in FORMS
        assert item.licence
        assert item.citation
        assert (item.sha256 is None) == (item.bytes is None) == (name in UNVERIFIED)
        assert item.sha256 is None or re.fullmatch("[0-9a-f]{64}", item.sha256)
        if item.kind == "bundled":
            assert datasets.fetch(name).stat().st_size == item.bytes
        if item.kind == "embedded":
            assert item.loader
        if item.kind == "remote" and item.sha256:  # what was checked stays what it is
            assert re.fullmatch(PINNED, item.url)
    with pytest.raises(TypeError):
        known["x"] = None


def test_every_loader_is_there_and_reads_entries() -> None:
    known = rb.datasets.registry().values()
    for item in known:
        if item.loader:
            module, _, name = item.loader.rpartition(".")
            assert callable(getattr(importlib.import_module(module or "r2mae_bio.datasets"), name))
    ours = {name for name in datasets.__all__ if name not in {"DatasetEntry", "fetch", "registry"}}
    assert ours == {item.loader for item in known if item.loader and "." not in item.loader}
    assert {item.name for item in known if item.form == "cells" and item.loader} <= ours  # as the command line takes it


def test_a_file_of_another_package_is_the_registered_one() -> None:
    import sklearn.datasets

    item = rb.datasets.registry()["digits"]
    path = importlib.resources.files(sklearn.datasets) / "data" / "digits.csv.gz"
    assert hashlib.sha256(path.read_bytes()).hexdigest() == item.sha256
    assert sklearn.datasets.load_digits().data.shape == item.shape


def test_download_is_checked_and_cached(toy_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    path = rb.datasets.fetch("good", cache_dir=cache)
    assert path == cache / "good" / "toy.bin"
    assert path.read_bytes() == CONTENT
    monkeypatch.setattr("requests.get", None)  # a second download would fail
    assert rb.datasets.fetch("good", cache_dir=str(cache)) == path


def test_a_damaged_cache_is_replaced(toy_registry: Path, tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    (tmp_path / "good" / "toy.bin").write_bytes(b"cut short")
    assert rb.datasets.fetch("good", cache_dir=tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("name", "known_hash", "match"),
    [
        ("changed", None, r"not the expected file \(SHA-256 0000.*nothing was kept"),
        ("unverified", "1" * 64, r"not the expected file \(SHA-256 1111"),
        ("gone", None, r"none\.bin could not be downloaded.*404.*by hand as 'none\.bin'"),
        ("refused", None, "could not be downloaded"),
        ("unverified", None, r"Nobody has verified.*known_hash="),
        ("good", "1" * 64, "is not the registered hash"),
        ("inside", None, r"call r2mae_bio\.datasets\.inside\(\)"),
        ("elsewhere", None, r"call sklearn\.datasets\.load_digits\(\)"),
        ("system", None, r"It is usr/share/a\.maf\.gz in the Debian package a \(apt-get download a\)"),
        ("damaged", None, r"a\.txt of the installed package is damaged"),
        ("lost", None, r"b\.txt of the installed package is damaged \(SHA-256 no file"),
        ("nonsense", None, r"no data set 'nonsense'; the registry knows \['changed', 'damaged'"),
    ],
)
def test_refusals_leave_no_file(toy_registry: Path, tmp_path: Path, name: str, known_hash: str | None, match: str) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    with pytest.raises(DataError, match=match):
        rb.datasets.fetch(name, cache_dir=cache, known_hash=known_hash)
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_unverified_entry_with_a_hash(toy_registry: Path, tmp_path: Path) -> None:
    known_hash = hashlib.sha256(CONTENT).hexdigest().upper()
    assert rb.datasets.fetch("unverified", cache_dir=tmp_path / "c", known_hash=known_hash).read_bytes() == CONTENT


def test_broken_registry(toy_registry: Path) -> None:
    (toy_registry / "datasets.yaml").write_text("x: {kind: remote}")
    with pytest.raises(DataError, match=r"Entry 'x' .* has the fields \['kind'\]; needed are \['bytes'"):
        rb.datasets.registry()
