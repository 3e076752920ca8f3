"""Every kind of damage to a saved model is refused by name, and nothing on disk is touched."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from r2mae_bio._errors import CheckpointError, CorruptCheckpointError, UnsafeCheckpointError, VocabularyMismatchError
from r2mae_bio.core._checkpoint import Bundle, read_bundle, write_folder
from r2mae_bio.model import GeneMAE

FILES = ["model.safetensors", "model.json"]


@pytest.fixture
def saved(model, tmp_path):
    return model.save(tmp_path / "saved")


def contents(folder):
    return {p.relative_to(folder): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refuses(folder, error, words=None):
    before = contents(folder)
    with pytest.raises(error, match=words):
        GeneMAE.load(folder)
    assert contents(folder) == before


def says_the_same(damaged, intact):
    """The last digit of a float may change without changing the float."""
    try:
        return json.dumps(json.loads(damaged)) == json.dumps(json.loads(intact))
    except ValueError:
        return False


def sampled(size, n, seed=0):
    return np.unique(np.random.default_rng(seed).integers(0, size, n)).tolist()


def test_a_flipped_bit_in_the_header_or_the_weights(saved):
    file = saved / "model.safetensors"
    intact = file.read_bytes()
    header = 8 + int.from_bytes(intact[:8], "little")
    for place in [*range(8), *sampled(header, 60), *sampled(len(intact), 20)]:
        damaged = bytearray(intact)
        damaged[place] ^= 1 << place % 8
        file.write_bytes(damaged)
        refuses(saved, (CorruptCheckpointError, VocabularyMismatchError))


def test_a_flipped_bit_in_the_json(saved):
    file = saved / "model.json"
    intact = file.read_bytes()
    for place in [*range(60), *sampled(len(intact), 120)]:
        damaged = bytearray(intact)
        damaged[place] ^= 1 << place % 5  # bit 5 would only change the case of a letter
        file.write_bytes(damaged)
        if not says_the_same(damaged, intact):
            refuses(saved, CheckpointError)


@pytest.mark.parametrize("name", FILES)
def test_truncation_anywhere(saved, name):
    intact = (saved / name).read_bytes()
    for size in [0, 1, 7, 8, 9, *sampled(len(intact), 12), len(intact) - 1]:
        (saved / name).write_bytes(intact[:size])
        refuses(saved, CorruptCheckpointError, name)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file(saved, name):
    (saved / name).unlink()
    (saved / name).mkdir()
    refuses(saved, CorruptCheckpointError, f"{name} is missing")


@pytest.mark.parametrize("name", FILES)
def test_files_of_two_models_are_not_mixed(saved, adata, sizes, tmp_path, name):
    GeneMAE.setup_anndata(adata)
    other = GeneMAE(adata, seed=9, **sizes)
    other.initialize()
    shutil.copy(other.save(tmp_path / "same genes") / name, saved / name)
    refuses(saved, CorruptCheckpointError, "do not match their checksum")
    for index, genes in enumerate((adata[:, ::-1].copy(), adata[:, :20].copy())):
        other = GeneMAE(genes, **sizes)
        other.initialize()
        shutil.copy(other.save(tmp_path / f"other genes {index}") / name, saved / name)
        refuses(saved, VocabularyMismatchError, "Files of two models were mixed")


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_every_protocol(saved, protocol):
    for name in FILES:
        (saved / name).write_bytes(pickle.dumps({"weights": [1.0]}, protocol=protocol))
        refuses(saved, UnsafeCheckpointError, "is a pickle")


def test_torch_files_old_and_new(saved):
    for zipped in (True, False):
        torch.save({"w": torch.ones(2)}, saved / "model.safetensors", _use_new_zipfile_serialization=zipped)
        refuses(saved, UnsafeCheckpointError, "is a pickle")


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data["config"].update(n_wings=2),
        lambda data: data["config"].update(n_latent=-1),
        lambda data: data["config"].update(n_hidden=17),
        lambda data: data["vocabulary"].pop("aliases"),
        lambda data: data["vocabulary"]["totals"].pop(),
        lambda data: data["setup"].update(colour="red"),
        lambda data: data.pop("law"),
        lambda data: data["law"].update(kind="none such"),
        lambda data: data["law"].pop("scope"),
        lambda data: data["config"].pop("dropout"),
        lambda data: data["config"].update(n_latent=10**30),
        lambda data: data["config"].update(dropout="0.1"),
        lambda data: data["setup"].pop("batch_key"),
        lambda data: data["setup"].update(layer=3),
        lambda data: data["vocabulary"].update(names=[1]),
        lambda data: data["covariates"].update(scales={"age": [1.0]}),
        lambda data: data.update(n_neighbourhoods="3"),
        lambda data: data.update(duplicates="mean"),
        lambda data: data.update(history=0.5),
        lambda data: data.update(seed="1"),
        lambda data: data.update(trained="yes"),
        lambda data: data.update(kind=["GeneMAE"]),
    ],
)
def test_files_of_another_version_with_right_checksums(saved, change):
    bundle = read_bundle(saved, "model")
    change(bundle.data)
    write_folder(saved, {"model": bundle}, overwrite=True)
    refuses(saved, CorruptCheckpointError)


def test_weights_that_do_not_fit_with_right_checksums(saved):
    bundle = read_bundle(saved, "model")
    tensors = {k: v for k, v in bundle.tensors.items() if not k.startswith("decoder")}
    write_folder(saved, {"model": Bundle(tensors, bundle.data, bundle.metadata)}, overwrite=True)
    refuses(saved, CorruptCheckpointError, "do not fit the configuration")


@pytest.mark.parametrize("failing", ["fsync", "chmod", "first rename", "second rename"])
def test_a_crash_at_any_moment_of_saving_leaves_the_old_model(model, saved, monkeypatch, failing):
    before, rename, renames = contents(saved), Path.rename, []

    def crash(*_):
        raise OSError("disk full")

    def rename_or_crash(self, target):
        renames.append(target)
        if len(renames) == (1 if failing == "first rename" else 2):
            crash()
        return rename(self, target)

    with monkeypatch.context() as patch:
        match failing:
            case "fsync":
                patch.setattr("r2mae_bio._files.os.fsync", crash)
            case "chmod":
                patch.setattr(Path, "chmod", crash)
            case _:
                patch.setattr(Path, "rename", rename_or_crash)
        with pytest.raises(OSError, match="disk full"):
            model.save(saved, overwrite=True)
    assert contents(saved) == before
    assert [p.name for p in saved.parent.iterdir()] == ["saved"]
    assert GeneMAE.load(saved).is_trained


def test_what_may_be_overwritten(model, tmp_path):
    file = tmp_path / "file"
    file.write_text("mine")
    for overwrite, words in ((False, "exists already"), (True, "is a file")):
        with pytest.raises(CheckpointError, match=words):
            model.save(file, overwrite=overwrite)
    assert file.read_text() == "mine"
    run = tmp_path / "run"
    (run / "step_00000001").mkdir(parents=True)
    with pytest.raises(CheckpointError, match="holds step_00000001"):
        model.save(run, overwrite=True)
    assert model.save(tmp_path / "new" / "deep").is_dir()
    (tmp_path / "empty").mkdir()
    assert sorted(p.name for p in model.save(str(tmp_path / "empty"), overwrite=True).iterdir()) == sorted(FILES)
