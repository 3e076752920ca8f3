"""Habits that users of scvi-tools bring: they work, or are answered."""

from __future__ import annotations

import numpy as np
import pytest

from r2mae_bio import tl
from r2mae_bio._errors import ConfigError, DataError, SetupError
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
        ({"progres_bar": False}, "no 'progres_bar'"),
        ({"loger": False}, "Did you mean 'logger'"),
        ({"train_kwargs": {"lr": 1.0}}, "has no 'lr'"),
        ({"plan_kwargs": {"reduce_lr_on_plateau": True}}, "falls along a cosine"),
        ({"batch_size": True}, "batch_size is True"),
    ],
)
def test_arguments_of_train_that_are_none_here(adata, given, words):
    GeneMAE.setup_anndata(adata)
    with pytest.raises(ConfigError, match=words):
        short(adata, **given)


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


@pytest.mark.parametrize("size", [True, 0, -1, 2.5, "8"])
def test_a_batch_size_is_a_positive_whole_number(model, adata, size):
    with pytest.raises(ConfigError, match="batch_size is"):
        model.get_latent_representation(adata, None, size)
