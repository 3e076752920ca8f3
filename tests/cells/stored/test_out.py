"""What results may not be written to: what is read, and what is something else."""

from __future__ import annotations

import numpy as np
import pytest

import r2mae_bio as rb
from r2mae_bio.cells.stored._out import check_out
from r2mae_bio.errors import ConfigError

from ...toy_cells import make_cells
from ..conftest import FORMATS, read


@pytest.fixture(autouse=True)
def _quiet(quiet_anndata):
    """Nothing that anndata says of later versions."""


@pytest.mark.parametrize("three_files", [FORMATS[0], FORMATS[2]], indirect=True)
def test_files_that_are_read_stay(three_files, whole, small_model, tmp_path):
    file, reference = three_files[0], three_files[2]
    calls = {
        "embed": lambda out: rb.tl.embed(file, small_model, out=out, overwrite=True),
        "impute": lambda out: rb.tl.impute(file, small_model, reference=reference, out=out, overwrite=True),
        "transfer": lambda out: rb.tl.transfer_labels(
            file, reference, model=small_model, labels_key="group", out=out, overwrite=True
        ),
    }
    for name, call in calls.items():
        for out in (file, *([file / "new.zarr"] if file.is_dir() else []), *([reference] if name != "embed" else [])):
            with pytest.raises(ConfigError, match="is read, which would be lost"):
                call(out)
    link = tmp_path / f"link{file.suffix}"
    link.symlink_to(file)
    with pytest.raises(ConfigError, match="would be lost"):
        calls["embed"](link)
    for i in (0, 2):
        np.testing.assert_array_equal(read(three_files[i]).X.toarray(), whole.X[30 * i : 30 * i + 30].toarray())


def test_a_backed_file_and_the_folder_of_a_collection_stay(small_model, tmp_path):
    cells = make_cells(20, 30)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    backed = type(cells)(filename=tmp_path / "cells.h5ad", filemode="r")
    with pytest.raises(ConfigError, match="would be lost"):
        rb.tl.impute(backed, small_model, out=tmp_path / "cells.h5ad", overwrite=True)
    backed.file.close()
    for name in ("0", "1"):
        cells.write_zarr(tmp_path / "all.zarr" / name)
    with pytest.raises(ConfigError, match="would be lost"):
        rb.tl.embed(tmp_path / "all.zarr", small_model, out=tmp_path / "all.zarr", overwrite=True)
    assert sorted(path.name for path in (tmp_path / "all.zarr").iterdir() if path.is_dir()) == ["0", "1"]


@pytest.mark.parametrize("name", ["notes.zarr", "notes.h5ad"])
def test_a_folder_of_something_else_stays(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "text").write_text("mine")
    with pytest.raises(ConfigError, match="no zarr group; it would be lost"):
        check_out(tmp_path / name, overwrite=True)


def test_a_file_that_came_meanwhile_stays(small_model, tmp_path, monkeypatch):
    out, moments = tmp_path / "new.zarr", rb.model.GeneMAE.iter_predictive_moments

    def slow(self, adata, **options):
        yield from moments(self, adata, **options)
        rb.tl.embed(tmp_path / "cells.h5ad", small_model, out=out)

    make_cells(20, 30).write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr(rb.model.GeneMAE, "iter_predictive_moments", slow)
    with pytest.raises(ConfigError, match="exists already"):
        rb.tl.impute(make_cells(20, 30), small_model, out=out, progress_bar=False)
    assert list(read(out).obsm) == ["X_r2mae"]


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", 5])
def test_names_that_files_do_not_hold(small_model, tmp_path, key):
    cells = make_cells(20, 30)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(ConfigError, match="needed is a name without a slash"):
        rb.tl.embed(tmp_path / "cells.h5ad", small_model, key_added=key, out=tmp_path / "new" / "out.zarr")
    with pytest.raises(ConfigError, match="needed is a name without a slash"):
        rb.tl.impute(cells, small_model, key_added=key, out=tmp_path / "new" / "out.zarr")
    rb.tl.embed(tmp_path / "cells.h5ad", small_model, key_added="X name", out=tmp_path / "new" / "out.zarr")
    assert list(read(tmp_path / "new" / "out.zarr").obsm) == ["X name"]
