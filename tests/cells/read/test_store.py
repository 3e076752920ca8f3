"""A store of several files is what their concatenation in memory is, and says what is wrong."""

from __future__ import annotations

import os
import pickle
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse

from r2mae_bio.cells.read._cells import open_cells
from r2mae_bio.cells.read._panels import read_panels
from r2mae_bio.errors import (
    ConfigError,
    DataError,
    DuplicateGenesError,
    FractionalCountsError,
    GeneCoverageError,
    SetupError,
)
from r2mae_bio.io import CellStore, GeneVocabulary, align_anndata, gene_totals, in_memory
from r2mae_bio.model import GeneMAE

from ...toy_cells import make_cells


@pytest.fixture(autouse=True)
def _quiet():
    """anndata 0.12 says what a later version will do."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="zarr v3 autosharding will be the default|.*zarr v2|Consolidated metadata")
        yield


@pytest.fixture
def cells():
    return make_cells(60, 30)


def write_parts(cells, folder, *, genes=(slice(0, 30), slice(0, 20), slice(10, 30))):
    """The cells as three files whose genes are those given, and what the same is in memory."""
    paths, parts = [], []
    for number, some in enumerate(genes):
        part = cells[20 * number : 20 * (number + 1), some].copy()
        part.write_h5ad(folder / f"part{number}.h5ad")
        paths.append(folder / f"part{number}.h5ad")
        parts.append(part)
    whole = ad.concat(parts, join="outer", keys=[path.stem for path in paths], label="file")
    return paths, whole[:, cells.var_names].copy()  # anndata sorts genes


def dense(store, layer=None):
    return store.rows(0, store.n_obs).toarray()


def write(cells, path, kind):
    if kind == "h5ad":
        cells.write_h5ad(path)
        return path
    version = 2 if kind == "zarr v2" else 3
    with ad.settings.override(zarr_write_format=version):
        if kind == "zarr v3 sharded":
            if not hasattr(ad.settings, "auto_shard_zarr_v3"):
                pytest.skip("this anndata writes no shards")
            with ad.settings.override(auto_shard_zarr_v3=True):
                cells.write_zarr(path)
        else:
            cells.write_zarr(path)
    return path


@pytest.mark.parametrize("kind", ["h5ad", "zarr v2", "zarr v3", "zarr v3 sharded"])
@pytest.mark.parametrize("form", [sparse.csr_matrix, np.asarray])
def test_every_format_gives_the_same_cells(cells, tmp_path, kind, form):
    cells.layers["counts"] = form(cells.X.toarray().astype(np.int32))
    cells.X = cells.layers["counts"] * 0.5
    store = CellStore(write(cells, tmp_path / "cells", kind), layer="counts", obs=["group"])
    np.testing.assert_array_equal(dense(store), cells.X.toarray() * 2 if sparse.issparse(cells.X) else cells.X * 2)
    assert store.shape == cells.shape
    assert len(store) == 60
    assert list(store.obs_names) == list(cells.obs_names)
    assert store.obs_names[-1] == "c59"
    assert list(store.var_names) == list(cells.var_names)
    assert store.obs["group"].tolist() == cells.obs["group"].tolist()
    assert list(store.layers) == ["counts"]
    np.testing.assert_array_equal(gene_totals(store.X), np.asarray(cells.X.sum(0)).ravel() * 2)


def test_cells_are_fetched_in_any_order_from_any_file(cells, tmp_path):
    paths, whole = write_parts(cells, tmp_path)
    store = CellStore(paths)
    alignment = align_anndata(GeneVocabulary.from_anndata(whole, np.zeros(30)), store)
    source = open_cells(store, alignment=alignment)
    index = np.array([59, 3, 3, 21, 40, 0, 22])
    np.testing.assert_array_equal(source.rows(index).to_dense(), whole.X.toarray()[index])
    assert source.rows(np.zeros(0, np.int64)).to_dense().shape == (0, 30)
    some = open_cells(store, alignment=alignment, indices=["c21", "c2"])
    np.testing.assert_array_equal(some.rows(np.arange(2)).to_dense(), whole.X.toarray()[[21, 2]])


def test_genes_that_a_file_lacks_are_hidden(cells, tmp_path):
    paths, whole = write_parts(cells, tmp_path)
    store = CellStore(paths)
    panels = read_panels(store)
    measured = panels.measured[panels.codes]
    assert measured.shape == (60, 30)
    assert measured[:20].all()
    np.testing.assert_array_equal(measured[20:40], np.tile(np.arange(30) < 20, (20, 1)))
    np.testing.assert_array_equal(measured[40:], np.tile(np.arange(30) >= 10, (20, 1)))
    np.testing.assert_array_equal(dense(store), whole.X.toarray())
    assert list(store.obs["file"]) == list(whole.obs["file"])
    assert store.batch_key == "file"


def test_genes_in_another_order_and_by_another_name_are_the_same(cells, tmp_path):
    cells.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(30)]
    first, second = cells[:30, :25].copy(), cells[30:, ::-1].copy()
    second.var = pd.DataFrame(index=second.var["gene_ids"].to_list())
    third = second[:10, :10].copy()  # a gene that only the second file has, by the name it has there
    for number, part in enumerate((first, second, third)):
        part.write_h5ad(tmp_path / f"{number}.h5ad")
    store = CellStore([tmp_path / f"{number}.h5ad" for number in range(3)])
    assert store.n_vars == 30
    genes = [int(name[-2:]) for name in store.var["gene_ids"]]
    expected = np.zeros((70, 30))
    expected[:60] = cells.X.toarray()[:, genes]
    expected[:30, np.array(genes) >= 25] = 0
    expected[60:] = np.where(np.array(genes) >= 20, cells.X.toarray()[30:40][:, genes], 0)
    np.testing.assert_array_equal(dense(store), expected)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_a_file_with_symbols_and_ids_in_one_place_has_the_same_genes(cells, tmp_path, order):
    cells.var["gene_ids"] = [f"ENSG{i:011d}" for i in range(30)]
    mixed = cells[30:].copy()
    mixed.var = pd.DataFrame(index=[cells.var["gene_ids"].iloc[i] if i % 3 else cells.var_names[i] for i in range(30)])
    for number, part in enumerate((cells[:30].copy(), mixed)):
        part.write_h5ad(tmp_path / f"{number}.h5ad")
    store = CellStore([tmp_path / f"{number}.h5ad" for number in order])
    np.testing.assert_array_equal(
        dense(store), np.concatenate([cells.X.toarray()[s] for s in (slice(30), slice(30, None))][:: 1 - 2 * order[0]])
    )


def test_panels_and_unmeasured_columns_of_a_file_count(cells, tmp_path):
    first, second = cells[:30].copy(), cells[30:].copy()
    first.var["measured"] = np.arange(30) != 4
    GeneMAE.setup_anndata(second, measured={"a": [f"G{i}" for i in range(20)], "b": list(second.var_names)}, panel_key="batch")
    first.write_h5ad(tmp_path / "first.h5ad")
    second.write_h5ad(tmp_path / "second.h5ad")
    panels = read_panels(CellStore([tmp_path / "first.h5ad", tmp_path / "second.h5ad"]))
    measured = panels.measured[panels.codes]
    np.testing.assert_array_equal(measured[:30], np.tile(np.arange(30) != 4, (30, 1)))
    limited = (second.obs["batch"] == "a").to_numpy()[:, None] & (np.arange(30) >= 20)
    np.testing.assert_array_equal(measured[30:], ~limited)


def test_genes_asked_for_come_in_their_order(cells, tmp_path):
    paths, whole = write_parts(cells, tmp_path)
    store = CellStore(paths, genes=["G25", "G3", "G12"], min_coverage=0.1)
    np.testing.assert_array_equal(dense(store), whole[:, ["G25", "G3", "G12"]].X.toarray())
    assert read_panels(store).everywhere.tolist() == [False, False, True]


def test_columns_of_one_gene_are_refused_or_added_up(cells, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cells.var_names = [f"G{i % 28}" for i in range(30)]
        cells.write_h5ad(tmp_path / "cells.h5ad")
        expected = cells.X.toarray()[:, :28]
        expected[:, :2] += cells.X.toarray()[:, 28:]
    with pytest.raises(DuplicateGenesError, match=r"cells\.h5ad cannot join"):
        CellStore(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(dense(CellStore(tmp_path / "cells.h5ad", duplicates="sum")), expected)


def test_an_annbatch_collection_is_its_members(cells, tmp_path):
    root = zarr.open_group(tmp_path / "collection.zarr", mode="w", zarr_format=3)
    root.attrs["encoding-type"] = "annbatch-preshuffled"
    with ad.settings.override(zarr_write_format=3):
        for number in range(11):
            cells[5 * number : 5 * number + 5].copy().write_zarr(tmp_path / "collection.zarr" / f"dataset_{number}")
    store = CellStore(tmp_path / "collection.zarr")
    np.testing.assert_array_equal(dense(store), cells.X[:55].toarray())
    assert store.obs["file"].cat.categories[-1] == "dataset_10"


def test_counts_are_read_once(cells, tmp_path, monkeypatch):
    store = CellStore(write_parts(cells, tmp_path)[0])
    report = store.check()
    assert (report.n_cells, report.total) == (60, store.rows(0, 60).sum())
    monkeypatch.setattr(type(store.X), "pieces", lambda *_: pytest.fail("read again"))
    assert store.check() == report


def test_what_is_no_count_is_found_in_its_file(cells, tmp_path):
    cells.X[41, 13] = 0.5
    paths, _ = write_parts(cells, tmp_path)
    with pytest.raises(FractionalCountsError, match=r"0\.5 in cell 'c41'"):
        CellStore(paths).check()


def test_a_store_goes_to_another_process(cells, tmp_path):
    store = CellStore(write_parts(cells, tmp_path)[0], obs="group")
    expected = dense(store)
    sent = pickle.dumps(store)
    assert len(sent) < 30_000
    again = pickle.loads(sent)
    np.testing.assert_array_equal(dense(again), expected)
    pd.testing.assert_frame_equal(again.obs, store.obs)
    child = os.fork()
    if child == 0:  # pragma: no cover - coverage does not follow
        os._exit(0 if np.array_equal(dense(store), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("kind", ["h5ad", "zarr v3"])
def test_a_file_that_changed_is_refused(cells, tmp_path, kind):
    path = write(cells, tmp_path / "cells", kind)
    store = CellStore(path)
    sent = pickle.dumps(store)
    write(cells[:30].copy(), tmp_path / "others", kind)
    store.close()
    path.rename(tmp_path / "before")
    (tmp_path / "others").rename(path)
    with pytest.raises(DataError, match="was written to or replaced since it was opened"):
        dense(pickle.loads(sent))
    path.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="is gone since it was opened"):
        dense(store)


@pytest.mark.parametrize("kind", ["h5ad", "zarr v2", "zarr v3"])
def test_a_file_that_changes_while_it_is_open_is_refused(cells, tmp_path, kind):
    """What a pass found before does not stand for what is there now."""
    path = write(cells, tmp_path / "cells", kind)
    store = CellStore(path)
    store.check()
    write(cells[::-1].copy(), tmp_path / "others", kind)
    path.rename(tmp_path / "before")
    (tmp_path / "others").rename(path)
    for use in (store.check, lambda: GeneMAE.setup_anndata(store), lambda: dense(store), lambda: gene_totals(store.X)):
        with pytest.raises(DataError, match="was written to or replaced since it was opened"):
            use()


def test_what_cannot_be_a_store_is_refused(cells, tmp_path):
    paths, _ = write_parts(cells, tmp_path)
    with pytest.raises(DataError, match="There is no file"):
        CellStore(tmp_path / "nothing.h5ad")
    with pytest.raises(SetupError, match=r"no 'layers/counts' in .*part0\.h5ad"):
        CellStore(paths, layer="counts")
    with pytest.raises(SetupError, match=r"obs of .*part0\.h5ad has no column 'donor'; it has batch, group"):
        CellStore(paths, obs=["donor"])
    with pytest.raises(SetupError, match=r"no column 'group'.*obs=\['group'\]"):
        GeneMAE.setup_anndata(CellStore(paths), batch_key="group")
    with pytest.raises(ConfigError, match="paths is empty"):
        CellStore([])
    with pytest.raises(ConfigError, match="block_size is 0"):
        CellStore(paths, block_size=0)
    with pytest.raises(SetupError, match="measured different genes, which it knows"):
        GeneMAE.setup_anndata(CellStore(paths), measured={name: ["G12", "G13"] for name in ("part0", "part1", "part2")})
    cells.X = cells.X.tocsc()
    cells.write_h5ad(tmp_path / "columns.h5ad")
    with pytest.raises(DataError, match="is column-compressed"):
        CellStore(tmp_path / "columns.h5ad")
    (tmp_path / "text.h5ad").write_text("no file of HDF5")
    with pytest.raises(DataError, match=r"text\.h5ad cannot be read"):
        CellStore(tmp_path / "text.h5ad")


def test_files_that_name_genes_otherwise_are_refused(cells, tmp_path):
    cells.write_h5ad(tmp_path / "a.h5ad")
    cells.var_names = [f"ENSG{i:011d}" for i in range(30)]
    cells.write_h5ad(tmp_path / "b.h5ad")
    with pytest.raises(GeneCoverageError, match=r"b\.h5ad cannot join those of the store"):
        CellStore([tmp_path / "a.h5ad", tmp_path / "b.h5ad"])


def test_a_sample_of_a_large_store_is_in_memory(cells, tmp_path, monkeypatch):
    store = CellStore(write_parts(cells, tmp_path)[0])
    np.testing.assert_array_equal(in_memory(store.X).toarray(), dense(store))
    monkeypatch.setattr("r2mae_bio.cells.read._matrix._SAMPLE", 10)
    some = in_memory(store.X, np.array([12, 13]))
    assert some.shape == (10, 2)
    assert {tuple(row) for row in some.toarray()} <= {tuple(row) for row in dense(store)[:, [12, 13]]}


def test_a_copy_is_written_to_alone(cells, tmp_path):
    store = CellStore(write_parts(cells, tmp_path)[0])
    other = store.copy()
    other.obs["label"], other.uns["x"] = "a", 1
    assert "label" not in store.obs
    assert "x" not in store.uns
    np.testing.assert_array_equal(dense(other), dense(store))
