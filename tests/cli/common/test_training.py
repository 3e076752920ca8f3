"""A training run as the command line shows it."""

from __future__ import annotations

import pytest

from r2mae_bio.cli.common._training import Watch
from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells


@pytest.fixture
def model() -> GeneMAE:
    cells = make_cells()
    GeneMAE.setup_anndata(cells)
    return GeneMAE(cells, **SIZES)


def test_one_bar_counts_the_steps_of_all_epochs(model: GeneMAE, capsys: pytest.CaptureFixture[str]) -> None:
    model.train(3, batch_size=27, callbacks=[Watch(shown=True)], progress_bar=False)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "training" in printed.err
    assert "6/6" in printed.err
