"""What version 0.1.0 wrote is read, computes what it did, and is continued to the same end.

The files under ``fixtures/v0_1_0`` were made by ``fixtures/write_fixtures.py``.
"""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from r2mae_bio.errors import JournalError
from r2mae_bio.model import DNAMAE

from .fixtures import data

# Another processor, or another release of torch or NumPy, adds up in another order: the last bits
# of float32 differ, and training lets them grow: with torch 2.6, a loss of the history by 2.1e-4.
# Where all of these are the same, so are all bits.
TOLERANCE = 5e-4
# Sums are taken in another order than by the version that wrote the fixtures.
REORDERED = ("gene", "mlp", "cell_classifier", "gene_run", "dna", "dna_drop", "dna_run", "scores")
CLOSE = 1e-5


@pytest.fixture(scope="module", autouse=True)
def platform():
    """The platform of the fixtures, with its number of threads while the tests run."""
    recorded = json.loads((data.WRITTEN / "platform.json").read_text())
    before = torch.get_num_threads()
    torch.set_num_threads(recorded["threads"])
    yield recorded
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def exact(platform):
    return data.describe_platform() == platform


@pytest.fixture(scope="module")
def arrays():
    with np.load(data.WRITTEN / "expected.npz") as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def texts():
    return json.loads((data.WRITTEN / "expected.json").read_text())


@pytest.fixture(scope="module")
def assert_as_written(arrays, exact):
    def check(name, found):
        expected = {key.removeprefix(f"{name}/"): value for key, value in arrays.items() if key.startswith(f"{name}/")}
        assert set(found) == set(expected)
        for key, value in found.items():
            numbers = value.dtype.kind == "f"
            if not numbers or (exact and name not in REORDERED):
                np.testing.assert_array_equal(value, expected[key], err_msg=key)
            elif exact:
                np.testing.assert_allclose(value, expected[key], rtol=CLOSE, atol=CLOSE, err_msg=key)
            else:
                np.testing.assert_allclose(value, expected[key], rtol=TOLERANCE, atol=TOLERANCE, err_msg=key)

    return check


def without_versions(path):
    """The plain data of a model, without the versions that wrote it."""
    content = json.loads(path.read_text())
    del content["data"]["versions"], content["sha256"]
    return content


# ---------------------------------------------------------------- models


@pytest.mark.parametrize("name", data.MODELS)
def test_a_model_is_read_and_computes_what_it_did(name, assert_as_written):
    _, read = data.MODELS[name]
    assert_as_written(name, read(data.WRITTEN / name))


@pytest.mark.parametrize("name", data.MODELS)
def test_a_model_saved_again_is_the_same(name, texts, tmp_path):
    kind, _ = data.MODELS[name]
    model = kind.load(data.WRITTEN / name)
    again = model.save(tmp_path / "again")
    assert data.digest(again / "model.safetensors") == texts["sha256"][name]
    assert without_versions(again / "model.json") == without_versions(data.WRITTEN / name / "model.json")
    assert sorted(path.name for path in again.iterdir()) == ["model.json", "model.safetensors"]
    if name in texts["checksum"]:
        assert model.checksum() == texts["checksum"][name]


# ---------------------------------------------------------------- unfinished runs


@pytest.mark.parametrize("name", data.RUNS)
def test_a_run_cut_within_an_epoch_is_continued_to_the_same_end(name, assert_as_written, texts, exact, tmp_path):
    folder = shutil.copytree(data.WRITTEN / name, tmp_path / name)
    model = data.RUNS[name](folder, tmp_path / "data")
    assert_as_written(name, data.read_run(model))
    history = pd.read_csv(folder / "history.csv")
    pd.testing.assert_frame_equal(history, model.history, check_dtype=False)
    newest = max(folder.glob("step_*"))
    if exact and name not in REORDERED:
        assert model.checksum() == texts["checksum"][name]
        for file in ("model.safetensors", "state.safetensors"):
            assert data.digest(newest / file) == texts["sha256"][f"{name}/{file}"]


@pytest.mark.parametrize("name", data.RUNS)
def test_a_checkpoint_of_a_run_is_a_model(name, texts):
    kind, _ = data.MODELS["gene" if name == "gene_run" else "dna"]
    model = kind.load(data.WRITTEN / name)
    assert model.is_trained
    assert len(model.history) == 2
    assert model.checksum() != texts["checksum"][name]


# ---------------------------------------------------------------- scores


def test_scores_are_what_they_were(assert_as_written, tmp_path):
    assert_as_written("scores", data.read_scores(tmp_path, model=DNAMAE.load(data.WRITTEN / "dna")))


@pytest.mark.parametrize("name", data.SCORED)
def test_scoring_does_not_go_on_where_lengths_were_limited_otherwise(name, tmp_path):
    """The limit on lengths looks at what changes now, and the header says so: half a file would be
    by one rule and half by the other.
    """
    folder = shutil.copytree(data.WRITTEN / "scores", tmp_path / "scores")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    model = DNAMAE.load(data.WRITTEN / "dna")
    with pytest.raises(JournalError, match="differs in header .* Begin anew with resume=False"):
        data.score(folder, name, tmp_path, model=model)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    anew = data.score(folder, name, tmp_path, model=model, resume=False)
    assert anew.exists()
    assert not [part for part in (f"{name}.part", f"{name}.part.json") if (folder / part).exists()]
