"""Two ranks train as one does, write once, and go on after a kill as if nothing had been."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from r2mae_bio.model import GeneMAE

from ...toy_cells import make_cells
from ...two_ranks import train

SCRIPT = Path(__file__).resolve().parents[2] / "two_ranks.py"


def two_ranks(folder, name, **settings):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MASTER_ADDR": "localhost", "MASTER_PORT": str(port)}
    command = [sys.executable, "-W", "ignore", str(SCRIPT), str(folder), name, json.dumps(settings)]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment, start_new_session=True, **pipes) as process:
        try:
            _, errors = process.communicate(timeout=300)
        finally:  # a rank that is left alone would wait for the other one
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == (9 if "die" in settings else 0), errors[-3000:]
    return None if "die" in settings else GeneMAE.load(folder / name / "model")


def weights(model):
    return {name: tensor.double().numpy() for name, tensor in model.network.state_dict().items()}


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{"scope": "batch"}, {"panels": True}], ids=["one-ratio", "panels"])
def test_two_ranks_train_as_one(tmp_path, settings, one_thread):
    ours, alone = two_ranks(tmp_path, "two", **settings), train(tmp_path / "one", devices=1, **settings)
    for name, values in weights(alone).items():
        if "panel_reader" not in name:
            np.testing.assert_allclose(weights(ours)[name], values, rtol=1e-5, atol=1e-5, err_msg=name)
    # The panel reader is fitted to a network whose gradients two ranks summed in another order. Its
    # steps divide a gradient by its size, so rounding moves weights; what it reads must not move.
    panel = make_cells()[:, :12].copy()
    read, expected = ours.get_latent_representation(panel), alone.get_latent_representation(panel)
    np.testing.assert_allclose(read, expected, atol=1e-4 * np.abs(expected).max())
    losses = [name for name in alone.history if "loss" in name]
    np.testing.assert_allclose(ours.history[losses], alone.history[losses], rtol=1e-5)
    assert ours.record.mask_ratios == alone.record.mask_ratios
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == ["model", "run"]
    assert len(pd.read_csv(tmp_path / "two" / "run" / "history.csv")) == 3


@pytest.mark.slow
def test_a_run_that_was_killed_ends_as_the_one_that_was_not(tmp_path):
    whole = two_ranks(tmp_path, "whole")
    two_ranks(tmp_path, "killed", die=6)  # in the middle of the second epoch
    resumed = two_ranks(tmp_path, "killed", resume=True)
    for name, values in weights(whole).items():
        np.testing.assert_array_equal(weights(resumed)[name], values, err_msg=name)
    times = [name for name in whole.history if "per_second" in name]
    pd.testing.assert_frame_equal(
        whole.history.drop(columns=times), resumed.history.drop(columns=times), check_exact=False, rtol=1e-12
    )
    assert whole.record.mask_ratios == resumed.record.mask_ratios
