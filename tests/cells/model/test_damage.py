"""Bad data and damaged checkpoints: the right error, and everything left as it was."""

from __future__ import annotations

import hashlib
import pickle
import shutil

import numpy as np
import pytest
import torch

from r2mae_bio import tl
from r2mae_bio._errors import (
    CheckpointError,
    ConfigError,
    CorruptCheckpointError,
    CountsError,
    DataError,
    EmptyCellsError,
    FractionalCountsError,
    LogTransformedError,
    NegativeCountsError,
    NonFiniteError,
    NotTrainedError,
    SetupError,
    UnsafeCheckpointError,
    VocabularyMismatchError,
)
from r2mae_bio.core import _checkpoint
from r2mae_bio.model import GeneMAE


def negative(x):
    x[3, 2] = -1


def fraction(x):
    x += (x > 0) * 0.25


def logged(x):
    x[:] = np.log1p(x / x.sum(1, keepdims=True) * 1e4)


def empty(x):
    x[7] = 0


def missing(x):
    x[0, 0] = np.nan


def infinite(x):
    x[1, 1] = np.inf


@pytest.mark.parametrize("where", ["X", "counts"])
@pytest.mark.parametrize(
    ("damage", "error", "words"),
    [
        (negative, NegativeCountsError, "c3"),
        (fraction, FractionalCountsError, "whole"),
        (logged, LogTransformedError, "gene_likelihood='normal'"),
        (empty, EmptyCellsError, "filter_cells"),
        (missing, NonFiniteError, "c0"),
        (infinite, NonFiniteError, "c1"),
    ],
)
def test_what_is_not_counts_is_refused(adata, damage, error, words, where):
    dense = adata.X.toarray()
    damage(dense)
    layer = None if where == "X" else where
    if layer is None:
        adata.X = dense
    else:
        adata.layers[layer] = dense
    before = dense.copy()
    with pytest.raises(error, match=words) as caught:
        GeneMAE.setup_anndata(adata, layer=layer)
    assert where in str(caught.value)
    assert "r2mae" not in adata.uns
    np.testing.assert_array_equal(dense, before)


@pytest.mark.parametrize("damage", [negative, fraction, logged])
def test_a_likelihood_is_advised_only_where_it_may_be_chosen(model, adata, damage):
    dense = adata.X.toarray()
    damage(dense)
    adata.X = dense
    calls = (
        lambda: model.get_latent_representation(adata),
        lambda: tl.transfer_labels(adata, adata, labels_key="batch", model=model),
        lambda: tl.recommend_mask_ratio(adata),
        lambda: tl.spectrum(adata),
    )
    for call in calls:
        with pytest.raises(CountsError, match="Use the raw counts") as caught:
            call()
        assert "gene_likelihood" not in str(caught.value)
    for call in (GeneMAE.setup_anndata, tl.pretrain):
        with pytest.raises(CountsError, match="gene_likelihood='normal' to model the values as they are"):
            call(adata)


def test_log_normalised_data_are_accepted_when_said_so(adata, sizes):
    dense = adata.X.toarray()
    logged(dense)
    adata.X = dense
    GeneMAE.setup_anndata(adata, gene_likelihood="normal")
    model = GeneMAE(adata, **sizes)
    model.train(max_epochs=2, progress_bar=False)
    assert model.config.gene_likelihood == "normal"
    assert np.isfinite(model.get_latent_representation()).all()


def test_missing_columns_and_values(adata):
    with pytest.raises(SetupError, match="no column 'donor'.*batch"):
        GeneMAE.setup_anndata(adata, batch_key="donor")
    adata.obs["age"] = np.where(np.arange(adata.n_obs) == 3, np.nan, 30.0)
    with pytest.raises(DataError, match=r"obs\['age'\] is missing for 1 of 60"):
        GeneMAE.setup_anndata(adata, continuous_covariate_keys=["age"])
    with pytest.raises(DataError, match="must be numeric"):
        GeneMAE.setup_anndata(adata, continuous_covariate_keys=["batch"])
    with pytest.raises(SetupError, match="Call GeneMAE.setup_anndata"):
        GeneMAE(adata)


def test_calls_that_come_too_early_or_contradict(adata, sizes, tmp_path):
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **sizes)
    for call in (model.get_latent_representation, lambda: model.save(tmp_path / "m")):
        with pytest.raises(NotTrainedError, match=r"call train\(\)"):
            call()
    with pytest.raises(ConfigError, match="set up with gene_likelihood='nb'"):
        GeneMAE(adata, gene_likelihood="normal")
    with pytest.raises(ConfigError, match="has no 'n_latents'. Did you mean 'n_latent'"):
        GeneMAE(adata, n_latents=3)
    with pytest.raises(ConfigError, match="early_stopping needs validation"):
        model.train(max_epochs=1, train_size=1.0, early_stopping=True)


# ---------------------------------------------------------------- checkpoints


@pytest.fixture
def saved(model, tmp_path):
    return model.save(tmp_path / "saved")


def digest(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def refuses(folder, error, words):
    before = digest(folder)
    with pytest.raises(error, match=words):
        GeneMAE.load(folder)
    assert digest(folder) == before


def test_saved_and_loaded_embed_alike_without_data(model, saved, adata):
    loaded = GeneMAE.load(saved)
    np.testing.assert_array_equal(loaded.get_latent_representation(adata), model.get_latent_representation(adata))
    assert repr(loaded) == repr(model)
    assert loaded.history.equals(model.history)
    with pytest.raises(SetupError, match="holds no data"):
        loaded.train(max_epochs=1)


def test_truncated_weights(saved):
    file = saved / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100])
    refuses(saved, CorruptCheckpointError, "model.safetensors cannot be read")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.99])
def test_a_flipped_bit_in_the_weights(saved, place):
    file = saved / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1
    file.write_bytes(content)
    refuses(saved, CorruptCheckpointError, "checksum|cannot be read")


@pytest.mark.parametrize("place", [0.05, 0.5, 0.95])
def test_a_flipped_bit_in_the_json(saved, place):
    file = saved / "model.json"
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 4
    file.write_bytes(content)
    refuses(saved, CorruptCheckpointError, "checksum|cannot be read")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_missing_file(saved, name):
    (saved / name).unlink()
    refuses(saved, CorruptCheckpointError, f"{name} is missing")


def test_weights_of_another_vocabulary(saved, adata, sizes, tmp_path):
    adata.var_names = [f"H{i}" for i in range(adata.n_vars)]
    GeneMAE.setup_anndata(adata)
    other = GeneMAE(adata, **sizes)
    other.initialize()
    shutil.copy(other.save(tmp_path / "other") / "model.safetensors", saved / "model.safetensors")
    refuses(saved, VocabularyMismatchError, "another gene vocabulary")


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_a_pickle_in_place_of_a_file(saved, name):
    torch.save({"weights": torch.zeros(3)}, saved / name)
    refuses(saved, UnsafeCheckpointError, "is a pickle")
    (saved / name).write_bytes(pickle.dumps({"weights": 1}))
    refuses(saved, UnsafeCheckpointError, "is a pickle")


def test_a_folder_of_pickles_and_no_folder(tmp_path):
    torch.save({}, tmp_path / "model.pt")
    refuses(tmp_path, UnsafeCheckpointError, r"model\.pt is a pickle")
    with pytest.raises(CheckpointError, match="is not a folder"):
        GeneMAE.load(tmp_path / "nowhere")


def test_loading_never_unpickles(saved, adata, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("unpickled")

    for place, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
        monkeypatch.setattr(place, name, refuse)
    assert GeneMAE.load(saved).get_latent_representation(adata).shape == (60, 8)


def test_saving_over_something(model, saved):
    with pytest.raises(CheckpointError, match="overwrite=True"):
        model.save(saved)
    model.save(saved, overwrite=True)
    (saved / "notes.txt").write_text("mine")
    with pytest.raises(CheckpointError, match=r"notes\.txt"):
        model.save(saved, overwrite=True)
    assert (saved / "notes.txt").read_text() == "mine"


def test_a_crash_while_saving_leaves_the_old_model(model, saved, monkeypatch):
    before = digest(saved)
    write = _checkpoint._write_bundle

    def crash(folder, name, bundle):
        write(folder, name, bundle)
        raise OSError("disk full")

    monkeypatch.setattr(_checkpoint, "_write_bundle", crash)
    with pytest.raises(OSError, match="disk full"):
        model.save(saved, overwrite=True)
    assert digest(saved) == before
    assert [p.name for p in saved.parent.iterdir()] == ["saved"]
