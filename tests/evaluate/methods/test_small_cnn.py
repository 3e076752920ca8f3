"""A small network as a floor."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from r2mae_bio.core._metrics import class_metrics
from r2mae_bio.evaluate import SmallCNN
from r2mae_bio.evaluate.methods._sequence_controls import sequence_control
from r2mae_bio.io import read_sequence_table

from ..conftest import LENGTH, draw

if TYPE_CHECKING:
    import pandas as pd


def mcc(table: pd.DataFrame, method: str) -> float:
    task = read_sequence_table(table)
    return class_metrics(task.test.labels, sequence_control(task, method))["mcc"]


def test_the_network_is_a_floor_of_its_own(place):
    assert mcc(place, "small CNN") > 0.9
    codes = torch.from_numpy(draw(n=2).astype(np.int64))
    states = SmallCNN(d_model=16).states(codes)
    assert states.shape == (2, LENGTH, 16)
    torch.testing.assert_close(states, SmallCNN(d_model=16).states(codes))
    assert not torch.allclose(states, SmallCNN(d_model=16, seed=1).states(codes))
