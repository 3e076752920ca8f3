"""``r2mae fetch``: data sets as files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anndata

from r2mae_bio import datasets


def test_a_file_of_the_package(folder: Path, printed: Any) -> None:
    said = printed("fetch", "lambda_phage")
    assert Path(said["path"]) == datasets.lambda_phage()
    printed("fetch", "lambda_phage", "--out", "phage.fa.gz")
    assert Path("phage.fa.gz").read_bytes() == datasets.lambda_phage().read_bytes()


def test_cells_of_another_package(folder: Path, r2mae: Any) -> None:
    code, _, err = r2mae("fetch", "pbmc68k")
    assert code == 1
    assert "pbmc68k" in err
    assert r2mae("fetch", "pbmc68k", "--out", "pbmc68k.h5ad")[0] == 0
    assert anndata.read_h5ad("pbmc68k.h5ad").shape == (700, 765)


def test_the_list_is_the_registry(printed: Any, r2mae: Any) -> None:
    assert [entry["name"] for entry in printed("fetch", "--list")["datasets"]] == list(datasets.registry())
    assert [line.split()[0] for line in r2mae("fetch", "--list")[1].splitlines()] == list(datasets.registry())


def test_remote_cells_are_written_as_cells(folder: Path, r2mae: Any, monkeypatch: Any) -> None:
    asked = []

    def kidney(*, cache_dir: str | None) -> anndata.AnnData:
        asked.append(cache_dir)
        return datasets.pbmc68k()[:5].copy()

    monkeypatch.setattr("r2mae_bio.datasets.kidney", kidney)
    code, _, err = r2mae("fetch", "kidney", "--out", "kidney.zarr", "--cache-dir", "downloads")
    assert code == 0, err
    assert asked == ["downloads"]
    assert anndata.read_zarr("kidney.zarr").n_obs == 5
