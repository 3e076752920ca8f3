"""Cells in files: models learn from them and embed them as they do cells in memory."""

from __future__ import annotations

import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import r2mae_bio as rb
from r2mae_bio.errors import CheckpointError, ConfigError
from r2mae_bio.io import CellStore
from r2mae_bio.model import GeneMAE

from ...toy_cells import make_cells

SETTINGS = {"max_epochs": 2, "batch_size": 16, "progress_bar": False}
KINDS = ["h5ad", "zarr v2", "zarr v3", "three files"]


@pytest.fixture
def cells():
    """Cells measured by three panels, as data in memory that say so."""
    cells = make_cells(90, 30)
    cells.obs["part"] = [f"part{i // 30}" for i in range(90)]
    hidden = [[], [20, 21, 22, 23, 24, 25], [0, 1, 2, 3, 4]]
    dense = cells.X.toarray()
    for number, genes in enumerate(hidden):
        dense[30 * number : 30 * (number + 1), genes] = 0
    dense[dense.sum(1) == 0, 12] = 1
    cells.X = type(cells.X)(dense)
    names = [[f"G{i}" for i in range(30) if i not in genes] for genes in hidden]
    GeneMAE.setup_anndata(cells, measured={f"part{i}": genes for i, genes in enumerate(names)}, panel_key="part")
    return cells


@pytest.fixture(params=KINDS)
def store(request, cells, tmp_path):
    if request.param == "three files":
        for name, genes in zip(("part0", "part1", "part2"), cells.varm["r2mae_measured"].T, strict=True):
            part = cells[cells.obs["part"] == name, genes].copy()
            part.uns.clear()
            del part.varm["r2mae_measured"]
            part.write_h5ad(tmp_path / f"{name}.h5ad")
        return CellStore([tmp_path / f"part{i}.h5ad" for i in range(3)], obs=["group", "batch"], block_size=4, buffer_blocks=3)
    with warnings.catch_warnings():  # anndata 0.12 says what a later version will do
        warnings.filterwarnings("ignore", message="zarr v3 autosharding will be the default|.*zarr v2|Consolidated metadata")
        if request.param == "h5ad":
            cells.write_h5ad(tmp_path / "cells.h5ad")
        else:
            with ad.settings.override(zarr_write_format=int(request.param[-1])):
                cells.write_zarr(tmp_path / "cells.zarr")
    path = tmp_path / ("cells.h5ad" if request.param == "h5ad" else "cells.zarr")
    return CellStore(path, obs=["group", "batch"], block_size=4, buffer_blocks=3)


def test_a_model_reads_a_store_as_it_reads_memory(cells, store, sizes):
    model = GeneMAE(cells, seed=1, **sizes)
    model.train(**SETTINGS)
    expected = model.get_latent_representation(cells)
    np.testing.assert_allclose(model.get_latent_representation(store), expected, atol=1e-6)
    np.testing.assert_allclose(model.get_latent_representation(store, indices=["c80", "c7"]), expected[[80, 7]], atol=1e-5)
    assert store.uns["r2mae"]["coverage"]["matched"] == 30
    classifier = model.finetune(cells, labels_key="group", progress_bar=False, freeze_encoder=True)
    np.testing.assert_allclose(classifier.predict_proba(store), classifier.predict_proba(cells), atol=1e-5)


def test_a_model_learns_from_a_store(cells, store, sizes):
    GeneMAE.setup_anndata(store, batch_key="batch")
    GeneMAE.setup_anndata(cells, batch_key="batch")
    models = [GeneMAE(data, seed=1, **sizes) for data in (cells, store)]
    for model in models:
        model.train(**SETTINGS)
    memory, files = models
    assert files.record.data_fingerprint != ""
    assert memory.blind_loss == files.blind_loss  # the same cells are held out
    assert abs(memory.history["validation_loss"] - files.history["validation_loss"]).max() < 0.02
    np.testing.assert_allclose(files.get_latent_representation(), files.get_latent_representation(cells), atol=1e-5)


def test_the_file_is_the_batch_unless_another_is_named(cells, tmp_path, sizes):
    for number in range(2):
        make_cells(30, 30, seed=number).write_h5ad(tmp_path / f"{number}.h5ad")
    store = CellStore([tmp_path / "0.h5ad", tmp_path / "1.h5ad"], obs="batch")
    GeneMAE.setup_anndata(store)
    model = GeneMAE(store, **sizes)
    model.train(**SETTINGS)
    assert model.batches == ["0", "1"]
    GeneMAE.setup_anndata(store, batch_key="batch")
    assert GeneMAE(store, **sizes).record.setup.batch_key == "batch"


def test_another_order_of_blocks_is_another_run(cells, tmp_path, sizes):
    cells.write_h5ad(tmp_path / "cells.h5ad")
    stores = [CellStore(tmp_path / "cells.h5ad", block_size=size) for size in (4, 5)]
    for store in stores:
        GeneMAE.setup_anndata(store)
    GeneMAE(stores[0], **sizes).train(**SETTINGS, checkpoint_dir=tmp_path / "run", checkpoint_every_n_steps=1)
    with pytest.raises(CheckpointError, match="blocks and buffers of the store differ"):
        GeneMAE(stores[1], **sizes).train(**SETTINGS, resume_from=tmp_path / "run")


@pytest.mark.parametrize("store", KINDS[:1] + KINDS[-1:], indirect=True)
def test_verbs_take_a_store(cells, store, sizes, tmp_path):
    model = GeneMAE(cells, seed=1, **sizes)
    model.train(**SETTINGS)
    rb.tl.impute(store, model, n_masks=1, hide=0.5, out=tmp_path / "imputed.h5ad")
    rb.tl.impute(cells, model, n_masks=1, hide=0.5, out=tmp_path / "expected.h5ad")
    imputed, expected = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("imputed", "expected"))
    np.testing.assert_allclose(imputed[:, expected.var_names].X, expected.X, rtol=1e-4)
    assert list(imputed.obs_names) == list(cells.obs_names)
    with pytest.raises(ConfigError, match="pass out="):
        rb.tl.impute(store, model, n_masks=1, hide=0.5)
    rb.tl.impute(store, model, genes=["G3"], n_masks=1, hide=0.5)
    assert list(store.obsm["r2mae_mean"].index) == list(cells.obs_names)
    labelled = [cells.copy(), store, store]
    for query, reference in zip(labelled, (cells, cells, store), strict=True):
        files = {} if query is not store else {"overwrite": True}
        rb.tl.transfer_labels(query, reference, labels_key="group", model=model, **files)
        rb.tl.spectrum(query)
        pd.testing.assert_series_equal(
            pd.Series(query.obs["r2mae_label"].to_numpy()), pd.Series(labelled[0].obs["r2mae_label"].to_numpy())
        )
        np.testing.assert_allclose(
            query.uns["r2mae"]["spectrum"]["values"], labelled[0].uns["r2mae"]["spectrum"]["values"], atol=1e-8
        )
    assert store.obsm["r2mae_label_probabilities"].shape == (90, 3)


@pytest.mark.parametrize("store", KINDS[:1], indirect=True)
def test_the_ratio_can_be_chosen_from_a_store(cells, store, sizes):
    GeneMAE.setup_anndata(store)
    laws = [GeneMAE(data, mask_ratio="auto", **sizes).record.law for data in (cells, store)]
    assert laws[0] == laws[1]
