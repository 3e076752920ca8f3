"""What users hand over without a second thought: NumPy seeds, scaled values, dates as batches."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import zarr

from r2mae_bio._errors import DataError
from r2mae_bio.config._finetune_cells import CellFinetuneConfig
from r2mae_bio.model import GeneMAE

from ...toy_cells import SIZES, make_cells


def test_a_seed_from_numpy_can_be_saved(tmp_path):
    adata = make_cells()
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=np.arange(3)[2], **SIZES)
    model.initialize()
    model.save(tmp_path / "m")
    assert GeneMAE.load(tmp_path / "m").record.seed == 2
    classifier = model.finetune(
        adata, labels_key="group", config=CellFinetuneConfig(n_steps=2), seed=np.int64(1), progress_bar=False
    )
    classifier.save(tmp_path / "c")
    assert type(classifier.record.seed) is int


def test_scaled_values_with_negative_totals_are_modelled():
    adata = make_cells()
    values = np.log1p(adata.X.toarray())
    adata.X = ((values - values.mean(0)) / values.std(0).clip(0.1)).astype(np.float32) - 0.1
    GeneMAE.setup_anndata(adata, gene_likelihood="normal")
    model = GeneMAE(adata, **SIZES)
    model.train(max_epochs=1, progress_bar=False)
    assert np.isfinite(model.get_latent_representation()).all()


def test_dates_can_be_batches():
    adata = make_cells()
    adata.obs["run"] = pd.to_datetime(np.where(np.arange(adata.n_obs) % 2, "2020-01-01", "2021-05-06"))
    GeneMAE.setup_anndata(adata, batch_key="run")
    model = GeneMAE(adata, **SIZES)
    model.initialize()
    assert (model.record.covariates.encode(adata.obs).sum(1) == 1).all()
    assert model.get_normalized_expression(transform_batch=model.batches[0]).shape == adata.shape


def test_summed_duplicates_stay_summed_after_loading(tmp_path):
    adata = make_cells()
    adata.var_names = [*adata.var_names[:-1], adata.var_names[0]]
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, duplicate_genes="sum", **SIZES)
    model.initialize()
    model.save(tmp_path / "m")
    again = GeneMAE.load(tmp_path / "m", adata)
    np.testing.assert_array_equal(again.get_latent_representation(), model.get_latent_representation())
    again.train(max_epochs=1, progress_bar=False)
    assert again.is_trained


def with_text(adata, dtype):
    """All names and columns of text in a dtype in which some version of AnnData returns them."""
    adata.obs["group"], adata.obs["batch"] = adata.obs["group"].astype(dtype), adata.obs["batch"].astype(dtype)
    adata.var["gene_ids"] = pd.array([f"ENSG{i:011d}.1" for i in range(adata.n_vars)]).astype(dtype)
    if dtype != "category":
        adata.obs_names, adata.var_names = adata.obs_names.astype(dtype), adata.var_names.astype(dtype)
    return adata


@pytest.mark.parametrize("dtype", ["string", "string[pyarrow]", "category"])
def test_text_of_every_dtype_is_the_same_text(dtype):
    outputs = []
    for kind in (object, dtype):
        adata = with_text(make_cells(), kind)
        GeneMAE.setup_anndata(adata, batch_key="batch")
        model = GeneMAE(adata, **SIZES)
        model.initialize()
        classifier = model.finetune(adata, labels_key="group", config=CellFinetuneConfig(n_steps=2), progress_bar=False)
        outputs.append((model, classifier.predict_proba(adata)))
    (plain, probabilities), (other, others) = outputs
    assert other.vocabulary == plain.vocabulary
    assert other.batches == plain.batches == ["a", "b"]
    np.testing.assert_array_equal(probabilities, others)


@pytest.mark.parametrize("dtype", ["string", "category"])
def test_missing_batches_are_refused_whatever_marks_them(dtype):
    adata = make_cells()
    adata.obs["batch"] = adata.obs["batch"].astype(dtype).where(np.arange(adata.n_obs) > 6)
    with pytest.raises(DataError, match=r"obs\['batch'\] is missing for 7 of 60 cells"):
        GeneMAE.setup_anndata(adata, batch_key="batch")


@pytest.mark.filterwarnings("ignore:zarr v3 autosharding will be the default:UserWarning")  # anndata 0.12
@pytest.mark.parametrize("zarr_format", [2, 3])
def test_zarr_stores_are_read_in_memory_and_in_place(tmp_path, zarr_format):
    adata = make_cells()
    adata.layers["dense"] = adata.X.toarray()
    group = zarr.open_group(tmp_path / "cells.zarr", mode="w", zarr_format=zarr_format)
    ad.io.write_elem(group, "/", adata)
    group = zarr.open_group(tmp_path / "cells.zarr", mode="r")
    read = ad.read_zarr(tmp_path / "cells.zarr")
    in_place = ad.AnnData(ad.io.sparse_dataset(group["X"]), obs=read.obs, var=read.var, layers={"dense": group["layers/dense"]})
    latents = []
    for cells, layer in ((adata, None), (read, None), (read, "dense"), (in_place, None), (in_place, "dense")):
        GeneMAE.setup_anndata(cells, layer=layer)
        model = GeneMAE(cells, **SIZES)
        model.initialize()
        latents.append(model.get_latent_representation())
    for latent in latents[1:]:
        np.testing.assert_array_equal(latent, latents[0])
