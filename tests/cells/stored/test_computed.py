"""What workers of a cluster compute of cells in files: what one process does, whoever dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio._runs._journal import Journal
from r2mae_bio.cells.stored import _computed
from r2mae_bio.io import CellStore

from ...toy_cells import make_cells
from ..conftest import FORMATS, read

BATCH = {"batch_size": 4}


@pytest.fixture(autouse=True)
def _one_thread(one_thread, quiet_anndata, monkeypatch):
    """One thread, as workers have; blocks are as small as the cells are few."""
    monkeypatch.setattr(_computed, "_MOST_ROWS", 8)


@pytest.fixture
def alone(three_files, small_model, tmp_path):
    """Embeddings by one process."""
    rb.tl.embed(three_files, small_model, out=tmp_path / "alone.zarr", **BATCH)
    return read(tmp_path / "alone.zarr").obsm["X_r2mae"]


def embedded(files):
    return np.concatenate([read(path).obsm["X_r2mae"] for path in files])


def assert_same(found, expected):
    """To rounding: products of few rows differ in their last bits by where in memory these lie."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def leftovers(folder):
    return [path.name for path in folder.iterdir() if ".part" in path.name or path.name.startswith(".")]


@pytest.mark.parametrize("three_files", [FORMATS[0], FORMATS[2]], indirect=True)
def test_two_workers_write_what_one_process_writes(three_files, small_model, alone, client, tmp_path, caplog):
    with caplog.at_level("INFO", "r2mae_bio"):
        rb.tl.embed(CellStore(three_files), small_model, client=client, **BATCH)
    assert_same(embedded(three_files), alone)
    assert "embedding: 90 cells" in caplog.text
    rb.tl.embed(three_files, small_model, client=client, out=tmp_path / "again.h5ad", **BATCH)
    assert_same(read(tmp_path / "again.h5ad").obsm["X_r2mae"], alone)
    assert leftovers(tmp_path) == []


@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
def test_labels_and_imputed_counts_are_those_of_one_process(three_files, small_model, client, tmp_path):
    reference = make_cells(60, 30, seed=2)
    for name, of in (("one", None), ("two", client)):
        options = {"client": of, **BATCH}
        rb.tl.transfer_labels(
            three_files, reference, labels_key="group", model=small_model, out=tmp_path / f"{name}.h5ad", **options
        )
        rb.tl.impute(three_files, small_model, n_masks=2, reference=reference, out=tmp_path / f"{name}.zarr", **options)
    one, two = (read(tmp_path / f"{name}.h5ad") for name in ("one", "two"))
    assert_same(one.obsm["r2mae_label_probabilities"], two.obsm["r2mae_label_probabilities"])
    np.testing.assert_array_equal(one.obs["r2mae_label_unknown"], two.obs["r2mae_label_unknown"])
    one, two = (read(tmp_path / f"{name}.zarr") for name in ("one", "two"))
    assert_same(one.X, two.X)
    assert_same(one.layers["sd"], two.layers["sd"])
    assert leftovers(tmp_path) == []


@pytest.mark.slow
@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
def test_a_worker_killed_in_the_middle(three_files, small_model, alone, client, tmp_path, monkeypatch):
    victims, counted = [], []
    mark = Journal.mark

    def deadly(self, n):
        mark(self, n)
        counted.append(n)
        if sum(counted) in (20, 60):
            workers = client.run(os.getpid)
            victims.append(next(iter(workers.values())))
            os.kill(victims[-1], signal.SIGKILL)

    monkeypatch.setattr(Journal, "mark", deadly)
    rb.tl.embed(three_files, small_model, client=client, **BATCH)
    assert len(victims) == 2
    assert sum(counted) == 90
    assert_same(embedded(three_files), alone)


SCRIPT = """
import sys, time
from distributed import Client
import r2mae_bio as rb
from r2mae_bio.cells.stored import _computed
from r2mae_bio._runs._journal import Journal
_computed._COMMIT_SECONDS, _computed._MOST_ROWS = 0.0, 8
mark = Journal.mark
def slow(self, n):
    mark(self, n)
    time.sleep(0.2)
Journal.mark = slow
rb.tl.embed(sys.argv[3:], sys.argv[2], batch_size=4, client=Client(sys.argv[1]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
def test_a_killed_client_goes_on(three_files, small_model, alone, client, tmp_path, caplog):
    saved = small_model.save(tmp_path / "model")
    command = [sys.executable, "-c", SCRIPT, client.scheduler.address, str(saved), *map(str, three_files)]
    victim = subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})
    state = three_files[1].with_name(f"{three_files[1].name}.X_r2mae.part.json")
    while not state.exists():
        assert victim.poll() is None
        time.sleep(0.02)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    with caplog.at_level("INFO", "r2mae_bio"):
        rb.tl.embed(three_files, saved, client=client, **BATCH)
    (n_cells,) = (int(record.args[1]) for record in caplog.records if record.msg.startswith("%s: %d cells"))
    assert 28 <= n_cells <= 60  # those of the first file, and some of the second, were kept
    assert_same(embedded(three_files), alone)
    assert leftovers(tmp_path) == []
