"""What users hand over without a second thought: NumPy seeds, scaled values, dates as batches."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import zarr

from r2mae_bio._errors import DataError, SetupError
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


def quick(adata, **setup):
    """A model that was trained for an epoch."""
    GeneMAE.setup_anndata(adata, **setup)
    model = GeneMAE(adata, **SIZES)
    model.train(max_epochs=1, batch_size=32, progress_bar=False)
    return model


def test_one_covariate_may_be_given_as_text():
    adata = make_cells()
    adata.obs["b"], adata.obs["depth"] = "other", np.arange(60.0)
    GeneMAE.setup_anndata(adata, categorical_covariate_keys="batch", continuous_covariate_keys="depth")
    covariates = GeneMAE(adata, **SIZES).record.covariates
    assert (list(covariates.categories), list(covariates.scales)) == (["batch"], ["depth"])


@pytest.mark.parametrize("key", ["batch_key", "categorical_covariate_keys", "continuous_covariate_keys"])
def test_a_column_that_stands_twice_is_refused(key):
    adata = make_cells()
    adata.obs = pd.concat([adata.obs, adata.obs[["batch"]]], axis=1)
    with pytest.raises(SetupError, match="obs has 2 columns 'batch'; needed is one"):
        GeneMAE.setup_anndata(adata, **{key: "batch"})
    with pytest.raises(SetupError, match="obs has 2 columns 'batch'"):
        quick(make_cells()).finetune(adata, labels_key="batch")
    adata = make_cells()
    adata.var = pd.DataFrame([["x", "y"]] * 30, index=adata.var_names, columns=["symbol", "symbol"])
    with pytest.raises(SetupError, match="var has 2 columns 'symbol'"):
        quick(adata)


def test_a_batch_of_whole_numbers_is_the_same_one_after_a_join():
    adata = make_cells()
    adata.obs["run"] = np.where(adata.obs["batch"] == "a", 1, 2)
    model = quick(adata, batch_key="run")
    assert model.batches == ["1", "2"]
    joined = ad.concat([adata, make_cells(seed=1)], join="outer", index_unique="-")[:60].copy()
    assert joined.obs["run"].dtype == float
    np.testing.assert_array_equal(model.get_latent_representation(joined), model.get_latent_representation())
    assert model.get_normalized_expression(transform_batch=[1.0]).equals(model.get_normalized_expression(transform_batch="1"))


def test_a_model_saved_with_such_batches_as_they_were_joined_knows_them(tmp_path):
    adata = make_cells()
    adata.obs["run"] = np.where(adata.obs["batch"] == "a", 1, 2)
    model = quick(adata, batch_key="run")
    model.record.covariates.categories["run"], model.record.batches = ("1.0", "2.0"), ("1.0", "2.0")
    again = GeneMAE.load(model.save(tmp_path / "m"))
    assert again.batches == ["1", "2"]
    assert (again.record.covariates.encode(adata.obs).sum(1) == 1).all()


def test_training_goes_on_with_batches_that_the_model_knows(tmp_path):
    adata = make_cells()
    model = quick(adata, batch_key="batch")
    model.save(tmp_path / "m")
    new, known = make_cells(seed=1), adata[adata.obs["batch"] == "b"].copy()
    new.obs["batch"] = "c"
    for cells in (new, known):
        GeneMAE.setup_anndata(cells, batch_key="batch")
    again = GeneMAE.load(tmp_path / "m", new)
    with pytest.raises(DataError, match=r"1 categories that the model was not trained with: 'c'; it knows 'a', 'b' .* map_query"):
        again.train(max_epochs=1, progress_bar=False)
    np.testing.assert_array_equal(again.get_latent_representation(adata), model.get_latent_representation())
    again = GeneMAE.load(tmp_path / "m", known)
    with pytest.warns(UserWarning, match=r"forgets batches that are not in the training data: 'a' \(1 in all\)"):
        again.train(max_epochs=1, progress_bar=False)
    assert again.batches == ["b"]


@pytest.mark.parametrize(
    "values",
    [np.array([3, 20, 100]), np.array([True, False, True]), np.array([0.5, 1.5, 2.5]), pd.array([1, 2, 3], "Int64"), list("xyz")],
    ids=["int", "bool", "float", "Int64", "text"],
)
def test_classes_keep_the_type_of_the_labels(tmp_path, values):
    adata = make_cells(90)
    adata.obs["label"] = (
        pd.Series(values).take(np.arange(90) % 3).to_numpy() if isinstance(values, list) else values[np.arange(90) % 3]
    )
    truth = adata.obs["label"].tolist()
    config = CellFinetuneConfig(n_steps=2)
    classifier = quick(adata).finetune(adata, labels_key="label", config=config, progress_bar=False)
    classifier = type(classifier).load(classifier.save(tmp_path / "c"))
    assert classifier.classes == sorted(set(truth))
    assert {type(name) for name in classifier.classes} == {type(name) for name in truth}
    found = classifier.predict(adata)
    assert np.mean([a == b for a, b in zip(found.tolist(), truth, strict=True)]) == classifier.evaluate(adata)["accuracy"] > 0.5
    assert list(classifier.predict_proba(adata).columns) == classifier.classes
    assert "90 cells" not in repr(classifier)


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
