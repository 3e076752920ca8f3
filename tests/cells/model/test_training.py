"""Training learns, logs what it did, and keeps covariates out of the embedding."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger as OtherLogger
from pytorch_lightning.callbacks import LambdaCallback
from pytorch_lightning.loggers import CSVLogger

from r2mae_bio._errors import ConfigError, NotTrainedError
from r2mae_bio.core import _resume
from r2mae_bio.likelihoods import GENE_LIKELIHOODS
from r2mae_bio.masking import Beta, Choice, LogUniformVisible, Schedule, Uniform
from r2mae_bio.model import GeneMAE

from ...no_trainer import NO_TRAINER, TOLD


@pytest.mark.parametrize("likelihood", GENE_LIKELIHOODS)
@pytest.mark.parametrize("encoder", ["transformer", "mlp"])
def test_the_loss_falls_below_the_blind_baseline(adata, sizes, encoder, likelihood):
    if likelihood == "normal":
        adata.X = np.log1p(adata.X.toarray())
    GeneMAE.setup_anndata(adata, gene_likelihood=likelihood)
    model = GeneMAE(adata, encoder=encoder, **sizes)
    model.train(max_epochs=30, batch_size=16, progress_bar=False, train_kwargs={"learning_rate": 5e-3, "decoder_decay": 0.1})
    assert model.history["validation_loss"].iloc[-1] < model.blind_loss
    assert model.history["train_loss"].iloc[-1] < model.history["train_loss"].iloc[0]


def test_history_and_realised_ratios(model):
    bins = ["0.0-0.2", "0.2-0.4", "0.4-0.6", "0.6-0.8", "0.8-1.0"]
    expected = {f"{kind}_loss{b}" for kind in ("train", "validation") for b in ("", *(f"_{x}" for x in bins))}
    assert expected | {"epoch", "step", "learning_rate", "cells_per_second"} == set(model.history)
    assert sum(model.record.mask_ratios) == 3 * 54
    assert min(model.record.mask_ratios) > 0


@pytest.mark.parametrize(
    "law", [Choice(), Schedule(), Beta(), LogUniformVisible(), Uniform(scope="rectangle"), 0.3, (0.2, 0.4)], ids=str
)
def test_every_law_trains(adata, sizes, law):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, mask_ratio=law, **sizes)
    model.train(max_epochs=2, progress_bar=False)
    assert np.isfinite(model.history["train_loss"]).all()
    if law == 0.3:
        assert np.flatnonzero(model.record.mask_ratios).tolist() == [6]


@pytest.mark.parametrize(
    ("start", "train_kwargs", "moves"),
    [("factors", {}, False), ("factors", {"read_rate": 0.1}, True), ("random", {}, True), ("random", {"read_rate": 0}, False)],
)
def test_a_read_that_starts_at_a_factor_analysis_stays_there(adata, sizes, start, train_kwargs, moves):
    GeneMAE.setup_anndata(adata)
    model, untrained = (GeneMAE(adata, start=start, **sizes) for _ in range(2))
    untrained.initialize(train_size=0.9)
    model.train(max_epochs=2, progress_bar=False, train_kwargs=train_kwargs)
    for (name, before), after in zip(untrained.network.named_parameters(), model.network.parameters(), strict=True):
        assert torch.equal(before, after) is (name.startswith("encoder.read.") and not moves), name
        assert after.requires_grad is not name.startswith("encoder.panel_reader."), name
    assert model.record.train["read_rate"] == train_kwargs.get("read_rate", 0.1 if moves else 0.0)


def test_covariates_enter_the_decoder_only(adata, sizes):
    adata.obs["depth"] = np.linspace(0, 1, adata.n_obs)
    adata.obs["site"] = "x"
    keys = {"batch_key": "batch", "categorical_covariate_keys": ["site"], "continuous_covariate_keys": ["depth"]}
    GeneMAE.setup_anndata(adata, **keys)
    model = GeneMAE(adata, **sizes)
    model.train(max_epochs=2, progress_bar=False)
    assert model.record.covariates.width == 4
    bare = adata.copy()
    del bare.obs["batch"], bare.obs["depth"], bare.obs["site"]
    embeddings = [model.get_latent_representation(cells, correct_batch=False) for cells in (bare, adata)]
    np.testing.assert_array_equal(*embeddings)


def test_options_that_change_the_data_used(adata, sizes):
    GeneMAE.setup_anndata(adata)
    everything = GeneMAE(adata, **sizes)
    everything.train(max_epochs=1, train_size=1.0, progress_bar=False)
    assert "validation_loss" not in everything.history
    leaky = GeneMAE(adata, use_observed_lib_size=True, **sizes)
    leaky.train(max_epochs=1, progress_bar=False)
    assert np.isfinite(leaky.history["train_loss"]).all()


def test_the_untrained_control(adata, sizes):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    model.initialize()
    assert not model.is_trained
    assert model.get_latent_representation().shape == (60, 8)


def test_realised_ratios_are_spread_evenly(adata, sizes):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    model.train(max_epochs=40, batch_size=54, progress_bar=False)
    rows = np.array(model.record.mask_ratios).reshape(5, 4).sum(1)
    assert rows.sum() == 40 * 54
    np.testing.assert_allclose(rows / rows.sum(), 0.2, atol=0.05)


def test_early_stopping_ends_with_the_weights_of_the_best_epoch(adata, sizes, tmp_path, monkeypatch):
    monkeypatch.setattr(_resume, "_KEPT", 1000)
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, seed=1, **sizes)
    model.train(max_epochs=60, batch_size=8, progress_bar=False, early_stopping=True, checkpoint_dir=tmp_path,
                train_kwargs={"patience": 2, "learning_rate": 0.05, "decoder_decay": 0.0})  # fmt: skip
    best = int(model.history["validation_loss"].idxmin()) + 1
    assert best < len(model.history)
    then = GeneMAE.load(tmp_path / f"step_{7 * best:08d}").network.state_dict()
    learned = {k: v for k, v in model.network.state_dict().items() if "panel_reader" not in k}  # that comes after the run
    assert all(torch.equal(v, then[k]) for k, v in learned.items())


def test_options_of_execution_do_not_change_the_result(adata, sizes, tmp_path, capsys):
    GeneMAE.setup_anndata(adata)
    latents = []
    for options in ({"progress_bar": False}, {"progress_bar": True, "checkpoint_dir": tmp_path, "checkpoint_every_n_steps": 2}):
        model = GeneMAE(adata, **sizes)
        model.train(max_epochs=2, batch_size=16, accelerator="cpu", **options)
        latents.append(model.get_latent_representation())
    np.testing.assert_array_equal(*latents)
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert [line.split(",")[0].rpartition(" ")[0] for line in lines[:2]] == ["epoch 1/2: loss", "epoch 2/2: loss"]
    assert lines[1].endswith("0 s left")
    assert lines[2:] == ["learning to read panels of genes"]


def test_a_bar_moves_in_a_terminal_alone(adata, sizes, capsys, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes standard error for a terminal
    GeneMAE.setup_anndata(adata)
    GeneMAE(adata, **sizes).train(max_epochs=1, batch_size=16, accelerator="cpu")
    assert "cells/s" in "".join(capsys.readouterr())


def test_a_long_run_leaves_ten_lines_in_a_log(adata, sizes, capsys):
    GeneMAE.setup_anndata(adata)
    GeneMAE(adata, **sizes).train(max_epochs=40, batch_size=64, accelerator="cpu", train_size=1.0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in lines[:-1]] == [f"epoch {4 * i}/40" for i in range(1, 11)]
    assert lines[-1] == "learning to read panels of genes"


@pytest.mark.parametrize("logger", [CSVLogger, OtherLogger])
def test_callbacks_and_loggers_of_either_lightning_hear_of_each_epoch(adata, sizes, tmp_path, logger):
    GeneMAE.setup_anndata(adata)
    heard = []
    model = GeneMAE(adata, **sizes)
    model.train(
        max_epochs=3,
        batch_size=16,
        accelerator="cpu",
        logger=logger(tmp_path, name="", version=""),
        callbacks=LambdaCallback(on_train_epoch_end=lambda trainer, training: heard.append(training.step)),
    )
    assert heard == model.history["step"].tolist()
    logged = pd.read_csv(tmp_path / "metrics.csv").dropna(subset="train_loss")
    np.testing.assert_allclose(logged["train_loss"], model.history["train_loss"])
    np.testing.assert_allclose(logged["validation_loss"], model.history["validation_loss"])


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_a_training_that_fails_leaves_the_model_as_it_was(adata, sizes, failure):
    def fail(trainer, training, *_):
        if training.step == 3:
            raise failure

    settings = {"max_epochs": 3, "batch_size": 16, "accelerator": "cpu", "progress_bar": False}
    GeneMAE.setup_anndata(adata, batch_key="batch")
    model = GeneMAE(adata, **sizes)
    with pytest.raises(failure):
        model.train(**settings, callbacks=LambdaCallback(on_train_batch_end=fail))
    with pytest.raises(NotTrainedError, match="no weights yet"):
        model.get_latent_representation()
    model.train(**settings)
    before, record = model.get_latent_representation(), model.record.to_json()
    with pytest.raises(failure):
        model.train(**settings, train_kwargs={"learning_rate": 0.1}, callbacks=LambdaCallback(on_train_batch_end=fail))
    np.testing.assert_array_equal(model.get_latent_representation(), before)
    assert model.record.to_json() == record


def test_the_untrained_control_leaves_the_callers_generators_alone(adata, sizes):
    GeneMAE.setup_anndata(adata)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model = GeneMAE(adata, **sizes)
    model.initialize()
    model.get_latent_representation()
    assert torch.equal(torch.get_rng_state(), before)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


@NO_TRAINER
def test_a_trainer_that_cannot_be_made_is_a_setting(adata, sizes, given, found):
    GeneMAE.setup_anndata(adata)
    with pytest.raises(ConfigError, match=TOLD.format(found=found)):
        GeneMAE(adata, **sizes).train(max_epochs=1, progress_bar=False, **given)
