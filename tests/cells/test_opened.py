"""Verbs take the path of a file, or several, as they take a store of them."""

from __future__ import annotations

import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio.cells._opened import opened
from r2mae_bio.errors import ConfigError, DataError, SetupError
from r2mae_bio.io import CellStore

from .conftest import FORMATS, read

pytestmark = pytest.mark.parametrize("three_files", FORMATS[:1], indirect=True)


def test_paths_become_a_store_that_is_closed_again(three_files):
    with opened(str(three_files[0]), layer=None, obs=["batch", "donor", None]) as store:
        assert list(store.obs.columns) == ["file", "batch"]
        assert store.n_obs == 30
        store.rows(0, 2)
        assert store.files[0]._root is not None
    assert store.files[0]._root is None
    with opened(three_files, layer=None) as store:
        assert store.n_obs == 90
    with pytest.raises(SetupError, match="There is no 'layers/counts'"), opened(three_files, layer="counts"):
        pass
    with pytest.raises(DataError, match="an AnnData is needed"), opened([], layer=None):
        pass


@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
def test_verbs_take_paths(three_files, whole, small_model, tmp_path):
    rb.tl.embed(three_files, small_model, out=tmp_path / "embedded.h5ad")
    expected = small_model.get_latent_representation(whole)
    np.testing.assert_allclose(read(tmp_path / "embedded.h5ad").obsm["X_r2mae"], expected, atol=1e-5)
    rb.tl.embed(str(three_files[0]), small_model, layer=None)
    np.testing.assert_allclose(read(three_files[0]).obsm["X_r2mae"], expected[:30], atol=1e-5)
    rb.tl.impute(three_files, small_model, n_masks=2, out=tmp_path / "imputed.zarr", reference=str(three_files[1]))
    rb.tl.impute(whole, small_model, n_masks=2, out=tmp_path / "expected.zarr", reference=whole[30:60].copy())
    for name in ("X", "sd"):
        found, there = (read(tmp_path / f"{file}.zarr") for file in ("imputed", "expected"))
        values = (data.X if name == "X" else data.layers[name] for data in (found, there))
        np.testing.assert_allclose(*values, rtol=1e-4)
    rb.tl.transfer_labels(three_files[2], three_files[:2], labels_key="group", model=small_model)
    assert set(read(three_files[2]).obs["r2mae_label"]) <= {"0", "1", "2"}


def test_what_is_only_for_files_or_not_for_them(three_files, whole, small_model, tmp_path):
    with pytest.raises(ConfigError, match="pass out="):
        rb.tl.impute(three_files, small_model)
    with pytest.raises(ConfigError, match=r"client is of type str"):
        rb.tl.embed(three_files, small_model, client="tcp://127.0.0.1:1")


def test_a_file_is_not_taken_twice(three_files, tmp_path):
    with pytest.raises(ConfigError, match=r"leads to .*part0.h5ad more than once"):
        CellStore([three_files[0], three_files[1], three_files[0]])
    (tmp_path / "link.h5ad").symlink_to(three_files[1])
    with pytest.raises(ConfigError, match="needed is each file once"):
        CellStore([three_files[1], tmp_path / "link.h5ad"])
