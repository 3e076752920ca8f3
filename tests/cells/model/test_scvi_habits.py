"""Habits that users of scvi-tools bring: they work, or are answered."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

from r2mae_bio import tl
from r2mae_bio._errors import ConfigError, DataError, SetupError
from r2mae_bio.config._names import MISSING_VERBS
from r2mae_bio.model import GeneMAE

from .conftest import QUICK


def short(adata, **given):
    return GeneMAE(adata, n_latent=8, n_factors=4, n_tokens=2, d_model=16, n_heads=2, n_layers=1, n_hidden=16).train(
        1, progress_bar=False, **given
    )


def test_layer_and_batch_may_come_by_position(adata):
    adata.layers["counts"] = adata.X.copy()
    GeneMAE.setup_anndata(adata, "counts", "batch", labels_key="group")
    setup = dict(adata.uns["r2mae"]["setup"])
    assert setup == {"layer": "counts", "batch_key": "batch", "labels_key": "group", "gene_likelihood": "nb"}


@pytest.mark.filterwarnings("ignore:Batches not corrected")  # of a reference of few cells
def test_labels_of_the_setup_are_learned_also_after_loading(adata, sizes, tmp_path):
    GeneMAE.setup_anndata(adata, labels_key="group")
    model = GeneMAE(adata, **sizes)
    model.initialize()
    model = GeneMAE.load(model.save(tmp_path / "m"))
    fresh = adata.copy()
    del fresh.uns["r2mae"]
    for cells in (adata, fresh):
        made = model.finetune(cells, config=QUICK, progress_bar=False)
        assert made.record.labels_key == "group"
    query = fresh.copy()
    tl.transfer_labels(query, fresh, model=model, min_coverage=0.0)
    assert set(query.obs["r2mae_label"]) <= set(fresh.obs["group"])


def test_labels_that_nobody_named_or_that_are_not_there(adata, own):
    with pytest.raises(ConfigError, match="labels_key is None"):
        own.finetune(adata, progress_bar=False)
    with pytest.raises(SetupError, match="'celltype'"):
        GeneMAE.setup_anndata(adata, labels_key="celltype")
    adata.obs["empty"] = np.nan
    with pytest.raises(DataError, match="no label in any of 60 cells"):
        GeneMAE.setup_anndata(adata, labels_key="empty")
    assert "r2mae" not in adata.uns


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"use_gpu": True}, 'write accelerator="gpu"'),
        ({"validation_size": 0.1}, "what train_size leaves"),
        ({"early_stopping_patience": 3}, 'write train_kwargs={"patience"'),
        ({"check_val_every_n_epoch": 2}, "every epoch is validated"),
        ({"n_epochs_kl_warmup": 2}, "there is no KL term"),
        ({"progres_bar": False}, "no 'progres_bar'. Did you mean 'progress_bar'"),
        ({"max_epoch": 3}, "Did you mean 'max_epochs'"),
        ({"train_sise": 0.5}, "Did you mean 'train_size'"),
        ({"checkpoint_folder": "x"}, "Did you mean 'checkpoint_dir'"),
        ({"patience": 3}, 'write train_kwargs={"patience"'),
        ({"something": 3}, "Known are accelerator, "),
        ({"loger": False}, "Did you mean 'logger'"),
        ({"train_kwargs": {"lr": 1.0}}, 'train_kwargs has no .lr.: it is named "learning_rate" here'),
        ({"train_kwargs": {"patients": 1}}, "train_kwargs has no 'patients'. Did you mean 'patience'"),
        ({"plan_kwargs": {"reduce_lr_on_plateau": True}}, "falls along a cosine"),
        ({"batch_size": True}, "batch_size is True"),
    ],
)
def test_arguments_of_train_that_are_none_here(adata, given, words):
    GeneMAE.setup_anndata(adata)
    with pytest.raises(ConfigError, match=words):
        short(adata, **given)


def test_arguments_by_the_places_of_scvi_tools(adata, sizes, tmp_path):
    GeneMAE.setup_anndata(adata, None, "batch", "group")
    assert dict(adata.uns["r2mae"]["setup"]) == {"batch_key": "batch", "labels_key": "group", "gene_likelihood": "nb"}
    model = GeneMAE(adata, **sizes)
    model.train(1, "cpu", 1, 0.8, None, progress_bar=False)
    assert model.record.train["train_size"] == 0.8
    with pytest.raises(ConfigError, match=r"train\(\) has no 'validation_size'"):
        model.train(1, "cpu", 1, 0.8, 0.2)
    with pytest.raises(ConfigError, match=r"train\(\) was given accelerator by position and by name"):
        model.train(1, "cpu", accelerator="cpu")
    plain = model.get_latent_representation(adata)
    np.testing.assert_allclose(model.get_latent_representation(adata, None, None, None, 16), plain, atol=1e-5)
    with pytest.raises(ConfigError, match=r"get_latent_representation\(\) has no 'give_mean'"):
        model.get_latent_representation(adata, None, True, 5000, 16)
    frame = model.get_normalized_expression(adata, None, "a", ["G3", "G1"], 1e4)
    expected = model.get_normalized_expression(adata, transform_batch="a", gene_list=["G3", "G1"], library_size=1e4)
    np.testing.assert_array_equal(frame, expected)
    folder = model.save(tmp_path / "model", None, False)
    assert GeneMAE.load(folder, adata, None).checksum() == model.checksum()
    with pytest.raises(ConfigError, match=r"save\(\) has no 'save_anndata'"):
        model.save(folder, None, True, True)
    with pytest.raises(ConfigError, match=r"save\(\) has no 'dir_path': it is named path here"):
        model.save(dir_path=folder)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"dropout_rate": 0.1}, "write dropout="),
        ({"dispersion": "gene-batch"}, "every gene has one dispersion"),
        ({"n_layer": 2}, "Did you mean 'n_layers'"),
        ({"mask_rato": 0.5}, "Did you mean 'mask_ratio'"),
        ({"zzz": 0.5}, "Known are .*n_latent.*seed"),
    ],
)
def test_arguments_of_the_model_that_are_none_here(adata, given, words):
    GeneMAE.setup_anndata(adata)
    with pytest.raises(ConfigError, match=rf"GeneMAE\(\) has no .*{words}"):
        GeneMAE(adata, **given)


def test_options_that_are_handed_on_are_checked_by_name(model, adata, tuned):
    for method in (model.get_normalized_expression, lambda *_, **given: next(model.iter_predictive_moments(adata, **given))):
        with pytest.raises(ConfigError, match="has no 'min_coverag'. Did you mean 'min_coverage'"):
            method(adata, min_coverag=0.1)
    with pytest.raises(ConfigError, match=r"predict\(\) has no 'soft': call predict_proba"):
        tuned.predict(adata, soft=True)
    with pytest.raises(ConfigError, match=r"predict\(\) has no 'indices': pass the cells"):
        tuned.predict(adata, [1, 2])


def test_a_plan_sets_the_learning_rate(adata, sizes):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    model.train(1, progress_bar=False, plan_kwargs={"lr": 5e-3, "weight_decay": 0.5})
    assert model.record.train["learning_rate"] == 5e-3
    assert model.record.train["weight_decay"] == 0.5


def test_what_lightning_knows_goes_through(adata, sizes):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    model.train(3, progress_bar=False, max_steps=6, batch_size=18)
    assert len(model.history) == 2


def test_verbs_that_are_none_here_say_what_is(model):
    with pytest.raises(AttributeError, match=r"no attribute 'load_query_data'; use .*map_query"):
        _ = model.load_query_data
    with pytest.raises(AttributeError, match="no attribute 'zzz'$"):
        _ = model.zzz
    assert not hasattr(model, "get_elbo")
    with pytest.raises(AttributeError, match=r"type object 'GeneMAE' has no attribute 'load_query_data'; use .*map_query"):
        GeneMAE.load_query_data(None, "folder")
    with pytest.raises(AttributeError, match="no attribute 'zzz'$"):
        _ = GeneMAE.zzz


@pytest.mark.parametrize("size", [True, 0, -1, 2.5, "8"])
def test_a_batch_size_is_a_positive_whole_number(model, adata, size):
    with pytest.raises(ConfigError, match="batch_size is"):
        model.get_latent_representation(adata, None, size)


@pytest.mark.parametrize(
    "read",
    [
        lambda model, cells: model.get_latent_library_size(cells, batch_size=True),
        lambda model, cells: model.get_normalized_expression(cells, batch_size=True),
        lambda model, cells: model.get_predictive_moments(cells, batch_size=True),
        lambda model, cells: model.map_query(cells, batch_size=True),
        lambda model, cells: tl.embed(cells, model, batch_size=True),
        lambda model, cells: tl.impute(cells, model, batch_size=True, progress_bar=False),
        lambda model, cells: tl.transfer_labels(cells, cells, labels_key="group", model=model, batch_size=True),
    ],
)
def test_true_is_no_batch_size(model, adata, read):
    with pytest.raises(ConfigError, match="batch_size is True"):
        read(model, adata)


# ---------------------------------------------------------------- all of scvi-tools

INNER = {
    *("adata", "adata_manager", "data_registry", "deregister_manager", "get_anndata_manager", "get_from_registry"),
    *("get_normalized_function_name", "get_setup_arg", "get_state_registry", "get_var_names", "load_registry"),
    *("minified_data_type", "register_manager", "run_id", "run_name", "summary_string", "transfer_fields"),
    *("update_setup_method_args", "view_setup_method_args", "shap_adata_predict"),
}
"""What only its own classes call."""


@pytest.fixture(scope="module")
def scvi_model():
    return pytest.importorskip("scvi.model")


@pytest.mark.parametrize("name", ["SCVI", "SCANVI"])
def test_every_method_of_scvi_tools_is_here_or_answered(scvi_model, name):
    theirs = {method for method in dir(getattr(scvi_model, name)) if not method.startswith("_")}
    assert theirs - set(dir(GeneMAE)) - set(MISSING_VERBS) - INNER == set()


@pytest.mark.parametrize(
    "method",
    [
        "setup_anndata",
        "train",
        "get_latent_representation",
        "get_latent_library_size",
        "get_normalized_expression",
        "save",
        "load",
    ],
)
def test_every_argument_of_scvi_tools_is_taken_or_answered(scvi_model, model, method):
    """By an error of our own; none by Python's for an unknown argument."""
    own = inspect.signature(getattr(GeneMAE, method)).parameters
    theirs = inspect.signature(getattr(scvi_model.SCVI, method)).parameters.values()
    for parameter in theirs:
        if parameter.kind is parameter.VAR_KEYWORD or parameter.name in own or parameter.name == "self":
            continue
        with pytest.raises(ConfigError, match=rf"(has no|given) '?{parameter.name}"):
            getattr(model, method)(**{parameter.name: 1})
