"""A training run as the command line shows it."""

from __future__ import annotations

from typing import Any

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


def test_it_knows_of_ctrl_c_and_gives_it_back(model: GeneMAE) -> None:
    import signal

    from pytorch_lightning.callbacks import Callback

    class Press(Callback):
        def on_train_batch_start(self, *args: Any) -> None:
            signal.raise_signal(signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    watch = Watch(shown=False)
    model.train(3, callbacks=[watch, Press()], progress_bar=False)
    assert watch.interrupted
    assert signal.getsignal(signal.SIGINT) is before
    whole = Watch(shown=False)
    model.train(1, callbacks=[whole], progress_bar=False)
    assert not whole.interrupted
