"""Labels written into files: columns that readers see, and the rest as it was."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio.cells import _labelled
from r2mae_bio.errors import ConfigError
from r2mae_bio.io import CellStore

from ..toy_cells import make_cells
from .conftest import FORMATS, read

KEY = "r2mae_label"


@pytest.fixture(autouse=True)
def _one_thread(one_thread, quiet_anndata):
    """Bits depend on the number of threads."""


@pytest.fixture(scope="module")
def reference():
    return make_cells(90, 30, seed=2)


@pytest.fixture(scope="module")
def expected(reference, small_model):
    """The cells of the files, labelled in memory."""
    cells = make_cells(90, 30, seed=5)
    rb.tl.transfer_labels(cells, reference, labels_key="group", model=small_model, unknown_threshold=0.9)
    return cells


def check(found, expected):
    pd.testing.assert_series_equal(found.obs[KEY].astype(str), expected.obs[KEY].astype(str))
    assert isinstance(found.obs[KEY].dtype, pd.CategoricalDtype)
    assert list(found.obs[KEY].cat.categories) == ["0", "1", "2", "unknown"]
    for name in ("confidence", "unknown"):
        np.testing.assert_allclose(found.obs[f"{KEY}_{name}"], expected.obs[f"{KEY}_{name}"], atol=1e-5)
        assert found.obs[f"{KEY}_{name}"].dtype == np.float32
    np.testing.assert_allclose(found.obsm[f"{KEY}_probabilities"], expected.obsm[f"{KEY}_probabilities"], atol=1e-5)
    record, other = (data.uns["r2mae"]["transfer_labels"][KEY] for data in (found, expected))
    assert record["checksum"] == other["checksum"]
    assert list(record["classes"]) == ["0", "1", "2"]


def label(query, reference, model, **options):
    return rb.tl.transfer_labels(query, reference, labels_key="group", model=model, unknown_threshold=0.9, **options)


def test_files_get_labels_and_keep_the_rest(three_files, expected, reference, small_model, tmp_path):
    before = [read(path) for path in three_files]
    store = CellStore(three_files, obs="group")
    assert label(store, reference, small_model) is None
    for number, (path, then) in enumerate(zip(three_files, before, strict=True)):
        now = read(path)
        check(now, expected[30 * number : 30 * number + 30])
        assert list(now.obs.columns[:2]) == ["group", "batch"]
        pd.testing.assert_frame_equal(now.obs[["group", "batch"]], then.obs)
        np.testing.assert_array_equal(now.X.toarray(), then.X.toarray())
        assert sorted(now.obsm) == ["X_other", f"{KEY}_probabilities"]
        assert now.uns["kept"] == then.uns["kept"]
    assert list(store.obs[KEY]) == list(expected.obs[KEY])
    assert [p for p in tmp_path.iterdir() if ".part" in p.name or p.name.startswith(".")] == []
    store.check()  # it knows the files as they now are
    with pytest.raises(ConfigError, match=r"exists already in .*part0.* and 2 other files"):
        label(CellStore(three_files), reference, small_model)
    label(three_files, reference, small_model, overwrite=True, batch_size=7)
    check(read(three_files[1]), expected[30:60])


@pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)
@pytest.mark.parametrize("suffix", [".zarr", ".h5ad"])
def test_a_new_file_has_names_and_labels(three_files, expected, reference, small_model, tmp_path, suffix):
    out = tmp_path / f"labels{suffix}"
    label(three_files, reference, small_model, out=out)
    found = read(out)
    check(found, expected)
    assert list(found.obs.columns) == ["file", KEY, f"{KEY}_confidence", f"{KEY}_unknown"]
    assert list(found.obs_names) == list(expected.obs_names)
    with pytest.raises(ConfigError, match="exists already; pass overwrite=True"):
        label(three_files, reference, small_model, out=out)
    with pytest.raises(ConfigError, match="copy=True would copy the files"):
        label(three_files, reference, small_model, copy=True)
    with pytest.raises(ConfigError, match="are for cells in files"):
        label(expected, reference, small_model, out=out)


@pytest.mark.parametrize("three_files", FORMATS[:2], indirect=True)
def test_a_run_killed_between_two_files_goes_on(three_files, expected, reference, small_model, monkeypatch, caplog):
    class Killed(BaseException):
        pass

    written = []
    write_into = _labelled.write_into

    def dies(file, results):
        if len(written) == 1:
            raise Killed
        written.append(file.path)
        write_into(file, results)

    monkeypatch.setattr(_labelled, "write_into", dies)
    with pytest.raises(Killed):
        label(CellStore(three_files), reference, small_model)
    assert [KEY in read(path).obs for path in three_files] == [True, False, False]
    monkeypatch.setattr(_labelled, "write_into", write_into)
    with caplog.at_level("INFO", "r2mae_bio"):
        label(CellStore(three_files), reference, small_model)
    assert "labelling: 0 cells" in caplog.text  # embeddings were kept
    for number, path in enumerate(three_files):
        check(read(path), expected[30 * number : 30 * number + 30])
