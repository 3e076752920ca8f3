"""A script that Lightning starts once for each rank: trains on toy cells and writes the weights.

python two_ranks.py FOLDER NAME SETTINGS
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytorch_lightning as pl
import torch

from r2mae_bio.masking import Uniform
from r2mae_bio.model import GeneMAE

# A script has its folder on the path. For tests it must not be put there: transformers would take
# tests/datasets for the library of that name.
if __package__:
    from .toy_cells import SIZES, make_cells
else:
    from toy_cells import SIZES, make_cells


class Dies(pl.Callback):
    """All ranks are killed at this step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.global_step == self.step:
            os._exit(9)


def train(folder: Path, *, scope="row", panels=False, devices=2, die=None, resume=False) -> GeneMAE:
    """As the file says; also called with one device, without the script."""
    torch.set_num_threads(1)
    cells = make_cells()
    measured = None
    if panels:
        names = list(cells.var_names)
        measured = {"a": names, "b": names[:20]}
        cells.obs["batch"] = ["a" if i % 3 else "b" for i in range(cells.n_obs)]
    GeneMAE.setup_anndata(cells, measured=measured, panel_key="batch" if panels else None)
    model = GeneMAE(cells, mask_ratio=Uniform(0, 1, scope=scope), seed=1, **{**SIZES, "dropout": 0.0})
    place = {"resume_from": folder / "run"} if resume else {"checkpoint_dir": folder / "run"}
    model.train(
        3,
        batch_size=15,
        accelerator="cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        progress_bar=False,
        checkpoint_every_n_steps=1,
        callbacks=[] if die is None else [Dies(die)],
        **place,
    )
    return model


if __name__ == "__main__":
    torch.use_deterministic_algorithms(mode=True)
    where, name, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    train(where / name, **settings).save(where / name / "model")
