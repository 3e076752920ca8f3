"""Genomes, variants and labelled sequences."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

import r2mae_bio as rb

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_lambda_phage() -> None:
    with gzip.open(rb.datasets.lambda_phage(), "rt") as file:
        header, *lines = file.read().splitlines()
    sequence = "".join(lines)
    assert "NC_001416.1" in header
    assert len(sequence) == rb.datasets.registry()["lambda_phage"].shape[1] == 48502
    assert set(sequence) == set("ACGT")
    assert round(sum(map(sequence.count, "GC")) / len(sequence), 3) == 0.499


def test_files_are_given_by_path(serve: Callable[[dict[str, bytes]], Path]) -> None:
    files = {"ecoli_k12": b">c\nACGT\n", "human_chr20": b">z\nAC\n", "human_chr20_variants": b"##fileformat=VCFv4.1\n"}
    cache = serve(files)
    found = [rb.datasets.ecoli_k12(cache_dir=cache), *rb.datasets.human_chr20(cache_dir=cache)]
    assert [path.read_bytes() for path in found] == list(files.values())


def test_sequences_have_the_split_of_their_files(serve: Callable[[dict[str, bytes]], Path]) -> None:
    cache = serve(
        {f"gue_mouse_2_{part}": f"sequence,label\nACG{part[0]},1\nTTT,0\n".encode() for part in ("train", "dev", "test")}
    )
    table = rb.datasets.gue_mouse_2(cache_dir=cache)
    assert list(table.columns) == ["sequence", "label", "split"]
    assert table["split"].tolist() == ["train", "train", "dev", "dev", "test", "test"]
    assert table["label"].tolist() == [1, 0] * 3
    assert all(row.sequence == "TTT" or row.sequence[-1] == row.split[0] for row in table.itertuples())
