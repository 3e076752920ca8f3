"""``r2mae pretrain``: files of cells and genomes become the models that Python makes of them."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import anndata
import pytest

from r2mae_bio import tl
from r2mae_bio.cli.common._training import Watch
from r2mae_bio.io import CellStore
from r2mae_bio.model import DNAMAE, GeneMAE

from ...toy_cells import SIZES
from ..conftest import TINY_CELLS, TINY_DNA


def test_it_trains_what_python_trains(folder: Path, printed: Any) -> None:
    said = printed("info", "model")
    cells = anndata.read_h5ad("cells.h5ad")
    options = {"max_epochs": 1, "progress_bar": False}
    model = tl.pretrain(cells, layer="counts", batch_key="batch", model_kwargs=SIZES, **options)
    assert said["checksum"] == model.checksum() == GeneMAE.load("model").checksum()
    assert said["layer"] == "counts"


def test_dna_too(folder: Path) -> None:
    model = DNAMAE("genome.fa.gz", window=64, n_layers=1, d_model=16)
    model.train(1, epoch_windows=64, progress_bar=False)
    assert DNAMAE.load("dna_model").checksum() == model.checksum()


@pytest.mark.parametrize("files", [["one.h5ad", "two.h5ad"], ["one.h5ad", "--in-files"]])
def test_several_files_stay_where_they_are(folder: Path, printed: Any, files: list[str]) -> None:
    cells = anndata.read_h5ad("cells.h5ad")
    cells[:30].copy().write_h5ad("one.h5ad")
    cells[30:, :25].copy().write_h5ad("two.h5ad")
    said = printed("pretrain", *files, "--labels-key", "group", "--out", "stored", *TINY_CELLS)
    store = CellStore([name for name in files if name.endswith("h5ad")], obs=["group"])
    model = tl.pretrain(store, labels_key="group", model_kwargs=SIZES, max_epochs=1, progress_bar=False)
    store.close()
    assert said["checksum"] == model.checksum()


@pytest.mark.parametrize(("text", "law"), [("0.5", "Fixed"), ("0.1,0.8", "Uniform"), ("auto", "Uniform")])
def test_mask_ratios(folder: Path, r2mae: Any, text: str, law: str) -> None:
    assert r2mae("pretrain", "cells.h5ad", "--mask-ratio", text, "--out", "m", *TINY_CELLS)[0] == 0
    assert type(GeneMAE.load("m").mask_ratio).__name__ == law


def test_a_run_of_other_settings_is_not_continued(folder: Path, r2mae: Any) -> None:
    kept = ["--checkpoint-dir", "kept"]
    assert r2mae("pretrain", "genome.fa.gz", *TINY_DNA, *kept, "--out", "m")[0] == 0
    assert any(Path("kept").glob("step_*"))  # a folder that the user names stays
    code, _, err = r2mae("pretrain", "genome.fa.gz", *TINY_DNA, *kept, "--seed", "1", "--out", "m", "--overwrite")
    assert code == 1
    assert "belongs to another run" in err
    assert "--no-resume begins anew" in err
    Path("kept").rename("m.training")
    again = ["pretrain", "genome.fa.gz", *TINY_DNA, "--seed", "1", "--out", "m", "--overwrite"]
    assert r2mae(*again)[0] == 1
    assert r2mae(*again, "--no-resume")[0] == 0
    assert DNAMAE.load("m").record.seed == 1
    assert not Path("m.training").exists()


def test_what_lies_beside_a_run_stays(folder: Path, r2mae: Any) -> None:
    Path("m.training").mkdir()
    Path("m.training/notes.txt").write_text("precious")
    assert r2mae("pretrain", "cells.h5ad", *TINY_CELLS, "--no-resume", "--out", "m")[0] == 0
    assert [path.name for path in Path("m.training").iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("wrong", [["--accelerator", "foo"], ["--accelerator", "cpu", "--devices", "x"], ["--devices", "0"]])
def test_devices_that_are_not_there_are_told(folder: Path, r2mae: Any, wrong: list[str]) -> None:
    code, out, err = r2mae("pretrain", "genome.fa.gz", *TINY_DNA, *wrong, "--quiet", "--out", "m")
    assert (code, out) == (1, "")
    assert err.startswith("error: No trainer can be made on this machine with accelerator=")
    assert "should not happen" not in err


def test_after_ctrl_c_it_says_what_there_is(folder: Path, r2mae: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(self: Watch, *args: Any) -> None:
        signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "on_train_batch_end", interrupted)
        code, _, err = r2mae("pretrain", "genome.fa.gz", *TINY_DNA, "--batch-size", "16", "--out", "m")
    assert code == 130
    assert "interrupted after step 1 of 4; a checkpoint to go on from is in m.training" in err
    assert "the model keeps" not in err
    assert not Path("m").exists()
    assert list(Path("m.training").glob("step_*"))
    assert r2mae("pretrain", "genome.fa.gz", *TINY_DNA, "--batch-size", "16", "--out", "m")[0] == 0


def test_contigs_too_short_to_hold_out_their_end(folder: Path, r2mae: Any) -> None:
    code, _, err = r2mae("pretrain", "genome.fa.gz", "--window", "400", "--out", "m")
    assert code == 1
    assert "300: fewer than the window of 400" in err
    assert "min_block" not in err
