"""Embeddings written into files: whole or not at all, from where a killed run stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio.cells.stored import _computed
from r2mae_bio.cells.stored._computed import Rows
from r2mae_bio.errors import ConfigError, DataError, JournalError
from r2mae_bio.io import CellStore
from r2mae_bio.model import GeneMAE

from ..toy_cells import SIZES
from .conftest import FORMATS, read, write


@pytest.fixture(autouse=True)
def _one_thread(one_thread, quiet_anndata):
    """Bits depend on the number of threads."""


@pytest.fixture
def model(small_model):
    return small_model


@pytest.fixture
def cells(whole):
    return whole


@pytest.fixture
def files(three_files):
    return three_files


def leftovers(folder):
    return sorted(p.name for p in folder.iterdir() if not p.name.startswith("part") or ".X_" in p.name)


def test_files_get_embeddings_and_keep_the_rest(cells, files, model, tmp_path):
    before = [read(path) for path in files]
    matrices = [(path / "X").stat().st_mtime_ns for path in files if path.is_dir()]
    store = CellStore(files)
    assert rb.tl.embed(store, model, batch_size=8) is None
    expected = model.get_latent_representation(cells)
    for number, (path, then) in enumerate(zip(files, before, strict=True)):
        now = read(path)
        np.testing.assert_allclose(now.obsm["X_r2mae"], expected[30 * number : 30 * number + 30], atol=1e-6)
        assert now.obsm["X_r2mae"].dtype == np.float32
        record = now.uns["r2mae"]
        assert record["embed"]["X_r2mae"]["vocabulary"] == model.vocabulary.fingerprint()
        assert record["coverage"]["matched"] == 30
        np.testing.assert_array_equal(now.X.toarray(), then.X.toarray())
        np.testing.assert_array_equal(now.obsm["X_other"], then.obsm["X_other"])
        assert now.uns["kept"] == then.uns["kept"]
        assert list(now.obsm) == ["X_other", "X_r2mae"]
        assert list(now.obs_names) == list(then.obs_names)
    assert matrices == [(path / "X").stat().st_mtime_ns for path in files if path.is_dir()]
    assert leftovers(tmp_path) == []
    store.check()  # it knows the files as they now are
    rb.tl.embed(store, model, key_added="X_again")
    assert list(read(files[2]).uns["r2mae"]["embed"]) == ["X_again", "X_r2mae"]


def test_a_store_that_has_the_files_open_goes_on(cells, files, model):
    other = CellStore(files)
    before = other.rows(0, 90).toarray()
    rb.tl.embed(CellStore(files), model)
    np.testing.assert_array_equal(other.rows(0, 90).toarray(), before)
    other.close()
    rb.tl.embed(files, model, overwrite=True)
    np.testing.assert_array_equal(other.rows(0, 90).toarray(), before)


@pytest.mark.parametrize("suffix", [".zarr", ".h5ad"])
@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
def test_a_new_file_has_names_and_embeddings(cells, files, model, tmp_path, suffix):
    store, out = CellStore(files, obs="group"), tmp_path / f"embedded{suffix}"
    rb.tl.embed(store, model, out=out)
    found = read(out)
    np.testing.assert_allclose(found.obsm["X_r2mae"], model.get_latent_representation(cells), atol=1e-6)
    assert list(found.obs_names) == list(cells.obs_names)
    assert list(found.obs["group"]) == list(cells.obs["group"])
    assert "X_r2mae" in found.uns["r2mae"]["embed"]
    assert list(read(files[0]).obsm) == ["X_other"]
    with pytest.raises(ConfigError, match="exists already; pass overwrite=True"):
        rb.tl.embed(store, model, out=out)
    rb.tl.embed(store, model, out=out, overwrite=True)
    assert leftovers(tmp_path) == [out.name]


def test_what_is_there_is_not_replaced_unasked(files, model, tmp_path):
    store = CellStore(files)
    rb.tl.embed(store, model)
    with pytest.raises(ConfigError, match=r"exists already in .*part0.* and 2 other files; pass overwrite=True"):
        rb.tl.embed(store, model)
    other = GeneMAE.load(model.save(tmp_path / "part-model"))
    for weights in other.network.parameters():
        weights.data.mul_(1.1)
    with pytest.raises(ConfigError, match="exists already"):
        rb.tl.embed(store, other)
    rb.tl.embed(store, other, overwrite=True)
    np.testing.assert_allclose(read(files[1]).obsm["X_r2mae"], other.get_latent_representation(store)[30:60], atol=1e-6)


@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
def test_what_cannot_be_asked_for(cells, files, model, tmp_path):
    store = CellStore(files)
    with pytest.raises(ConfigError, match="copy=True would copy the files"):
        rb.tl.embed(store, model, copy=True)
    with pytest.raises(ConfigError, match="are for cells in files"):
        rb.tl.embed(cells, model, out=tmp_path / "x.zarr")
    with pytest.raises(ConfigError, match="without a slash"):
        rb.tl.embed(store, model, key_added="a/b")
    with pytest.raises(ConfigError, match=r"ends in \.zarr or \.h5ad"):
        rb.tl.embed(store, model, out=tmp_path / "x.csv")
    with h5py.File(files[1], "r"), pytest.raises(DataError, match=r"cannot be written into .*part1"):
        rb.tl.embed(store, model)
    assert "X_r2mae" not in read(files[1]).obsm
    rb.tl.embed(store, model)  # what was done is kept
    assert "X_r2mae" in read(files[1]).obsm


SCRIPT = """
import sys, time
from pathlib import Path
import r2mae_bio as rb
from r2mae_bio.cells.stored import _computed
from r2mae_bio._runs._journal import Journal
_computed._COMMIT_SECONDS = 0.0
mark = Journal.mark
def slow(self, n):
    mark(self, n)
    time.sleep(float(sys.argv[1]))
Journal.mark = slow
rb.tl.embed(rb.io.CellStore(sys.argv[3:]), sys.argv[2], batch_size=4)
"""


@pytest.mark.slow
@pytest.mark.parametrize("three_files", [FORMATS[0], FORMATS[2]], indirect=True)
def test_a_killed_run_goes_on_bit_for_bit(cells, files, model, tmp_path):
    saved, expected = model.save(tmp_path / "part-model"), []
    for number, path in enumerate(files):
        rb.tl.embed(CellStore(path), model, out=tmp_path / f"part-expected{number}.zarr", batch_size=4)
        expected.append(read(tmp_path / f"part-expected{number}.zarr").obsm["X_r2mae"])
    names = [str(saved), *map(str, files)]
    victim = subprocess.Popen([sys.executable, "-c", SCRIPT, "0.2", *names], env={**os.environ, "OMP_NUM_THREADS": "1"})
    state = files[1].with_name(f"{files[1].name}.X_r2mae.part.json")
    while not state.exists():
        assert victim.poll() is None
        time.sleep(0.02)
    time.sleep(0.5)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    found = [list(read(path).obsm) for path in files]
    assert found == [["X_other"]] * 3  # they are written once all is computed
    assert state.exists()
    other = GeneMAE.load(saved)
    for weights in other.network.parameters():
        weights.data.mul_(1.1)
    with pytest.raises(JournalError, match=r"differs in model, settings or cells .* Begin anew after you removed part1"):
        rb.tl.embed(CellStore(files[1]), other)
    subprocess.run([sys.executable, "-c", SCRIPT, "0", *names], check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert all(np.array_equal(read(path).obsm["X_r2mae"], values) for path, values in zip(files, expected, strict=True))
    assert [name for name in leftovers(tmp_path) if ".part" in name] == []


@pytest.fixture
def stopped(monkeypatch):
    """Runs a call that is stopped once some cells were embedded."""

    def stop(call):
        def add(self, piece):
            keep(self, piece)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            keep = _computed._Filling.add
            patch.setattr(_computed._Filling, "add", add)
            with pytest.raises(KeyboardInterrupt):
                call()

    return stop


@pytest.mark.parametrize("change", ["names", "measured", "count", "batch"])
@pytest.mark.parametrize("place", ["out", "files"])
def test_a_run_does_not_go_on_with_other_cells(cells, model, stopped, tmp_path, change, place):
    if change == "batch":
        GeneMAE.setup_anndata(cells, batch_key="batch")
        model = GeneMAE(cells, seed=3, **SIZES)
        model.train(max_epochs=1, batch_size=16, progress_bar=False)
    other = cells.copy()
    if change == "names":
        other.var_names = other.var_names[::-1]
    elif change == "measured":
        other.var["measured"] = np.arange(other.n_vars) > 2
    elif change == "batch":
        other.obs["batch"] = other.obs["batch"].to_numpy()[::-1]
    else:
        other.X[45, other.X[45].nonzero()[-1][0]] += 1
    path = tmp_path / "cells.h5ad"
    out = {"out": tmp_path / "new.zarr"} if place == "out" else {}
    cells.write_h5ad(path)
    expected = model.get_latent_representation(other)
    assert not np.array_equal(model.get_latent_representation(cells), expected)
    stopped(lambda: rb.tl.embed(path, model, batch_size=4, **out))
    other.write_h5ad(path)
    with pytest.raises(JournalError, match="differs in model, settings or cells"):
        rb.tl.embed(path, model, batch_size=4, **out)
    for part in tmp_path.glob("*.part*"):  # as the message says
        part.unlink()
    rb.tl.embed(path, model, batch_size=4, **out)
    np.testing.assert_allclose(read(out.get("out", path)).obsm["X_r2mae"], expected, atol=1e-5)


@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
def test_another_run_into_the_same_file_is_refused(files, model, tmp_path, monkeypatch):
    out, add = tmp_path / "new.zarr", _computed._Filling.add

    def twice(self, piece):
        if not self.n_done:
            with pytest.raises(JournalError, match="Another run is writing"):
                rb.tl.embed(files, model, out=out, key_added="X_other_name")
        add(self, piece)

    monkeypatch.setattr(_computed._Filling, "add", twice)
    rb.tl.embed(files, model, out=out)
    assert list(read(out).obsm) == ["X_r2mae"]


@pytest.mark.parametrize("three_files", FORMATS, indirect=True)
def test_files_without_cells(cells, files, model, tmp_path):
    path = write(cells[:0].copy(), tmp_path / f"part-none{files[0].suffix}", "h5ad" if files[0].suffix == ".h5ad" else "zarr 3")
    rb.tl.embed([path, files[0]], model)
    rb.tl.embed(path, model, out=tmp_path / "part-new.h5ad")
    assert read(path).obsm["X_r2mae"].shape == read(tmp_path / "part-new.h5ad").obsm["X_r2mae"].shape == (0, 8)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("three_files", FORMATS, indirect=True)
def test_a_run_killed_while_a_file_is_written_leaves_it_readable(files, model, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    copy = Rows.copy_to

    def half(self, array, step):
        array[:7] = 1.0
        raise Killed

    store = CellStore(files[:1])
    monkeypatch.setattr(Rows, "copy_to", half)
    with pytest.raises(Killed):
        rb.tl.embed(store, model)
    assert list(read(files[0]).obsm) == ["X_other"]
    monkeypatch.setattr(Rows, "copy_to", copy)
    rb.tl.embed(CellStore(files[:1]), model)
    found = read(files[0])
    np.testing.assert_allclose(found.obsm["X_r2mae"], model.get_latent_representation(CellStore(files[:1])), atol=1e-6)
    assert "r2mae_unfinished" not in found.uns
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
@pytest.mark.parametrize("out", [None, "part-new.zarr"])
@pytest.mark.parametrize("damage", ["counts", "batch"])
def test_of_cells_that_are_refused_nothing_is_left(cells, files, tmp_path, damage, out):
    GeneMAE.setup_anndata(cells, batch_key="batch")
    model = GeneMAE(cells, seed=0, **SIZES)
    model.train(1, progress_bar=False)
    for number, path in enumerate(files):
        part = read(path)
        part.obs["batch"] = "c" if damage == "batch" and number == 2 else "a"
        if damage == "counts" and number == 2:
            part.X = part.X.toarray()
            part.X[20, 3] = np.nan
        write(part, path, FORMATS[0])
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(DataError, match="NaN" if damage == "counts" else "does not know the batches 'c'"):
        rb.tl.embed(files, model, out=out and tmp_path / out, batch_size=4)
    assert sorted(path.name for path in tmp_path.iterdir()) == before
