"""Data sets: recovered counts, the registry, downloads that are right or absent."""

from __future__ import annotations

import gzip
import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import numpy as np
import pytest
import yaml

import r2mae_bio as rb
from r2mae_bio import datasets
from r2mae_bio._errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONTENT = b"counts " * 1000


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "toy.bin").write_bytes(CONTENT)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder)) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_address[1]}"
        httpd.shutdown()
        thread.join()


def entry(**changes: object) -> dict[str, object]:
    base = dict.fromkeys(("url", "sha256", "bytes")) | dict.fromkeys(("licence", "citation", "source", "split"), "toy")
    return base | {"kind": "remote", "shape": [1, 1]} | changes


@pytest.fixture
def toy_registry(tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "registry"
    folder.mkdir()
    digest = hashlib.sha256(CONTENT).hexdigest()
    entries = {
        "good": entry(url=f"{server}/toy.bin?raw=1", sha256=digest, bytes=len(CONTENT)),
        "changed": entry(url=f"{server}/toy.bin", sha256="0" * 64),
        "gone": entry(url=f"{server}/none.bin", sha256=digest),
        "refused": entry(url="http://127.0.0.1:9/toy.bin", sha256=digest),
        "unverified": entry(url=f"{server}/toy.bin"),
        "inside": entry(kind="embedded"),
        "damaged": entry(kind="bundled", url="a.txt", sha256=digest),
        "lost": entry(kind="bundled", url="b.txt", sha256=digest),
    }
    (folder / "datasets.yaml").write_text(yaml.safe_dump(entries))
    (folder / "a.txt").write_text("damaged")
    monkeypatch.setattr(datasets, "_registry_folder", lambda: folder)
    return folder


def test_pbmc68k_counts_agree_with_what_scanpy_ships() -> None:
    import scanpy as sc

    adata = rb.datasets.pbmc68k()
    assert adata.shape == (700, 765)
    assert adata.X.dtype == np.float32
    assert adata.X.format == "csr"
    report = rb.pp.check_counts(adata)
    assert rb.pp.check_counts(adata, layer="counts") == report
    assert not np.shares_memory(adata.X.data, adata.layers["counts"].data)
    assert 0 < adata.uns["source"]["max_residual"] < 0.1
    shipped = sc.datasets.pbmc68k_reduced().raw
    forward = np.log1p(adata.X.toarray() / adata.obs["n_counts"].to_numpy()[:, None] * 1e4)
    np.testing.assert_allclose(forward, shipped.X.toarray(), atol=6e-4)  # shipped with three decimals
    assert list(adata.var_names) == list(shipped.var_names)
    assert np.all(adata.obs["n_counts"] >= adata.X.sum(1).A1)
    assert adata.obs["bulk_labels"].nunique() == 10


def test_pbmc68k_from_another_file_is_refused() -> None:
    with pytest.raises(DataError, match=r"up to 0\.4 away from a whole number; at most 0\.1"):
        datasets._whole(np.array([1.0, 2.4]))


def test_lambda_phage() -> None:
    with gzip.open(rb.datasets.lambda_phage(), "rt") as file:
        header, *lines = file.read().splitlines()
    sequence = "".join(lines)
    assert "NC_001416.1" in header
    assert len(sequence) == rb.datasets.registry()["lambda_phage"].shape[1] == 48502
    assert set(sequence) == set("ACGT")
    assert round(sum(map(sequence.count, "GC")) / len(sequence), 3) == 0.499


def test_registry_is_complete_and_read_only() -> None:
    known = rb.datasets.registry()
    for name, item in known.items():
        assert item.name == name
        assert item.kind in {"embedded", "bundled", "remote"}
        assert item.sha256 is None or len(item.sha256) == 64
        assert item.licence
        assert item.citation
        if item.kind == "bundled":
            assert datasets.fetch(name).stat().st_size == item.bytes
        if item.kind == "embedded":
            assert callable(getattr(datasets, name))
    with pytest.raises(TypeError):
        known["x"] = None


def test_download_is_checked_and_cached(toy_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = tmp_path / "cache"
    path = rb.datasets.fetch("good", cache_dir=cache)
    assert path == cache / "toy.bin"
    assert path.read_bytes() == CONTENT
    monkeypatch.setattr("requests.get", None)  # a second download would fail
    assert rb.datasets.fetch("good", cache_dir=str(cache)) == path


def test_a_damaged_cache_is_replaced(toy_registry: Path, tmp_path: Path) -> None:
    (tmp_path / "toy.bin").write_bytes(b"cut short")
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
    assert list(cache.iterdir()) == []


def test_unverified_entry_with_a_hash(toy_registry: Path, tmp_path: Path) -> None:
    known_hash = hashlib.sha256(CONTENT).hexdigest().upper()
    assert rb.datasets.fetch("unverified", cache_dir=tmp_path / "c", known_hash=known_hash).read_bytes() == CONTENT


def test_broken_registry(toy_registry: Path) -> None:
    (toy_registry / "datasets.yaml").write_text("x: {kind: remote}")
    with pytest.raises(DataError, match=r"Entry 'x' .* has the fields \['kind'\]; needed are \['bytes'"):
        rb.datasets.registry()


def test_missing_registry(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(datasets, "__file__", str(tmp_path / "r2mae_bio" / "datasets.py"))
    with pytest.raises(DataError, match="Install r2mae_bio again"):
        rb.datasets.registry()
