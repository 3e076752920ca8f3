from __future__ import annotations

import pytest
import torch

from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    """Networks this small only wait for one another's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


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
