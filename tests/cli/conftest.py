"""A folder with the files that examples name, and two models, trained by the command line."""

from __future__ import annotations

import gzip
import json
import logging
import shutil
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from r2mae_bio.cli import main

from ..toy_cells import SIZES, make_cells

if TYPE_CHECKING:
    from pathlib import Path

TINY_CELLS = ["--max-epochs", "1", "--model-kwargs", json.dumps(SIZES)]
TINY_DNA = [
    "--window",
    "64",
    "--n-layers",
    "1",
    "--max-epochs",
    "1",
    "--epoch-windows",
    "64",
    "--model-kwargs",
    '{"d_model": 16}',
]
N_CELLS = 60


def write_files(folder: Path) -> None:
    """What the examples take for granted, from one seed."""
    cells = make_cells(N_CELLS)
    cells.layers["counts"] = cells.X.copy()
    cells.write_h5ad(folder / "cells.h5ad")
    make_cells(20, seed=0)[:, ::-1].copy().write_h5ad(folder / "query.h5ad")
    bases = "".join(np.random.default_rng(0).choice(list("ACGT"), 3000))
    header = "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
    rows = [f"chr1\t{p}\t.\t{bases[p - 1]}\t{'ACGT'[bases[p - 1] == 'A']}\t.\t.\t.\n" for p in range(101, 121)]
    gene = "chr1\t.\tgene\t801\t1000\t.\t+\t.\tID=a\n"
    packed = {"genome.fa.gz": f">chr1\n{bases}\n", "cohort.vcf.gz": header + "".join(rows), "genes.gff3.gz": gene}
    for name, text in packed.items():
        with gzip.open(folder / name, "wt") as stream:
            stream.write(text)
    (folder / "promoters.fa").write_text(">first\nGATTACA\n>second\nACGTNNACGT\n")
    (folder / "peaks.bed").write_text("chr1\t1000\t1040\nchr1\t2000\t2030\n")


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files and models, made once."""
    folder = tmp_path_factory.mktemp("made")
    write_files(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("pooch.os_cache", lambda project: folder / "caches" / project)
        assert main(["pretrain", "cells.h5ad", "--layer", "counts", "--batch-key", "batch", "--out", "model", *TINY_CELLS]) == 0
        assert main(["pretrain", "genome.fa.gz", "--out", "dna_model", *TINY_DNA]) == 0
        for shard in (1, 2):
            assert (
                main(
                    [
                        *["track", "genome.fa.gz", "--model", "dna_model", "--regions", "peaks.bed"],
                        "--shard",
                        f"{shard}/2",
                        "--out",
                        f"parts/{shard}.logp",
                    ]
                )
                == 0
            )
    return folder


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy to work in."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pooch.os_cache", lambda project: tmp_path / "caches" / project)
    return tmp_path


@pytest.fixture
def r2mae(capfd: pytest.CaptureFixture[str]) -> Any:
    """Runs a command: exit code, standard output, standard error."""

    def run(*args: Any) -> tuple[int, str, str]:
        capfd.readouterr()
        before = logging.getLogger("r2mae_bio").handlers[:]
        code = main([str(arg) for arg in args])
        assert logging.getLogger("r2mae_bio").handlers == before
        printed = capfd.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def printed(r2mae: Any) -> Any:
    """Runs a command that works, and reads the JSON that it prints."""

    def run(*args: Any) -> dict[str, Any]:
        code, out, err = r2mae(*args, "--json")
        assert code == 0, err
        return json.loads(out)

    return run
