"""``r2mae info``: models, cells and genomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anndata
import pandas as pd
import pytest

from r2mae_bio import tl
from r2mae_bio.config import CellFinetuneConfig, FinetuneConfig
from r2mae_bio.model import DNAMAE, GeneMAE

if TYPE_CHECKING:
    from pathlib import Path


def test_cells(folder: Path, printed: Any) -> None:
    cells = anndata.read_h5ad("cells.h5ad")
    cells.X = cells.X.log1p()
    tl.embed(cells, "model", layer="counts")
    cells.write_h5ad("more.h5ad")
    said = printed("info", "more.h5ad")
    assert (said["cells"], said["genes"], said["obs"]) == (60, 30, ["group", "batch"])
    assert said["raw counts in"] == ["counts"]
    assert said["obsm"] == ["X_r2mae"]
    assert "embed" in said["written by r2mae_bio"]


def test_genome(folder: Path, printed: Any) -> None:
    said = printed("info", "genome.fa.gz")
    assert said["lengths"] == {"chr1": 3000}


def test_a_ready_made_model(folder: Path, printed: Any) -> None:
    said = printed("info", "blood-small")
    assert (said["kind"], said["genes"], said["is_trained"]) == ("GeneMAE", 8845, True)


@pytest.mark.parametrize("kind", ["CellClassifier", "GeneMAE", "DNAMAE", "SequenceClassifier"])
def test_every_kind_of_model(folder: Path, printed: Any, r2mae: Any, kind: str) -> None:
    names = {"GeneMAE": "model", "DNAMAE": "dna_model", "CellClassifier": "labels", "SequenceClassifier": "labels"}
    if kind == "CellClassifier":
        cells = anndata.read_h5ad("cells.h5ad")
        config = CellFinetuneConfig(n_steps=2)
        GeneMAE.load("model").finetune(cells, labels_key="group", config=config, progress_bar=False).save("labels")
    if kind == "SequenceClassifier":
        rows = [(bases, label, split) for bases, label in (("ACGT" * 8, 0), ("TTGA" * 8, 1)) for split in ("train", "dev")] * 4
        table = pd.DataFrame(rows, columns=["sequence", "label", "split"])
        DNAMAE.load("dna_model").finetune(table, config=FinetuneConfig(n_steps=2, batch_size=4)).save("labels")
    assert printed("info", names[kind])["kind"] == kind
    assert r2mae("info", names[kind])[1].splitlines()[0].split() == ["kind", kind]


def test_a_training_run_that_is_not_finished(folder: Path, printed: Any) -> None:
    GeneMAE.load("model").save("run.training/step_00000001")
    assert printed("info", "run.training")["kind"] == "GeneMAE"
