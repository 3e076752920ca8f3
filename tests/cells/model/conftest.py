from __future__ import annotations

import pytest

from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells


@pytest.fixture(scope="module", autouse=True)
def _one_thread(one_thread):
    """In all tests of this folder."""


@pytest.fixture
def sizes():
    return dict(SIZES)


@pytest.fixture
def adata():
    return make_cells()


@pytest.fixture(scope="session")
def _trained():
    adata = make_cells()
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=3, **SIZES)
    model.train(max_epochs=3, batch_size=16, progress_bar=False)
    return model


@pytest.fixture
def model(_trained):
    return _trained


@pytest.fixture
def own(model, tmp_path):
    """A copy that may be changed."""
    return GeneMAE.load(model.save(tmp_path / "model"))


QUICK = CellFinetuneConfig(n_steps=30, evaluate_every=10, batch_size=32, learning_rate=1e-2)


def finetune(model, adata, **settings):
    return model.finetune(adata, **{"labels_key": "group", "config": QUICK, "progress_bar": False, **settings})


@pytest.fixture(scope="module")
def trained():
    adata = make_cells(150)
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=3, noise_pooling=0.0, panel_reader=False, **SIZES)  # leaves fine-tuning something to gain
    model.train(max_epochs=2, batch_size=32, progress_bar=False)
    return model


@pytest.fixture(scope="module")
def cells():
    return make_cells(150)


@pytest.fixture(scope="module")
def tuned(trained, cells):
    return finetune(trained, cells)
