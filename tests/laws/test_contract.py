"""What every model does in the same way, whatever its tokens are."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
import torch

from r2mae_bio._errors import CheckpointError, NotTrainedError, SetupError
from r2mae_bio.core._trainable import Trainable
from r2mae_bio.io import Genome
from r2mae_bio.masking import Uniform
from r2mae_bio.model import DNAMAE, GeneMAE

from ..toy_cells import SIZES, make_cells

SEQUENCES = ["GATTACA", "ACGTNNACGT", "TTGACCA"]
BASES = {"d_model": 16, "n_layers": 1, "n_heads": 2, "window": 32}


class Genes:
    """Toy cells, and a model of them."""

    cls = GeneMAE

    def __init__(self, _folder):
        self.adata, self.two_steps = make_cells(), {"batch_size": 30}
        GeneMAE.setup_anndata(self.adata)

    def new(self, **settings):
        return GeneMAE(self.adata, **SIZES, **settings)

    def latent(self, model):
        return model.get_latent_representation(self.adata[:3].copy())


class DNA:
    """A random genome, and a model of it."""

    cls = DNAMAE

    def __init__(self, folder):
        bases = np.random.default_rng(0).integers(0, 4, 2000)
        (folder / "toy.fa").write_text(">chr1\n" + "".join("ACGT"[i] for i in bases) + "\n")
        self.genome = Genome(folder / "toy.fa", cache_dir=folder / "cache")
        self.two_steps = {"batch_size": 30, "epoch_windows": 60}

    def new(self, **settings):
        return DNAMAE(self.genome, **BASES, **settings)

    def latent(self, model):
        return model.get_latent_representation(SEQUENCES)


@pytest.fixture(params=[Genes, DNA], ids=["GeneMAE", "DNAMAE"])
def kind(request, tmp_path):
    return request.param(tmp_path)


def train(kind, model, **settings):
    """Two steps."""
    model.train(1, **kind.two_steps, progress_bar=False, accelerator="cpu", precision="32-true", **settings)
    assert model.history["step"].tolist() == [2]


@pytest.fixture
def two_steps(kind):
    model = kind.new(seed=3)
    train(kind, model)
    return model


def test_every_model_is_put_to_the_test():
    """A new model class that is saved and trained belongs into this file."""

    def leaves(cls):
        children = [child for child in cls.__subclasses__() if child.__module__.startswith("r2mae_bio.")]
        return [leaf for child in children for leaf in leaves(child)] or [cls]

    ours = {cls for cls in leaves(Trainable) if cls.__module__.startswith("r2mae_bio.")}
    assert ours == {Genes.cls, DNA.cls}


def test_before_there_are_weights(kind, tmp_path):
    model = kind.new()
    assert isinstance(model, Trainable)
    assert not model.is_trained
    assert "not trained" in repr(model)
    assert model.history.empty
    assert math.isnan(model.blind_loss)
    for call in (lambda: kind.latent(model), lambda: model.save(tmp_path / "m"), model.checksum, lambda: model.device):
        with pytest.raises(NotTrainedError, match=r"train\(\).*initialize\(\)"):
            call()


def test_random_weights(kind):
    first, same, other = (kind.new(seed=seed) for seed in (1, 1, 2))
    for model in (first, same, other):
        model.initialize()
    assert first.checksum() == same.checksum() != other.checksum()
    assert not first.is_trained
    assert not first.network.training
    assert np.isfinite(kind.latent(first)).all()


def test_two_steps(kind, two_steps):
    assert two_steps.is_trained
    assert not two_steps.network.training
    row = two_steps.history.iloc[0]
    assert {"epoch", "step", "train_loss", "validation_loss", "learning_rate"} <= set(two_steps.history)
    assert np.isfinite([row["train_loss"], row["validation_loss"], two_steps.blind_loss]).all()
    assert sum(two_steps.record.mask_ratios) > 0
    assert two_steps.mask_ratio == Uniform(0, 1)
    assert len(two_steps.record.data_fingerprint) == 64


def test_the_latent_representation(kind, two_steps):
    latent = kind.latent(two_steps)
    assert latent.shape == (3, two_steps.config.n_latent if kind.cls is GeneMAE else two_steps.n_dim)
    assert latent.dtype == np.float32
    assert np.isfinite(latent).all()
    np.testing.assert_array_equal(kind.latent(two_steps), latent)


def test_saved_and_loaded(kind, two_steps, tmp_path):
    folder = two_steps.save(tmp_path / "m")
    assert sorted(p.name for p in folder.iterdir()) == ["model.json", "model.safetensors"]
    loaded = kind.cls.load(str(folder))
    assert type(loaded) is kind.cls
    assert repr(loaded) == repr(two_steps)
    assert kind.cls.__name__ in repr(loaded)
    assert "trained for 1 epochs" in repr(loaded)
    assert loaded.checksum() == two_steps.checksum()
    pd.testing.assert_frame_equal(loaded.history, two_steps.history)
    np.testing.assert_array_equal(kind.latent(loaded), kind.latent(two_steps))
    with pytest.raises(SetupError, match="This model holds no"):
        loaded.train(1)
    with pytest.raises(CheckpointError, match="overwrite=True"):
        two_steps.save(folder)
    with pytest.raises(CheckpointError, match=f"holds a {kind.cls.__name__}"):
        (DNAMAE if kind.cls is GeneMAE else GeneMAE).load(folder)


def test_equal_seeds_are_bit_equal_and_the_callers_generators_untouched(kind, two_steps):
    before = torch.get_rng_state()
    again, other = kind.new(seed=3), kind.new(seed=4)
    train(kind, again)
    train(kind, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert again.checksum() == two_steps.checksum() != other.checksum()


def test_a_checkpoint_is_a_model_and_can_be_continued_by_none_that_differs(kind, tmp_path):
    model = kind.new(seed=1)
    train(kind, model, checkpoint_dir=tmp_path / "run")
    assert kind.cls.load(tmp_path / "run").checksum() == model.checksum()
    fresh = kind.new(seed=2)
    with pytest.raises(CheckpointError, match="seed differ"):
        train(kind, fresh, resume_from=tmp_path / "run")
    assert fresh.network is None
    assert fresh.record.train == {}
