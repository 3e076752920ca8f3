"""Making, saving and loading DNA models: bit for bit, and refused with the right words where
something is wrong.
"""

from __future__ import annotations

import hashlib
import pickle
import shutil

import numpy as np
import pytest
import torch

from r2mae_bio._errors import (
    CheckpointError,
    ConfigError,
    CorruptCheckpointError,
    FastaError,
    SetupError,
    UnsafeCheckpointError,
)
from r2mae_bio.core._checkpoint import read_bundle, write_folder
from r2mae_bio.model import DNAMAE, GeneMAE

from ...toy_cells import SIZES as GENE_SIZES
from ...toy_cells import make_cells


@pytest.fixture
def saved(trained, tmp_path):
    return trained.save(tmp_path / "saved")


def digest(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(folder.iterdir())}


def refuses(folder, error, words, *, cls=DNAMAE):
    before = digest(folder)
    with pytest.raises(error, match=words):
        cls.load(folder)
    assert digest(folder) == before


# ---------------------------------------------------------------- round trips


def test_saved_and_loaded_read_alike_without_a_genome(trained, saved, random_codes):
    loaded = DNAMAE.load(saved)
    codes = random_codes()
    np.testing.assert_array_equal(loaded.log_probs(codes), trained.log_probs(codes))
    np.testing.assert_array_equal(loaded.states(codes), trained.states(codes))
    for name in ("get_latent_representation", "predict"):
        mine, theirs = (getattr(m, name)(["GATTACA", "ACGTN" * 30]) for m in (trained, loaded))
        assert all(np.array_equal(a, b) for a, b in zip(mine, theirs, strict=True))
    assert repr(loaded) == repr(trained)
    assert loaded.checksum() == trained.checksum()
    assert loaded.history.equals(trained.history)
    assert loaded.config == trained.config
    assert (loaded.window, loaded.n_dim, loaded.mask_ratio) == (64, 16, trained.mask_ratio)
    assert str(loaded.record.to_json()) == str(trained.record.to_json())
    with pytest.raises(SetupError, match=r"load\(path, genome\)"):
        loaded.train(max_epochs=1)


@pytest.mark.parametrize("settings", [{"hiding": "drop"}, {"dilations": (1, 3)}, {"mask_ratio": 0.15}, {"n_layers": 1}])
def test_other_networks_come_back_too(new, tmp_path, random_codes, settings):
    model = new(scale=1.5, **settings)
    loaded = DNAMAE.load(model.save(tmp_path / "m"))
    assert loaded.config == model.config
    assert not loaded.is_trained
    np.testing.assert_array_equal(loaded.log_probs(random_codes()), model.log_probs(random_codes()))


def test_saved_again_has_the_same_bytes(saved, tmp_path):
    again = DNAMAE.load(saved).save(tmp_path / "again")
    assert digest(again) == digest(saved)


def test_loading_with_a_genome(saved, genome, tmp_path):
    loaded = DNAMAE.load(saved, genome)
    assert loaded.record.contigs == {"chr1": 6000}
    with pytest.raises(FastaError):
        DNAMAE.load(saved, tmp_path / "nowhere.fa")


def test_random_weights_depend_on_the_seed_alone(new):
    state = torch.get_rng_state()
    first, second, third = (new(seed=seed, scale=1.0) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), state)
    assert first.checksum() == second.checksum() != third.checksum()
    assert not first.is_trained
    assert "not trained" in repr(first)


# ---------------------------------------------------------------- the wrong folder


def test_a_dna_model_is_no_gene_model(saved):
    refuses(saved, CheckpointError, r"holds a DNAMAE.*model\.DNAMAE\.load", cls=GeneMAE)


def test_a_gene_model_is_no_dna_model(tmp_path):
    adata = make_cells()
    GeneMAE.setup_anndata(adata)
    model = GeneMAE(adata, **GENE_SIZES)
    model.initialize()
    refuses(model.save(tmp_path / "gene"), CheckpointError, r"holds a GeneMAE.*model\.GeneMAE\.load")


def test_weights_of_another_model(saved, new, tmp_path):
    other = new(scale=1.0, seed=9).save(tmp_path / "other")
    shutil.copy(other / "model.safetensors", saved / "model.safetensors")
    refuses(saved, CorruptCheckpointError, "checksum")


def test_a_flipped_bit(saved):
    for name in ("model.safetensors", "model.json"):
        whole = (saved / name).read_bytes()
        for place in (0.3, 0.6, 0.95):
            content = bytearray(whole)
            content[int(place * len(content))] ^= 4
            (saved / name).write_bytes(content)
            refuses(saved, CorruptCheckpointError, "checksum|cannot be read")
        (saved / name).write_bytes(whole)
    assert DNAMAE.load(saved).is_trained


@pytest.mark.parametrize("name", ["model.safetensors", "model.json"])
def test_missing_truncated_and_pickled_files(saved, name):
    content = (saved / name).read_bytes()
    (saved / name).write_bytes(content[:-50])
    refuses(saved, CorruptCheckpointError, "cannot be read")
    (saved / name).write_bytes(pickle.dumps({"weights": 1}))
    refuses(saved, UnsafeCheckpointError, "is a pickle")
    (saved / name).unlink()
    refuses(saved, CorruptCheckpointError, f"{name} is missing")


@pytest.mark.parametrize(
    "change",
    [
        {"window": 10**30},
        {"window": 1},
        {"window": "64"},
        {"contigs": {"chr1": "long"}},
        {"floors": [1.0]},
        {"history": [{"epoch": None}]},
        {"config": {"d_model": 16}},
        {"seed": 1.5},
    ],
)
def test_entries_that_no_model_has_with_right_checksums(saved, change):
    bundle = read_bundle(saved, "model")
    bundle.data.update(change)
    write_folder(saved, {"model": bundle}, overwrite=True)
    refuses(saved, CorruptCheckpointError, r"lacks or misstates part of a DNAMAE \(.*(needed|missing)")


def test_no_folder(tmp_path):
    with pytest.raises(CheckpointError, match="is not a folder"):
        DNAMAE.load(tmp_path / "nowhere")


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"window": 1}, "window is 1; needed is a whole number of bases, at least 2"),
        ({"window": 64.0}, "window is 64.0"),
        ({"window": True}, "window is True"),
        ({"preset": "huge"}, r"preset is 'huge'; needed is one of \['base', 'small', 'tiny'\]"),
        ({"n_heads": 3}, "heads of 5.33"),
        ({"n_heads": 16}, "heads of 1 features; needed is an even"),
        ({"kernel": 4}, "kernel is 4; needed is an odd"),
        ({"stem_kernel": 0}, "stem_kernel is 0"),
        ({"n_layers": 0}, "n_layers is 0"),
        ({"dilations": (1, 0)}, "dilations"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"hiding": "swap"}, "hiding is 'swap'"),
        ({"n_layer": 3}, "has no 'n_layer'. Did you mean 'n_layers'"),
        ({"mask_ratio": 1.5}, "mask_ratio|ratio"),
        ({"mask_ratio": "auto"}, "mask_ratio"),
    ],
)
def test_settings_that_cannot_be(new, settings, words):
    with pytest.raises(ConfigError, match=words):
        new(**settings)


def test_a_whole_number_of_any_kind_is_a_window(new):
    model = new(window=np.int64(32))
    assert type(model.window) is int


def test_a_genome_that_is_none(tmp_path):
    with pytest.raises(FastaError):
        DNAMAE(tmp_path / "nowhere.fa")
    (tmp_path / "protein.fa").write_text(">p\nMEEPQSDPSV\n")
    with pytest.raises(FastaError, match="protein"):
        DNAMAE(tmp_path / "protein.fa")


def test_a_path_will_do(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "toy.fa").write_text(">chr1\n" + "ACGT" * 50 + "\n")
    assert DNAMAE(str(tmp_path / "toy.fa"), window=32).record.contigs == {"chr1": 200}
